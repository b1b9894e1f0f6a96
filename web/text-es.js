// What the page says in Spanish.

import { whole } from "./text.js";

const count = (n, one, many) => `${whole(n)} ${n === 1 ? one : many}`;
const credits = (n) => count(n, "crédito", "créditos");
const who = (usuario) => usuario ?? "un usuario";
const what = (token) => token ?? "un token";

export const es = {
  market: "Mercado de Tokens", shop: "Tienda", account: "Mi cuenta", system: "Sistema", skip: "Ir al contenido", views: "Vistas", warnings: "Avisos", receipts: "Recibos",
  language: "English", languageTag: "en", theme: "Tema", themes: { auto: "Tema: automático", light: "Tema: claro", dark: "Tema: oscuro" },
  loading: "Cargando…", close: "Cerrar", more: "Mostrar más", unknown: "no se sabe", unknownNow: "No se sabe ahora: el servicio no responde.",
  credits, creditWord: (n) => (n === 1 ? "crédito" : "créditos"),
  broken: "Algo falló en esta página. Vuelva a intentarlo.", noAnswer: "El mercado no responde.", reset: "El mercado empezó de nuevo: lo que se ve ahora es lo que hay.",

  whoBuys: "¿Quién compra?", whoBuysThis: ({ nombre, precio }) => `Para comprar ${nombre} por ${credits(precio)}.`,
  chooseBuyer: "Elegir quién compra", changeBuyer: "Cambiar", buyer: "Compra", searchUser: "Buscar por nombre o número", newUser: "Crear un usuario",
  moreUsers: (n) => `Hay ${whole(n)} más: siga escribiendo.`, nobody: (text) => `Nadie se llama «${text}».`, noUsers: "Todavía no hay usuarios.",
  buyerButton: ({ nombre, saldo }) => `${nombre}, ${saldo === null ? "saldo desconocido" : credits(saldo)}. Cambiar quién compra`,

  catalogue: "Catálogo", search: "Buscar", searchHint: "gato, luna…", show: "Mostrar", all: "Todos", onlyFree: "Libres", onlySold: "Vendidos",
  priceFrom: "Precio desde", priceTo: "hasta", order: "Orden", byNumber: "Número", byNewest: "Más nuevos", byPrice: "Precio, menor", byPriceDown: "Precio, mayor",
  byName: "Nombre", found: (n) => count(n, "token", "tokens"), buy: "Comprar", buying: "Comprando…", sold: "Vendido", free: "Libre",
  buyThis: ({ nombre, precio }) => `Comprar ${nombre} por ${credits(precio)}`, pictureOf: (nombre) => `Imagen de ${nombre}`,
  noResults: "Ningún token coincide con la búsqueda.", clearFilter: "Quitar los filtros", noTokens: "Todavía no hay nada a la venta.",
  publishFirst: "Publicar el primer token", comesBack: "Esta página sigue preguntando y se llenará sola.", correctFilter: "Corrija los filtros.",
  recent: "Últimas compras", noPurchases: "Nadie ha comprado todavía.", notLive: "Sin noticias ahora: se ve lo último que se supo.",

  backToShop: "Volver a la tienda", noSuchToken: "Ese token no existe.", onePurchase: "Es único: solo una persona puede comprarlo.", owner: "Lo tiene",
  ownerUnknown: "No se sabe quién lo tiene.", purchase: "Compra", paid: "Pagó", date: "Fecha", madeBy: "La hizo el pod",

  bought: ({ nombre, token, precio }) => `${nombre} compró ${token} por ${credits(precio)}.`,
  balanceNow: ({ nombre, saldo }) => `A ${nombre} le quedan ${credits(saldo)}.`, balanceUnknown: ({ nombre }) => `El saldo de ${nombre} no se sabe ahora.`,
  answeredBy: ({ pod, took }) => `Respondió ${pod} en ${took}.`, tookTries: ({ n, time }) => `${time}, al envío número ${n}`,
  seePurchase: (id) => `Ver la compra #${id}`, nothingCharged: "No se cobró nada.", addCredits: (n) => `Agregar ${n} créditos`,
  underWay: ({ nombre, token }) => `Aún no hay respuesta a la compra de ${token} para ${nombre}; se repite sola.`,
  short: ({ nombre, token, missing }) => `A ${nombre} le ${missing === 1 ? "falta" : "faltan"} ${credits(missing)} para ${token}.`,
  tooPoor: ({ nombre, token }) => `A ${nombre} no le alcanzaba el saldo para ${token}.`,
  reserved: ({ token }) => `${token} está apartado para otra compra en este momento. Pruebe dentro de unos segundos.`,
  alreadySold: ({ token, owner }) => `${token} ya se vendió: lo tiene ${owner}.`,
  otherPrice: ({ token }) => `El precio de ${token} cambió.`,
  newPrice: ({ token, precio, now }) => `${token} ahora cuesta ${now} créditos, no ${whole(precio)}. Si le parece bien, compre otra vez.`,
  refused: ({ nombre, token, why }) => `${nombre} no pudo comprar ${token}. ${why}`,
  outstanding: "Compras en camino", waiting: ({ nombre, token, precio }) => `${nombre} compra ${token} por ${credits(precio)}`,
  waitingState: (n, since) => (n > 1 ? `Sin respuesta desde hace ${since}; enviada ${whole(n)} veces con la misma clave, así que se cobra una vez como máximo.` : "Enviada; esperando la respuesta."),
  waitingElsewhere: "La envía otra pestaña.",

  noBuyer: "Elija quién es, o cree un usuario.", buyerGone: ({ nombre }) => `${nombre} ya no existe en este mercado. Elija otra persona.`,
  balance: "Saldo", myTokens: "Mis tokens", noTokensYet: "Todavía ninguno.", tokensOwned: (n) => count(n, "token", "tokens"), myPurchases: "Mis compras",
  ledger: "Movimientos", number: "Número", token: "Token", price: "Precio", kind: "Qué", amount: "Monto", nothingYet: "Nada todavía.",
  tooMany: "Hay demasiadas filas: se ven las primeras.", notYet: "sin confirmar",
  movements: { apertura: "Saldo inicial", ajuste: "Ajuste a mano", abono: "Abono", cargo: "Compra" },
  addMoney: "Agregar dinero", add: "Agregar", added: ({ nombre, monto }) => `Se agregaron ${credits(monto)} a ${nombre}.`,
  abonoUncertain: "Sin respuesta: no se sabe si el dinero llegó. Pulse Agregar otra vez: va con la misma clave, y llega una sola vez.",
  name: "Nombre", openingBalance: "Saldo inicial", create: "Crear", userMade: ({ nombre, saldo }) => `${nombre} ya está en el mercado, con ${credits(saldo)}.`,
  nowBuyer: ({ nombre }) => `Ahora compra ${nombre}.`, userUncertain: "Sin respuesta: no se sabe si se creó. Búsquelo en la lista antes de repetir.",
  publishTitle: "Publicar un token", publish: "Publicar", published: ({ nombre, precio }) => `${nombre} está a la venta por ${credits(precio)}.`, seeIt: "Verlo",
  tokenUncertain: "Sin respuesta: no se sabe si se publicó. Búsquelo en la tienda antes de repetir.", checkFields: "Revise los campos marcados.",
  fields: { nombre: "Nombre", precio: "Precio", saldo: "Saldo", monto: "Monto", precioMin: "Precio desde", precioMax: "Precio hasta", usuarioId: "Comprador", tokenId: "Token" },

  systemSays: "Lo que esta página ve con sus propias peticiones.", services: "Servicios", pod: "Pod", share: "Respuestas", errorsWord: "Errores",
  kindUnknown: "No se sabe aún cómo corre este mercado.", kindOne: "Un solo proceso hace de los tres servicios: hay un pod.", kindMany: "Tres servicios; cada pod que respondió en los últimos 10 s.",
  podsOf: (name) => `Pods de ${name}`, answers: "responde", notKnownYet: "aún no se sabe", silentFor: (time) => `no responde desde hace ${time}`,
  isBack: (time, after) => `volvió hace ${time}, tras ${after}`, lastSeen: (time) => `calla hace ${time}`,
  bannerDown: (names, time) => `${names} no ${names.includes(" y ") ? "responden" : "responde"} desde hace ${time}.`, and: " y ",
  bannerMore: "Las compras pendientes se repiten solas.", seeSystem: "Ver el sistema", spokenDown: (name) => `${name} no responde.`, spokenBack: (name) => `${name} volvió.`,
  audit: "¿Cuadra el dinero?", purchases: "Compras", pending: "Pendientes", oldestPending: "La más antigua", moneyRight: "El dinero cuadra", moneyWrong: "El dinero no cuadra",
  moneyUnknown: "No se sabe", auditSilent: (time) => `La auditoría no responde desde hace ${time}.`, lastVerdict: (right, time) => `Hace ${time} ${right ? "cuadraba" : "no cuadraba"}.`,
  checkedAgo: (time) => `Revisado hace ${time}`, atLeast: (time) => `al menos ${time}`,
  pill: { right: "Cuadra", wrong: "No cuadra", unknown: "No se sabe" },
  differences: {
    "transaccion-sin-cargo": ({ id, usuario, token, monto }) => `La compra${id ? ` #${id}` : ""} de ${what(token)} está anotada, pero a ${who(usuario)} no se le cobraron los ${monto ?? "?"} créditos.`,
    "transaccion-sin-venta": ({ id, usuario, token }) => `La compra${id ? ` #${id}` : ""} de ${who(usuario)} está anotada, pero ${what(token)} no figura como vendido.`,
    "cargo-sin-transaccion": ({ usuario, monto }) => `A ${who(usuario)} se le cobraron ${monto ?? "?"} créditos sin ninguna compra.`,
    "venta-sin-transaccion": ({ usuario, token, monto }) => `${token ?? "Un token"} figura como vendido a ${who(usuario)} por ${monto ?? "?"} créditos sin ninguna compra.`,
    "cargo-distinto": ({ usuario, monto }) => `A ${who(usuario)} se le cobraron ${monto ?? "?"} créditos, y la compra dice otra cosa.`,
    "venta-distinta": ({ usuario, token, monto }) => `${token ?? "Un token"} figura como vendido a ${who(usuario)} por ${monto ?? "?"} créditos, y la compra dice otra cosa.`,
    "saldo-descuadrado": ({ usuario, n }) => (usuario ? `El saldo de ${usuario} no es la suma de sus movimientos.` : `${n ?? "Algún"} ${n === "1" || !n ? "saldo no es" : "saldos no son"} la suma de sus movimientos.`),
  },
  timeline: "Los últimos cinco minutos", requestsASecond: "Peticiones por segundo", answerTime: "Tiempo de respuesta", purchasesASecond: "Compras por segundo", refusals: "Rechazos",
  silent: "Sin respuesta", notWatched: "No se miraba", asTable: "Ver como tabla", time: "Hora", requests: "Peticiones", now: "ahora",
  lastSecond: "El último segundo", secondsAgo: (n, at) => `Hace ${n} s (${at})`, nothingSent: "nada enviado", nRequests: (n) => count(n, "petición", "peticiones"), nErrors: (n) => count(n, "error", "errores"),
  nPurchases: (n) => count(n, "compra", "compras"), nRefusals: (n) => count(n, "rechazo", "rechazos"), wasSilent: (name) => `${name} sin respuesta`,
  went: (pod) => `${pod} dejó de responder`, came: (pod) => `${pod} respondió por primera vez`,
  asTheyCommit: "Compras, según se confirman", podUnknown: "pod no visto",
  burst: "Una ráfaga", burstSays: "Lecturas del catálogo, o compras de tokens que esta página publica para eso, con un usuario propio.", what: "Qué", reads: "Lecturas", howMany: "Cuántas", aSecond: "Por segundo",
  start: "Lanzar", stop: "Parar", spread: "Cómo se repartió", publishing: (i, n) => `Publicando ${i} de ${n} tokens…`, burstDone: "Terminó.",
  burstState: ({ done, n, aSecond, good, refused, uncertain }) => `${done} de ${n}, ${aSecond} por segundo: ${whole(good)} bien, ${whole(refused)} rechazadas, ${whole(uncertain)} sin respuesta.`,
  trialToken: "Ensayo", trialUser: "Ensayo de carga", noPod: "(nadie)",
  visits: "Visitas", visitAgain: "Contar otra", visitsShared: (pod) => `Todos los pods cuentan juntos, en Redis. Contó ${pod}.`, visitsAlone: (pod) => `Cada pod cuenta por su lado. Contó ${pod}.`,

  errors: {
    "saldo-insuficiente": "El saldo no alcanza.", "token-no-disponible": "El token ya no está libre.", "precio-cambiado": "El precio cambió.",
    "usuario-no-encontrado": "Quien compra ya no existe en este mercado.", "token-no-encontrado": "Ese token ya no existe.", "saldo-excedido": "El saldo sería demasiado grande.",
    "servicio-no-disponible": "Un servicio no responde.", "almacen-no-disponible": "El almacén no acepta cambios ahora.", "almacen-lleno": "El almacén está lleno.", "no-listo": "El servicio está arrancando o por irse.",
  },
};
