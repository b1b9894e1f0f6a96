// Refusals and failures in people's words.

import { ask, Failure } from "./api.js";
import { find } from "./names.js";
import { t } from "./text.js";

/** One sentence about a request that failed, where nothing more is known about what it was. */
export function say(failure) {
  if (!(failure instanceof Failure)) return t.broken;
  if (failure.fields.length) {
    // the API calls fields by other names than the forms
    const ours = (name) => (t.fields[name] ? `«${t.fields[name]}»` : name);
    const said = ({ campo, detalle }) => `${t.fields[campo] ?? campo}: ${detalle.replace(/\b[a-z]+[A-Z]\w+\b/g, ours)}.`;
    return failure.fields.map(said).join(" ");
  }
  // a proxy on the way may refuse by the number alone
  const codigo = failure.status === 429 ? "demasiadas-peticiones" : failure.codigo;
  return t.errors[codigo] ?? (failure.uncertain ? t.noAnswer : failure.message);
}

/** Why a purchase was refused, with names and figures as far as they can be had: `say` gives the sentence. */
export async function sayRefusal(failure, compra) {
  const { usuarioId, tokenId, precio } = compra;
  if (failure.codigo === "saldo-insuficiente") {
    const missing = precio - (await ask(`/usuarios/${usuarioId}`, (u) => u.saldo, precio));
    // somebody may have added money since
    return missing > 0 ? { say: () => t.short({ ...compra, missing }), missing } : { say: () => t.tooPoor(compra) };
  }
  if (failure.codigo === "token-no-disponible") {
    const [sale, sold] = await Promise.all([
      ask(`/transacciones?tokenId=${tokenId}&limite=1`, ([first]) => first),
      ask(`/tokens/${tokenId}`, (token) => token.vendido),
    ]);
    const owner = sale && (await find("usuarios", sale.usuarioId));
    if (sale) return { say: () => t.alreadySold({ ...compra, owner: owner?.nombre ?? `#${sale.usuarioId}` }) };
    // with accounts, others' purchases are not shown to everybody
    if (sold === false) return { say: () => t.reserved(compra) };
  }
  if (failure.codigo === "precio-cambiado") {
    const now = await ask(`/tokens/${tokenId}`, (token) => token.precio);
    return { say: () => (now === null ? t.otherPrice(compra) : t.newPrice({ ...compra, now })) };
  }
  return { say: () => t.refused({ ...compra, why: say(failure) }) };
}
