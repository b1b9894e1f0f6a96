// What the page says of errors, by the codes of docs/ERRORS.md; written as in words.js.

export const ERROR_WORDS = {
  "saldo-insuficiente": ["El saldo no alcanza.", "The balance is not enough."],
  "token-no-disponible": ["El token ya no está libre.", "The token is no longer free."],
  "precio-cambiado": ["El precio cambió.", "The price has changed."],
  "usuario-no-encontrado": ["Quien compra ya no existe en este mercado.", "The buyer is no longer in this market."],
  "token-no-encontrado": ["Ese token ya no existe.", "That token is no longer there."],
  "saldo-excedido": ["El saldo sería demasiado grande.", "The balance would be too large."],
  "servicio-no-disponible": ["Un servicio no responde.", "A service does not answer."],
  "almacen-no-disponible": ["El almacén no acepta cambios ahora.", "The store takes no changes now."],
  "almacen-lleno": [
    "El mercado no tiene sitio para más: está lleno. Lo que hay no se pierde.",
    "The market has no room for more: it is full. What is there is safe.",
  ],
  "demasiadas-peticiones": [
    "El mercado recibe demasiadas peticiones y pide ir más despacio. Pruebe dentro de unos segundos.",
    "The market gets too many requests and asks to slow down. Try again in a few seconds.",
  ],
  "demasiadas-operaciones": [
    "Hay demasiado en curso a la vez; repita en un momento.",
    "Too much is under way at once; repeat in a moment.",
  ],
  "no-listo": ["El servicio todavía arranca, o ya termina.", "The service is still starting, or already ending."],
};
