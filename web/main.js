// The page's frame: header, views by address, what is told in every view. Everything starts here.

import { makeAccount } from "./account.js";
import { light, lightSign, onAudit, startAudit } from "./audit.js";
import { buyer, onBuyer, startBuyer } from "./buyer.js";
import { h, icon, keepFocus, reconcile, scoped, setAttribute, setText } from "./dom.js";
import { onPurchase, onReset, purchases, startEvents } from "./events.js";
import { tellOfEnd } from "./login.js";
import { onHealth, onTick, silentNow, startMonitor } from "./monitor.js";
import { fillName, forget } from "./names.js";
import { announce, clear, tell } from "./notice.js";
import { askWho } from "./picker.js";
import { onOutstanding, outstanding, progress, startPurchases } from "./purchase.js";
import { may, onSession, session, startSession } from "./session.js";
import { makeShop } from "./shop.js";
import { load, save } from "./storage.js";
import { makeSystem } from "./system.js";
import { age, changeLanguage, language, onLanguage, t, whole } from "./text.js";
import { makeToken } from "./token.js";

const $ = (id) => document.getElementById(id);
const MAKE = { tienda: makeShop, token: makeToken, cuenta: makeAccount, sistema: makeSystem };
/** The links of the header, and the words that name them. */
const LINKS = { tienda: "shop", cuenta: "account", sistema: "system" };
const THEMES = { auto: "half", light: "sun", dark: "moon" };

let views = {};
let current = null;
/** The fields of views that are to be made anew, with what was typed. */
let kept = {};
const scrolled = {};

/** What an address means: `#/tienda/101?x=1`. */
function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const params = new URLSearchParams(query);
  if (name === "tienda" && /^[1-9]\d{0,15}$/.test(id ?? "")) return { name: "token", link: "tienda", params, id: Number(id) };
  const link = name in LINKS ? name : "tienda";
  return { name: link, link, params };
}

function go(moved = true) {
  const { name, link, params, id } = parse();
  // a dialog gives the focus back to where it came from, which is before the view takes it
  if (moved) {
    document.querySelector("dialog")?.close();
    $("view").style.minHeight = "";
  }
  if (current) {
    scrolled[current.key] = scrollY;
    views[current.name].element.hidden = true;
  }
  if (!views[name]) {
    const [view, end] = scoped(MAKE[name]);
    views[name] = { ...view, end };
    $("view").append(view.element);
    inputs(view.element).forEach((input, n) => input.replaceWith(kept[name]?.[n] ?? input));
    delete kept[name];
  }
  const { element, show } = views[name];
  element.hidden = false;
  $("opening")?.remove();
  current = { name, key: `${name}${id ?? ""}` };
  document.title = `${t[LINKS[link]]} · ${t.market}`;
  for (const a of document.querySelectorAll("#views a")) setAttribute(a, "aria-current", a.dataset.view === link && "page");
  // the reader of a screen hears where they are; a view that wants a field of its own takes the focus after this
  if (moved) element.querySelector("h1")?.focus({ preventScroll: true });
  show(params, id);
  scrollTo(0, scrolled[current.key] ?? 0);
}

function drawFrame() {
  document.documentElement.lang = language;
  setText($("skip"), t.skip);
  setText($("brand"), t.market);
  setAttribute($("views"), "aria-label", t.views);
  setAttribute($("banner"), "aria-label", t.warnings);
  setAttribute($("tray"), "aria-label", t.receipts);
  for (const a of document.querySelectorAll("#views a")) setText(a.lastElementChild, t[LINKS[a.dataset.view]]);
  const other = language === "es" ? "en" : "es";
  setText($("language"), other.toUpperCase());
  setAttribute($("language"), "aria-label", `${other.toUpperCase()}: ${t.otherLanguage}`);
  $("language").lang = other;
  drawTheme();
  drawBuyer();
  drawPill();
  drawOutstanding();
  drawBanner();
}

function theme() {
  const saved = load("tema");
  return saved in THEMES ? saved : "auto";
}

function drawTheme() {
  setAttribute(document.documentElement, "data-theme", theme() !== "auto" && theme());
  $("theme").replaceChildren(icon(THEMES[theme()]));
  for (const name of ["aria-label", "title"]) $("theme").setAttribute(name, t.themes[theme()]);
}

function drawBuyer() {
  const button = $("buyer");
  const { cuentas } = session;
  const name = cuentas ? session.nombre : buyer?.nombre;
  button.classList.toggle("primary", !name && cuentas !== null);
  // who manages others' money is not that other person
  if (!name || !buyer || (cuentas && !session.usuarioId)) {
    button.replaceChildren(icon("person"), h("span", name ?? (cuentas ? t.logIn : cuentas === null ? t.unknown : t.chooseBuyer)));
    return button.removeAttribute("aria-label");
  }
  const { nombre, saldo, missing } = buyer;
  const balance =
    missing || saldo === null ? [missing ? "?" : t.unknown] : [whole(saldo), h("span.unit", ` ${t.creditWord(saldo)}`)];
  button.replaceChildren(icon("person"), h("bdi.name", nombre), h("strong.figure", balance));
  const said = saldo === null ? t.balanceNotKnown : t.credits(saldo);
  const label = t.buyerButton({ nombre, said, what: cuentas ? t.account : t.changeWho });
  button.setAttribute("aria-label", missing ? t.buyerGone(buyer) : label);
}

