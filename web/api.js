// The market's API as the page uses it.

import { idioma, textos } from "./textos.js";

/** How long one request may take, ms: above the purchase's own deadline of 3 s. */
const PLAZO = 8000;
/** How often a purchase is sent again under its key. */
const INTENTOS = 8;

/** An answer that is no success: `codigo` of docs/ERRORS.md, or "" where nobody answered; `espera` in ms. */
export class Fallo extends Error {
  constructor(mensaje, codigo = "", status = 0, espera = 1000) {
    super(mensaje);
    Object.assign(this, { codigo, status, espera });
  }
  /** Whether the same request may be sent again: it may or may not have been done. */
  get incierto() {
    return this.status === 0 || this.status >= 500;
  }
}

let vistoPor = () => {};
/** Calls `f` with the pod's name after each answer. */
export const alResponder = (f) => { vistoPor = f; };

/** Sends a request; gives `{datos, total, siguiente}` or throws a Fallo. */
export async function pedir(ruta, { metodo = "GET", cuerpo, clave } = {}) {
  const headers = { accept: "application/json", "accept-language": idioma };
  if (cuerpo) headers["content-type"] = "application/json";
  if (clave) headers["idempotency-key"] = clave;
  let r, datos;
  try {
    r = await fetch(ruta, {
      method: metodo, headers, body: cuerpo && JSON.stringify(cuerpo), signal: AbortSignal.timeout(PLAZO),
    });
    datos = await r.json();
  } catch {
    throw new Fallo(textos.sinServicio, "", r?.ok ? 0 : r?.status ?? 0);
  }
  const pod = r.headers.get("x-pod");
  if (pod) vistoPor(pod);
  if (!r.ok) {
    const campos = (datos.errores ?? []).map((e) => `${e.campo}: ${e.detalle}`).join("; ");
    const espera = 1000 * (Number(r.headers.get("retry-after")) || 1);
    throw new Fallo(campos || datos.detail || datos.title, datos.codigo, r.status, espera);
  }
  const siguiente = /<([^>]+)>;\s*rel="?next/.exec(r.headers.get("link") ?? "")?.[1];
  return { datos, total: Number(r.headers.get("x-total-count")), siguiente };
}

/** A key that nobody else makes. `crypto.randomUUID` is missing on plain http, which a node's port is. */
export function claveNueva() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends a request that changes something until somebody says yes or no. Its key is kept in the browser until then, so
 * that the same wish, also after a reload, is the same request: it is never done twice.
 */
export async function pedirUnaVez(ruta, cuerpo, alRepetir = () => {}) {
  const deseo = `clave ${ruta} ${JSON.stringify(cuerpo)}`;
  const clave = localStorage.getItem(deseo) ?? claveNueva();
  localStorage.setItem(deseo, clave);
  for (let n = 1; ; n++) {
    try {
      const { datos } = await pedir(ruta, { metodo: "POST", cuerpo, clave });
      localStorage.removeItem(deseo);
      return datos;
    } catch (e) {
      if (!e.incierto) localStorage.removeItem(deseo);
      if (!e.incierto || n === INTENTOS) throw e;
      alRepetir(n);
      await new Promise((despertar) => setTimeout(despertar, e.espera * (0.5 + Math.random())));
    }
  }
}
