// Who has logged in, where the market has accounts. The token is in a cookie that no script sees. Without accounts everything may
// be tried, as the API does.

import { onAnswer, request } from "./api.js";
import { every, signal, wait } from "./dom.js";
import { onStored, save } from "./storage.js";

/** Between two renewals, ms: a session lasts 15 minutes without one. */
const RENEW = 600_000;
/** Between two looks at whether one is due, ms. */
const LOOK = 15_000;
/** For so long the page waits at its start to know who it is for, ms. */
const PATIENCE = 700;

/**
 * `cuentas`: whether people log in here, null while that is not known; who has logged in has `nombre` and `roles`, and a
 * comprador `usuarioId`. While it is not known, a person may try what waits for an answer anyway: to look, and to buy.
 */
export let session = { cuentas: null, roles: ["comprador", "auditor"] };
/** After somebody logged in or out, or a session ended: `(ended, other)`; `other` is whether it is another person. */
export const onSession = signal();

let renewed = -Infinity;
let turn = 0;

/** Whether the person may do what one of these roles may. */
export const may = (...roles) => session.cuentas === false || roles.some((role) => session.roles?.includes(role));

/** Whether the person chooses who it is about: in a market without accounts, and where one adds money to others' balances. */
export const mayChoose = () => session.cuentas === false || (may("tesorero") && !session.usuarioId);

function take(now, ended = false) {
  const before = session;
  session = now;
  const differs = (name) => String(before[name]) !== String(now[name]);
  if (["cuentas", "nombre", "roles", "usuarioId"].some(differs)) onSession.call(ended, before.nombre !== now.nombre);
}

async function look() {
  const mine = ++turn;
  const { data } = await request("/cuenta", { fresh: true });
  if (mine === turn) take(data);
}
const lookAgain = () => look().catch(() => {});

/** Logs in. */
export async function logIn({ nombre, contrasena }) {
  await request("/sesiones", { body: { nombre, contrasena, cookie: true } });
  renewed = performance.now();
  await tellAll();
}

/** Logs out. */
export async function logOut() {
  await request("/sesiones", { method: "DELETE" });
  await tellAll();
}

/** The cookie is that of all tabs: the others look, too. */
function tellAll() {
  save("sesion", Date.now());
  return look();
}

async function renew() {
  if (!session.nombre || performance.now() - renewed < RENEW) return;
  const before = renewed;
  renewed = performance.now();
  try {
    await request("/sesiones/renovacion", { method: "POST" });
  } catch (e) {
    // no answer is no end
    if (e.passing) renewed = before;
  }
}

/** The server's word that the session is over, or another one. A probe that is refused shows only that somebody is there. */
function heard({ service, status, codigo, probe }) {
  const refused = status === 401 || codigo === "sesion-terminada";
  if (session.cuentas === null) {
    if (refused) take({ cuentas: true });
    else if (probe && service === "usuarios" && status > 0 && status < 429) lookAgain();
  } else if (!probe && session.nombre) {
    if (refused) take({ cuentas: true }, true);
    else if (status === 403) lookAgain();
  }
}

/** Begins; called once. Who it is for may still not be known after it: then that is asked as soon as somebody answers. */
export async function startSession() {
  onAnswer.add(heard);
  onStored("sesion", lookAgain);
  every(LOOK, renew);
  document.addEventListener("visibilitychange", () => document.hidden || renew());
  await Promise.race([lookAgain().then(renew), wait(PATIENCE)]);
}