function drawPill() {
  $("pill").hidden = !may("auditor");
  const [colour, pill] = [light(), $("pill")];
  if (pill.dataset.light === colour && pill.lang === language) return;
  pill.dataset.light = colour;
  pill.lang = language;
  pill.replaceChildren(icon(lightSign(colour)), h("span", t.pill[colour]));
  pill.setAttribute("aria-label", `${t.audit} ${t.pill[colour]}`);
}

function drawBanner() {
  const down = silentNow();
  const banner = $("banner");
  banner.hidden = !down.length;
  if (!down.length) return;
  const names = down.map((s) => s.name).join(", ").replace(/, ([^,]*)$/, `${t.and}$1`);
  const since = performance.now() - Math.min(...down.map((s) => s.down));
  if (banner.lang !== language) {
    banner.lang = language;
    const words = h("p", h("strong"), " ", h("span"));
    banner.replaceChildren(icon("cross"), words, h("a", { href: "#/sistema" }, t.seeSystem));
  }
  setText(banner.querySelector("strong"), t.bannerDown({ names, n: down.length, time: age(since) }));
  setText(banner.querySelector("p span"), outstanding().length ? t.bannerMore : "");
}

function drawOutstanding() {
  const list = outstanding();
  $("outstanding").hidden = !list.length;
  setText($("outstanding-title"), t.outstanding);
  const make = (c) => h("li", h("p.sentence", t.waiting(c)), h("p.quiet"));
  reconcile($("outstanding-list"), list, (c) => c.clave + language, make, (item, { clave }) =>
    setText(item.lastChild, waitingState(progress(clave))),
  );
}

function waitingState(state) {
  if (!state) return t.waitingElsewhere;
  if (state.status === 429) return t.waitingTurn;
  return state.sent > 1
    ? t.waitingLong({ n: state.sent, since: age(performance.now() - state.since) })
    : t.waitingFirst;
}

/** The newest purchase in one line, for screens that have no room for the list. */
function drawTicker() {
  const [first] = purchases();
  if (!first) return $("ticker").replaceChildren();
  const [who, what] = [fillName(h("b"), "usuarios", first.usuarioId), fillName(h("span"), "tokens", first.tokenId)];
  $("ticker").replaceChildren(who, " → ", what, ` · ${t.credits(first.precio)}`);
}

const inputs = (view) => [...view.querySelectorAll("input[name]")];

/** Makes the views anew: in another language, where what was typed and the place stay, or for another person. */
function rebuild(same) {
  kept = {};
  if (current) scrolled[current.key] = same ? scrollY : 0;
  // there is a place to stay at until the rows are there again
  if (same) $("view").style.minHeight = `${$("view").offsetHeight}px`;
  setTimeout(() => ($("view").style.minHeight = ""), 3000);
  const focused = document.activeElement !== document.body;
  for (const [name, { element, end }] of Object.entries(views)) {
    if (same) kept[name] = inputs(element);
    end();
    element.remove();
  }
  views = {};
  current = null;
  drawFrame();
  drawTicker();
  go(false);
  if (focused) keepFocus();
}

/** Puts the signs into the page, which shows them also when nobody answers any more. */
async function drawSigns() {
  try {
    const answer = await fetch("/web/signs.svg");
    document.body.append(new DOMParser().parseFromString(await answer.text(), "image/svg+xml").querySelector("svg[hidden]"));
  } catch {
    setTimeout(drawSigns, 1000);
  }
}

drawSigns();
drawFrame();
$("language").addEventListener("click", changeLanguage);
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  save("tema", names[(names.indexOf(theme()) + 1) % names.length]);
  drawTheme();
});
$("buyer").addEventListener("click", () => {
  if (session.nombre) location.hash = "#/cuenta";
  else askWho();
});
$("skip").addEventListener("click", (e) => {
  e.preventDefault();
  document.querySelector("main h1:not([hidden] *)")?.focus();
});
addEventListener("hashchange", () => go());
onLanguage.add(() => rebuild(true));
onBuyer.add(drawBuyer);
onAudit.add(drawPill);
onTick.add(() => {
  drawBanner();
  drawOutstanding();
});
onOutstanding.add(drawOutstanding);
onHealth.add((service) => {
  drawBanner();
  announce(service.down === null ? t.spokenBack(service.name) : t.spokenDown(service.name));
});
onReset.add(() => {
  forget();
  tell("info", () => ({ text: t.reset }));
});
for (const happened of [onPurchase, onReset]) happened.add(drawTicker);
history.scrollRestoration = "manual";

const inSystem = () => current?.name === "sistema";
// who it is decides what is shown
await startSession();
onSession.add((_, other) => {
  if (other) {
    // what was told and shown is another person's
    clear();
    forget();
  }
  rebuild(!other);
});
tellOfEnd();
startMonitor(inSystem);
startEvents();
startBuyer();
startPurchases();
startAudit(inSystem);
drawFrame();
go(false);
