// Buying. A purchase is kept in the browser under its key before it is sent, and is sent until somebody says yes or no:
// it is never done twice, and never lost by a reload.

import { newKey, request } from "./api.js";
import { buyer, refresh } from "./buyer.js";
import { h, signal, wait } from "./dom.js";
import { noticePurchase } from "./events.js";
import { onHealth } from "./monitor.js";
import { announce, tell } from "./notice.js";
import { may, onSession, session } from "./session.js";
import { inTurn, load, onStored, save } from "./storage.js";
import { span, t } from "./text.js";
import { sayRefusal } from "./trouble.js";

/** For so long a purchase is repeated as often as the server likes; then every few seconds, until it is known. ms */
const EAGER = 60_000;
const PATIENT = 4000;

export const onOutstanding = signal();

const running = new Map();

/** Purchases whose outcome is not known: `{clave, usuarioId, nombre, tokenId, token, precio}`, oldest first. Those of
 * somebody else wait until they log in. */
export const outstanding = () => Object.values(load("compras", {})).filter((c) => typeof c?.clave === "string" && isMine(c));
const isMine = ({ usuarioId, cuentas }) =>
  session.cuentas ? usuarioId === session.usuarioId : session.cuentas === false || !cuentas;

/** How often one of them was sent, since when this page tries, and the last status; null where another tab tries. */
export const progress = (clave) => running.get(clave) ?? null;

function keep(compra) {
  save("compras", { ...load("compras", {}), [compra.clave]: compra });
  onOutstanding.call();
}

function drop({ clave }) {
  const { [clave]: _, ...rest } = load("compras", {});
  save("compras", Object.keys(rest).length ? rest : null);
  onOutstanding.call();
}

/** Buys a token for a user at the price that they see. A second wish for the same is the same purchase. */
export function buy({ id: tokenId, nombre: token, precio }, { id: usuarioId, nombre }) {
  if (outstanding().some((c) => c.tokenId === tokenId && c.usuarioId === usuarioId)) return;
  const compra = { clave: newKey(), usuarioId, nombre, tokenId, token, precio, cuentas: session.cuentas };
  keep(compra);
  run(compra);
}

/** One tab at a time sends a purchase; where there are no locks two may, which is the same purchase. */
function run(compra) {
  if (!running.has(compra.clave)) inTurn(compra.clave, () => send(compra));
}

async function send(compra) {
  const { clave, usuarioId, tokenId, precio } = compra;
  const state = { sent: 0, since: performance.now(), status: null, wake: null };
  running.set(clave, state);
  // another tab may have ended it while this one waited for the lock
  while (outstanding().some((c) => c.clave === clave)) {
    state.sent++;
    onOutstanding.call();
    try {
      bought(compra, await request("/transacciones", { body: { usuarioId, tokenId, precio }, key: clave }), state);
      break;
    } catch (e) {
      // nothing was decided: the same key goes on once the person has logged in again
      if (e.status === 401 || e.codigo === "sesion-terminada") break;
      if (!e.passing) {
        await refused(compra, e);
        break;
      }
      if (state.sent === 1) announce(t.underWay(compra));
      state.status = e.status;
      state.wake = new AbortController();
      await wait(pause(e, state), state.wake.signal);
    }
  }
  running.delete(clave);
  onOutstanding.call();
}

/** Until the next attempt, ms: never less than a 429 asks for, whose sender is busy and not gone. */
function pause({ status, wait: asked }, { since }) {
  if (status === 429) return asked * (1 + Math.random() / 2);
  const eager = performance.now() - since < EAGER;
  return (eager ? Math.min(asked, PATIENT) : PATIENT) * (0.5 + Math.random());
}

/** Tells of a purchase before it is forgotten; the balance follows, whose service may be silent. */
async function bought(compra, { data, pod, ms }, { sent, since }) {
  const all = performance.now() - since;
  let balance = () => [];
  const took = () => (sent > 1 ? t.tookTries({ n: sent, time: span(all) }) : span(ms));
  const sayAgain = tell("good", () => ({
    text: t.bought(compra),
    more: [...balance(), t.answeredBy({ pod, took: took() })],
    actions: [h("a", { href: `#/tienda/${compra.tokenId}` }, `${t.seePurchase} #${data.id}`)],
  }));
  drop(compra);
  noticePurchase(data);
  if (compra.usuarioId === buyer?.id) await refresh();
  const saldo = compra.usuarioId === buyer?.id ? buyer.saldo : null;
  balance = () => [saldo === null ? t.balanceUnknown(compra) : t.balanceNow({ ...compra, saldo })];
  sayAgain();
  announce(...balance());
}

async function refused(compra, failure) {
  const { say, missing } = await sayRefusal(failure, compra);
  const add = () => h("a", { href: `#/cuenta?monto=${missing}` }, t.addCredits(missing));
  tell("bad", () => ({ text: say(), more: [t.nothingCharged], actions: missing && may("tesorero") ? [add()] : [] }));
  drop(compra);
}

/** Begins: what a reload or another visit left is taken up again. */
export function startPurchases() {
  const takeUp = () => outstanding().forEach(run);
  takeUp();
  onSession.add(() => {
    takeUp();
    onOutstanding.call();
  });
  onHealth.add((service) => {
    if (service.down === null) for (const state of running.values()) if (state.status !== 429) state.wake?.abort();
  });
  onStored("compras", () => {
    takeUp();
    onOutstanding.call();
  });
}
