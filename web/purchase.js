// Buying. A purchase is kept in the browser under its key before it is sent, and is sent until somebody says yes or no:
// it is never done twice, and never lost by a reload.

import { newKey, request } from "./api.js";
import { buyer, refresh } from "./buyer.js";
import { h, signal, wait } from "./dom.js";
import { noticePurchase } from "./events.js";
import { onHealth } from "./monitor.js";
import { announce, tell } from "./notice.js";
import { inTurn, load, onStored, save } from "./storage.js";
import { span, t, whole } from "./text.js";
import { sayRefusal } from "./trouble.js";

/** For so long a purchase is repeated as often as the server likes; then every few seconds, until it is known. ms */
const EAGER = 60_000;
const PATIENT = 4000;

/** After the outstanding purchases changed. */
export const onOutstanding = signal();
/** After a purchase of this page ended: `(compra, transaccion or null)`. */
export const onEnd = signal();
/** The pods that made this page's purchases, by id. */
export const madeBy = new Map();

const running = new Map();

/** Takes note of the pod that made one of this page's purchases. */
export function made(id, pod) {
  if (pod) madeBy.set(id, pod);
  onOutstanding.call();
}

/** Purchases whose outcome is not known: `{clave, usuarioId, nombre, tokenId, token, precio}`, oldest first. */
export const outstanding = () => Object.values(load("compras", {})).filter((c) => typeof c?.clave === "string");

/** How often one of them was sent, and since when this page tries; null where another tab does. */
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

/** Buys a token for the buyer at the price that they see. A second wish for the same is the same purchase. */
export function buy(token, usuario = buyer) {
  const same = outstanding().find((c) => c.tokenId === token.id && c.usuarioId === usuario.id);
  if (same) return;
  const compra = {
    clave: newKey(),
    usuarioId: usuario.id,
    nombre: usuario.nombre,
    tokenId: token.id,
    token: token.nombre,
    precio: token.precio,
  };
  keep(compra);
  run(compra);
}

/** One tab at a time sends a purchase; where there are no locks two may, which is the same purchase. */
function run(compra) {
  if (running.has(compra.clave)) return;
  inTurn(compra.clave, () => send(compra));
}

async function send(compra) {
  const { clave, usuarioId, tokenId, precio } = compra;
  const state = { sent: 0, since: performance.now(), wake: null };
  running.set(clave, state);
  // another tab may have ended it while this one waited for the lock
  while (outstanding().some((c) => c.clave === clave)) {
    state.sent++;
    onOutstanding.call();
    try {
      const answer = await request("/transacciones", { method: "POST", body: { usuarioId, tokenId, precio }, key: clave });
      await bought(compra, answer, state);
      break;
    } catch (e) {
      if (!e.passing) {
        await refused(compra, e);
        break;
      }
      if (state.sent === 1) announce(t.underWay(compra));
      const eager = performance.now() - state.since < EAGER;
      state.wake = new AbortController();
      await wait((eager ? Math.min(e.wait, PATIENT) : PATIENT) * (0.5 + Math.random()), state.wake.signal);
    }
  }
  running.delete(clave);
  onOutstanding.call();
}

async function bought(compra, { data, pod, ms }, { sent, since }) {
  drop(compra);
  made(data.id, pod);
  noticePurchase(data);
  onEnd.call(compra, data);
  if (compra.usuarioId === buyer?.id) await refresh();
  const saldo = compra.usuarioId === buyer?.id ? buyer.saldo : null;
  const took = sent > 1 ? t.tookTries({ n: sent, time: span(performance.now() - since) }) : span(ms);
  tell({
    kind: "good",
    text: t.bought(compra),
    more: [
      saldo === null ? t.balanceUnknown(compra) : t.balanceNow({ ...compra, saldo }),
      t.answeredBy({ pod: pod ?? "?", took }),
    ],
    actions: [h("a", { href: `#/tienda/${compra.tokenId}` }, t.seePurchase(data.id))],
  });
}

async function refused(compra, failure) {
  drop(compra);
  onEnd.call(compra, null);
  const { text, missing } = await sayRefusal(failure, compra);
  const actions = missing ? [h("a", { href: `#/cuenta?monto=${missing}` }, t.addCredits(whole(missing)))] : [];
  tell({ kind: "bad", text, more: [t.nothingCharged], actions });
}

/** Begins: what a reload or another visit left is taken up again. */
export function startPurchases() {
  for (const compra of outstanding()) run(compra);
  onHealth.add((service) => {
    if (service.down === null) for (const state of running.values()) state.wake?.abort();
  });
  onStored("compras", () => {
    for (const compra of outstanding()) run(compra);
    onOutstanding.call();
  });
}
