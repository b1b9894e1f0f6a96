// Who has logged in, where the market has accounts. The token is in a cookie that no script sees. Without accounts everything may
// be tried, as the API does.

import { onAnswer, request } from "./api.js";
import { every, signal } from "./dom.js";

/** Between two renewals, ms: a session lasts 15 minutes without one. */
const RENEW = 600_000;
/** Between two looks at whether one is due, ms. */
const LOOK = 15_000;

/** `cuentas`: whether people log in here; who has logged in has `nombre` and `roles`, and a comprador `usuarioId`. */
export let session = { cuentas: false };
/** After somebody logged in or out, or a session ended: `(ended)`. */
export const onSession = signal();

let renewed = -Infinity;

/** Whether the person may do what one of these roles may. */
export const may = (...roles) => !session.cuentas || roles.some((role) => session.roles?.includes(role));

/** Whether the person chooses who it is about: in a market without accounts, and where one adds money to others' balances. */
export const mayChoose = () => !session.cuentas || (may("tesorero") && !session.usuarioId);

async function look(ended = false) {
  const { data } = await request("/cuenta", { fresh: true });
  const changed = JSON.stringify([data.cuentas, data.nombre, data.roles]) !== JSON.stringify([session.cuentas, session.nombre, session.roles]);
  session = data;
  if (changed) onSession.call(ended);
}

/** Logs in. */
export async function logIn({ nombre, contrasena }) {
  await request("/sesiones", { body: { nombre, contrasena, cookie: true } });
  renewed = performance.now();
  await look();
}

/** Logs out. */
export async function logOut() {
  await request("/sesiones", { method: "DELETE" });
  await look();
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

/** The server's word that the session is over; a probe that is refused shows only that somebody is there. */
function heard({ status, codigo, probe }) {
  if (probe || !session.nombre || !(status === 401 || codigo === "sesion-terminada")) return;
  session = { cuentas: true };
  onSession.call(true);
}

/** Begins; called once. Without an answer it is asked again until there is one. */
export async function startSession() {
  onAnswer.add(heard);
  every(LOOK, renew);
  document.addEventListener("visibilitychange", () => document.hidden || renew());
  try {
    await look();
    renew();
  } catch {
    const again = setInterval(() => look().then(() => clearInterval(again), () => {}), LOOK);
  }
}
