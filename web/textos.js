// What the page says, in the reader's language: Spanish, or English where the browser prefers it.

/** `es` or `en`: the first of the browser's languages that the page knows. */
export const idioma = navigator.languages.map((l) => l.slice(0, 2)).find((l) => l === "es" || l === "en") ?? "es";
/** A whole number as the reader writes it. */
export const numero = new Intl.NumberFormat(idioma).format;
const contar = (n, uno, varios) => `${numero(n)} ${n === 1 ? uno : varios}`;

const ES = {
  usuario: "Quién compra", comprador: "Comprador", saldo: "Saldo", monto: "Monto", abonar: "Abonar", nombre: "Nombre",
  crearUsuario: "Crear usuario", catalogo: "Catálogo", buscar: "Buscar", mostrar: "Mostrar", todos: "todos",
  libres: "libres", vendidos: "vendidos", orden: "Orden", porId: "número", porPrecio: "precio", porNombre: "nombre",
  mas: "Más", nuevoToken: "Poner un token a la venta", precio: "Precio", crearToken: "Publicar", compras: "Compras",
  fecha: "Fecha", respondio: "Respondió", auditoria: "Auditoría", comprar: "Comprar", vendido: "Vendido",
  comprando: "Comprando…", reintento: (n) => `Sin respuesta; repito la misma clave (${n})…`,
  cuantos: (n) => contar(n, "token", "tokens"), creditos: (n) => contar(n, "crédito", "créditos"),
  bien: (n) => `Cuentas correctas · ${contar(n, "compra", "compras")}`, mal: (n) => `¡Cuentas incorrectas! ${contar(n, "diferencia", "diferencias")}`,
  sinAuditoria: "Auditoría sin respuesta", sinServicio: "El mercado no responde.",
  seguira: "Sin respuesta. La misma clave se repetirá al pulsar Comprar otra vez: nunca se cobra dos veces.",
};

const EN = {
  usuario: "Who buys", comprador: "Buyer", saldo: "Balance", monto: "Amount", abonar: "Add money", nombre: "Name",
  crearUsuario: "Create user", catalogo: "Catalogue", buscar: "Search", mostrar: "Show", todos: "all", libres: "free",
  vendidos: "sold", orden: "Order", porId: "number", porPrecio: "price", porNombre: "name", mas: "More",
  nuevoToken: "Offer a token", precio: "Price", crearToken: "Publish", compras: "Purchases", fecha: "Date",
  respondio: "Answered by", auditoria: "Audit", comprar: "Buy", vendido: "Sold", comprando: "Buying…",
  reintento: (n) => `No answer; sending the same key again (${n})…`,
  cuantos: (n) => contar(n, "token", "tokens"), creditos: (n) => contar(n, "credit", "credits"),
  bien: (n) => `The books are right · ${contar(n, "purchase", "purchases")}`, mal: (n) => `The books are wrong! ${contar(n, "difference", "differences")}`,
  sinAuditoria: "The audit does not answer", sinServicio: "The market does not answer.",
  seguira: "No answer. Buy again sends the same key: nobody is charged twice.",
};

export const textos = idioma === "en" ? EN : ES;

/** Fills each element that names its text. */
export function traducir() {
  document.documentElement.lang = idioma;
  for (const e of document.querySelectorAll("[data-texto]")) e.textContent = textos[e.dataset.texto];
}
