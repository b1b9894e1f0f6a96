// Refusals and failures in people's words.

import { ask, Failure } from "./api.js";
import { find } from "./names.js";
import { t } from "./text.js";

/** One sentence about a request that failed, where nothing more is known about what it was. */
export function say(failure) {
  if (!(failure instanceof Failure)) return t.broken;
  if (failure.fields.length) {
    return failure.fields.map(({ campo, detalle }) => `${t.fields[campo] ?? campo}: ${detalle}.`).join(" ");
  }
  // a proxy on the way may refuse by the number alone
  const codigo = failure.status === 429 ? "demasiadas-peticiones" : failure.codigo;
  return t.errors[codigo] ?? (failure.uncertain ? t.noAnswer : failure.message);
}

/** Why a purchase was refused, with names and figures as far as they can be had: `{text, missing}`. */
export async function sayRefusal(failure, compra) {
  const { usuarioId, tokenId, precio } = compra;
  if (failure.codigo === "saldo-insuficiente") {
    const missing = precio - (await ask(`/usuarios/${usuarioId}`, (u) => u.saldo, precio));
    // somebody may have added money since
    return missing > 0 ? { text: t.short({ ...compra, missing }), missing } : { text: t.tooPoor(compra) };
  }
  if (failure.codigo === "token-no-disponible") {
    const sale = await ask(`/transacciones?tokenId=${tokenId}&limite=1`, ([first]) => first);
    if (!sale) return { text: t.reserved(compra) };
    const owner = await find("usuarios", sale.usuarioId);
    return { text: t.alreadySold({ ...compra, owner: owner?.nombre ?? `#${sale.usuarioId}` }) };
  }
  if (failure.codigo === "precio-cambiado") {
    const now = await ask(`/tokens/${tokenId}`, (token) => token.precio);
    return { text: now === null ? t.otherPrice(compra) : t.newPrice({ ...compra, now }) };
  }
  return { text: t.refused({ ...compra, why: say(failure) }) };
}
