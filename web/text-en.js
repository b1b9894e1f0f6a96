// What the page says in English.

import { whole } from "./text.js";

const count = (n, one, many) => `${whole(n)} ${n === 1 ? one : many}`;
const credits = (n) => count(n, "credit", "credits");
const who = (usuario) => usuario ?? "a user";
const what = (token) => token ?? "a token";

export const en = {
  market: "Mercado de Tokens", shop: "Shop", account: "My account", system: "System", skip: "Skip to the content", views: "Views", warnings: "Warnings", receipts: "Receipts",
  language: "Español", languageTag: "es", theme: "Theme", themes: { auto: "Theme: automatic", light: "Theme: light", dark: "Theme: dark" },
  loading: "Loading…", close: "Close", more: "Show more", unknown: "not known", unknownNow: "Not known now: the service does not answer.",
  credits, creditWord: (n) => (n === 1 ? "credit" : "credits"),
  broken: "Something failed in this page. Try again.", noAnswer: "The market does not answer.", reset: "The market began anew: what you see now is what there is.",

  whoBuys: "Who buys?", whoBuysThis: ({ nombre, precio }) => `To buy ${nombre} for ${credits(precio)}.`,
  chooseBuyer: "Choose who buys", changeBuyer: "Change", buyer: "Buyer", searchUser: "Search by name or number", newUser: "Create a user",
  moreUsers: (n) => `${whole(n)} more: keep typing.`, nobody: (text) => `Nobody is called “${text}”.`, noUsers: "There are no users yet.",
  buyerButton: ({ nombre, saldo }) => `${nombre}, ${saldo === null ? "balance not known" : credits(saldo)}. Change who buys`,

  catalogue: "Catalogue", search: "Search", searchHint: "gato, luna…", show: "Show", all: "All", onlyFree: "Free", onlySold: "Sold",
  priceFrom: "Price from", priceTo: "to", order: "Order", byNumber: "Number", byNewest: "Newest", byPrice: "Price, lowest", byPriceDown: "Price, highest",
  byName: "Name", found: (n) => count(n, "token", "tokens"), buy: "Buy", buying: "Buying…", sold: "Sold", free: "Free",
  buyThis: ({ nombre, precio }) => `Buy ${nombre} for ${credits(precio)}`, pictureOf: (nombre) => `Picture of ${nombre}`,
  noResults: "No token matches.", clearFilter: "Clear the filters", noTokens: "There is nothing for sale yet.",
  publishFirst: "Publish the first token", comesBack: "This page keeps asking and fills by itself.", correctFilter: "Correct the filters.",
  recent: "Latest purchases", noPurchases: "Nobody has bought anything yet.", notLive: "No news now: this is the last that was heard.",

  backToShop: "Back to the shop", noSuchToken: "There is no such token.", onePurchase: "There is only one: one person can buy it.", owner: "Owner",
  ownerUnknown: "Not known who has it.", purchase: "Purchase", paid: "Paid", date: "Date", madeBy: "Made by the pod",

  bought: ({ nombre, token, precio }) => `${nombre} bought ${token} for ${credits(precio)}.`,
  balanceNow: ({ nombre, saldo }) => `${nombre} has ${credits(saldo)} left.`, balanceUnknown: ({ nombre }) => `The balance of ${nombre} is not known now.`,
  answeredBy: ({ pod, took }) => `${pod} answered in ${took}.`, tookTries: ({ n, time }) => `${time}, when sent for the ${n}th time`,
  seePurchase: (id) => `See purchase #${id}`, nothingCharged: "Nothing was charged.", addCredits: (n) => `Add ${n} credits`,
  underWay: ({ nombre, token }) => `No answer yet to the purchase of ${token} for ${nombre}; it is repeated by itself.`,
  short: ({ nombre, token, missing }) => `${nombre} is ${credits(missing)} short of ${token}.`,
  tooPoor: ({ nombre, token }) => `The balance of ${nombre} was not enough for ${token}.`,
  reserved: ({ token }) => `${token} is held for another purchase right now. Try again in a few seconds.`,
  alreadySold: ({ token, owner }) => `${token} is sold already: ${owner} has it.`,
  otherPrice: ({ token }) => `The price of ${token} has changed.`,
  newPrice: ({ token, precio, now }) => `${token} costs ${now} credits now, not ${whole(precio)}. If that is right, buy again.`,
  refused: ({ nombre, token, why }) => `${nombre} could not buy ${token}. ${why}`,
  outstanding: "Purchases under way", waiting: ({ nombre, token, precio }) => `${nombre} buys ${token} for ${credits(precio)}`,
  waitingState: (n, since) => (n > 1 ? `No answer for ${since}; sent ${whole(n)} times under the same key, so it is charged once at most.` : "Sent; waiting for the answer."),
  waitingElsewhere: "Another tab sends it.",

  noBuyer: "Choose who you are, or create a user.", buyerGone: ({ nombre }) => `${nombre} is no longer in this market. Choose somebody else.`,
  balance: "Balance", myTokens: "My tokens", noTokensYet: "None yet.", tokensOwned: (n) => count(n, "token", "tokens"), myPurchases: "My purchases",
  ledger: "Ledger", number: "Number", token: "Token", price: "Price", kind: "What", amount: "Amount", nothingYet: "Nothing yet.",
  tooMany: "There are too many rows: these are the first.", notYet: "not confirmed",
  movements: { apertura: "Opening balance", ajuste: "Edited by hand", abono: "Money added", cargo: "Purchase" },
  addMoney: "Add money", add: "Add", added: ({ nombre, monto }) => `${credits(monto)} were added for ${nombre}.`,
  abonoUncertain: "No answer: it is not known whether the money arrived. Press Add again: it goes under the same key, and arrives once.",
  name: "Name", openingBalance: "Opening balance", create: "Create", userMade: ({ nombre, saldo }) => `${nombre} is in the market, with ${credits(saldo)}.`,
  nowBuyer: ({ nombre }) => `${nombre} buys now.`, userUncertain: "No answer: it is not known whether the user was created. Look in the list before you repeat it.",
  publishTitle: "Publish a token", publish: "Publish", published: ({ nombre, precio }) => `${nombre} is for sale for ${credits(precio)}.`, seeIt: "See it",
  tokenUncertain: "No answer: it is not known whether the token was published. Look in the shop before you repeat it.", checkFields: "Look at the marked fields.",
  fields: { nombre: "Name", precio: "Price", saldo: "Balance", monto: "Amount", precioMin: "Price from", precioMax: "Price to", usuarioId: "Buyer", tokenId: "Token" },

  systemSays: "What this page sees with its own requests.", services: "Services", pod: "Pod", share: "Answers", errorsWord: "Errors",
  kindUnknown: "Not known yet how this market runs.", kindOne: "One process is all three services: there is one pod.", kindMany: "Three services; each pod that answered within the last 10 s.",
  podsOf: (name) => `Pods of ${name}`, answers: "answers", notKnownYet: "not known yet", silentFor: (time) => `no answer for ${time}`,
  isBack: (time, after) => `back for ${time}, after ${after}`, lastSeen: (time) => `silent for ${time}`,
  bannerDown: (names, time) => `${names} ${names.includes(" and ") ? "have" : "has"} not answered for ${time}.`, and: " and ",
  bannerMore: "Outstanding purchases are repeated by themselves.", seeSystem: "See the system", spokenDown: (name) => `${name} does not answer.`, spokenBack: (name) => `${name} is back.`,
  audit: "Is the money right?", purchases: "Purchases", pending: "Pending", oldestPending: "The oldest", moneyRight: "The money is right", moneyWrong: "The money is wrong",
  moneyUnknown: "Not known", auditSilent: (time) => `The audit has not answered for ${time}.`, lastVerdict: (right, time) => `${time} ago it was ${right ? "right" : "wrong"}.`,
  checkedAgo: (time) => `Checked ${time} ago`, atLeast: (time) => `at least ${time}`,
  pill: { right: "Right", wrong: "Wrong", unknown: "Not known" },
  differences: {
    "transaccion-sin-cargo": ({ id, usuario, token, monto }) => `Purchase${id ? ` #${id}` : ""} of ${what(token)} is recorded, but ${who(usuario)} was not charged the ${monto ?? "?"} credits.`,
    "transaccion-sin-venta": ({ id, usuario, token }) => `Purchase${id ? ` #${id}` : ""} by ${who(usuario)} is recorded, but ${what(token)} is not marked as sold.`,
    "cargo-sin-transaccion": ({ usuario, monto }) => `${usuario ?? "A user"} was charged ${monto ?? "?"} credits for no purchase.`,
    "venta-sin-transaccion": ({ usuario, token, monto }) => `${token ?? "A token"} is marked as sold to ${who(usuario)} for ${monto ?? "?"} credits without a purchase.`,
    "cargo-distinto": ({ usuario, monto }) => `${usuario ?? "A user"} was charged ${monto ?? "?"} credits, and the purchase says otherwise.`,
    "venta-distinta": ({ usuario, token, monto }) => `${token ?? "A token"} is marked as sold to ${who(usuario)} for ${monto ?? "?"} credits, and the purchase says otherwise.`,
    "saldo-descuadrado": ({ usuario, n }) => (usuario ? `The balance of ${usuario} is not the sum of its ledger.` : `${n ?? "Some"} ${n === "1" ? "balance is" : "balances are"} not the sum of the ledger.`),
  },
  timeline: "The last five minutes", requestsASecond: "Requests a second", answerTime: "Time to answer", purchasesASecond: "Purchases a second", refusals: "Refusals",
  silent: "No answer", notWatched: "Not watched", asTable: "See as a table", time: "Time", requests: "Requests", now: "now",
  lastSecond: "The last second", secondsAgo: (n, at) => `${n} s ago (${at})`, nothingSent: "nothing sent", nRequests: (n) => count(n, "request", "requests"), nErrors: (n) => count(n, "error", "errors"),
  nPurchases: (n) => count(n, "purchase", "purchases"), nRefusals: (n) => count(n, "refusal", "refusals"), wasSilent: (name) => `no answer of ${name}`,
  went: (pod) => `${pod} stopped answering`, came: (pod) => `first answer of ${pod}`,
  asTheyCommit: "Purchases as they commit", podUnknown: "pod not seen",
  burst: "A burst", burstSays: "Reads of the catalogue, or purchases of tokens that this page publishes for that, by a user of its own.", what: "What", reads: "Reads", howMany: "How many", aSecond: "A second",
  start: "Start", stop: "Stop", spread: "How it spread", publishing: (i, n) => `Publishing ${i} of ${n} tokens…`, burstDone: "Done.",
  burstState: ({ done, n, aSecond, good, refused, uncertain }) => `${done} of ${n}, ${aSecond} a second: ${whole(good)} well, ${whole(refused)} refused, ${whole(uncertain)} unanswered.`,
  trialToken: "Trial", trialUser: "Load trial", noPod: "(nobody)",
  visits: "Visits", visitAgain: "Count another", visitsShared: (pod) => `All pods count together, in Redis. Counted by ${pod}.`, visitsAlone: (pod) => `Each pod counts alone. Counted by ${pod}.`,

  errors: {
    "saldo-insuficiente": "The balance is not enough.", "token-no-disponible": "The token is no longer free.", "precio-cambiado": "The price has changed.",
    "usuario-no-encontrado": "The buyer is no longer in this market.", "token-no-encontrado": "That token is no longer there.", "saldo-excedido": "The balance would be too large.",
    "servicio-no-disponible": "A service does not answer.", "almacen-no-disponible": "The store takes no changes now.", "almacen-lleno": "The store is full.", "no-listo": "The service is starting or leaving.",
  },
};
