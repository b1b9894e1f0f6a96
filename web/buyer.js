// Who buys. The choice is the person's: it survives a reload, and nothing but the person changes it.

import { request } from "./api.js";
import { every, signal } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { onHealth } from "./monitor.js";
import { learn } from "./names.js";
import { onSession, session } from "./session.js";
import { load, onStored, save } from "./storage.js";

/** Between two looks at the balance while the page is seen, ms. */
const EVERY = 15_000;

/** The buyer: `{id, nombre, saldo, missing}`, or null. `saldo` is null while it is not known. */
export let buyer = fromStorage();
/** After the buyer or what is known of them changed. */
export const onBuyer = signal();

function fromStorage() {
  const saved = load("comprador");
  return Number.isSafeInteger(saved?.id) ? { id: saved.id, nombre: String(saved.nombre), saldo: null, missing: false } : null;
}

export function choose({ id, nombre, saldo = null }) {
  buyer = { id, nombre, saldo, missing: false };
  keep();
  onBuyer.call();
  return refresh();
}

/** Where people log in, it is the session that says who buys. */
function keep() {
  if (session.cuentas === false) save("comprador", { id: buyer.id, nombre: buyer.nombre });
}

function settle() {
  if (session.cuentas) {
    const { usuarioId: id, nombre } = session;
    buyer = id ? { id, nombre, saldo: null, missing: false } : null;
    onBuyer.call();
  }
  refresh();
}

/** Asks for the balance. Without an answer it is not known; a user that is gone is said to be, and stays chosen. */
export async function refresh() {
  const mine = buyer;
  if (!mine) return;
  let now;
  try {
    const { data } = await request(`/usuarios/${mine.id}`);
    learn("usuarios", [data]);
    now = { ...data, missing: false };
  } catch (e) {
    now = { ...mine, saldo: null, missing: e.status === 404 };
  }
  if (buyer?.id !== mine.id) return;
  const changed = ["nombre", "saldo", "missing"].some((field) => buyer[field] !== now[field]);
  buyer = now;
  if (!now.missing) keep();
  if (changed) onBuyer.call();
}

export function startBuyer() {
  settle();
  onSession.add(settle);
  onPurchase.add((transaccion, live) => {
    if (live && transaccion.usuarioId === buyer?.id) refresh();
  });
  onHealth.add((service) => {
    if (service.name === "usuarios") refresh();
  });
  onReset.add(refresh);
  onStored("comprador", () => {
    if (session.cuentas) return;
    buyer = fromStorage();
    onBuyer.call();
    refresh();
  });
  every(EVERY, refresh);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
}
