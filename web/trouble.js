// Refusals and failures in people's words.

import { Failure, request } from "./api.js";
import { find } from "./names.js";
import { t, whole } from "./text.js";

/** One sentence about a request that failed, where nothing more is known about what it was. */
export function say(failure) {
  if (!(failure instanceof Failure)) return t.broken;
  if (failure.fields.length) {
    return failure.fields.map(({ campo, detalle }) => `${t.fields[campo] ?? campo}: ${detalle}.`).join(" ");
  }
  const ours = t.errors[failure.codigo];
  if (ours) return ours;
  if (failure.uncertain) return t.noAnswer;
  return failure.message;
}

/** Why a purchase was refused: `{text, actions}` with names and figures, as far as they can be had. */
export async function sayRefusal(failure, compra) {
  const { usuarioId, tokenId, precio } = compra;
  if (failure.codigo === "saldo-insuficiente") {
    const saldo = await request(`/usuarios/${usuarioId}`).then(
      ({ data }) => data.saldo,
      () => null,
    );
    // somebody may have added money since
    const missing = saldo !== null && saldo < precio ? precio - saldo : null;
    return { text: missing === null ? t.tooPoor(compra) : t.short({ ...compra, missing }), missing };
  }
  if (failure.codigo === "token-no-disponible") {
    const sale = await request(`/transacciones?tokenId=${tokenId}&limite=1`).then(
      ({ data }) => data[0],
      () => null,
    );
    if (!sale) return { text: t.reserved(compra) };
    const owner = await find("usuarios", sale.usuarioId);
    return { text: t.alreadySold({ ...compra, owner: owner?.nombre ?? `#${sale.usuarioId}` }), sale };
  }
  if (failure.codigo === "precio-cambiado") {
    const now = await request(`/tokens/${tokenId}`).then(
      ({ data }) => data.precio,
      () => null,
    );
    return { text: now === null ? t.otherPrice(compra) : t.newPrice({ ...compra, now: whole(now) }), now };
  }
  return { text: t.refused({ ...compra, why: say(failure) }) };
}
