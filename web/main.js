// The page's frame: header, views by address, what is told in every view. Everything starts here.

import { light, onAudit, startAudit } from "./audit.js";
import { makeAccount } from "./account.js";
import { buyer, onBuyer, startBuyer } from "./buyer.js";
import { h, icon, reconcile, scoped, setAttribute, setText } from "./dom.js";
import { onPurchase, onReset, startEvents } from "./events.js";
import { onHealth, onTick, SERVICES, services, startMonitor } from "./monitor.js";
import { fillName, forget } from "./names.js";
import { announce, tell } from "./notice.js";
import { pick } from "./picker.js";
import { onOutstanding, outstanding, progress, startPurchases } from "./purchase.js";
import { makeShop } from "./shop.js";
import { load, save } from "./storage.js";
import { makeSystem } from "./system.js";
import { age, language, onLanguage, setLanguage, t, whole } from "./text.js";
import { makeToken } from "./token.js";

const $ = (id) => document.getElementById(id);
const MAKE = { tienda: makeShop, token: makeToken, cuenta: makeAccount, sistema: makeSystem };
const TITLES = { tienda: "shop", token: "shop", cuenta: "account", sistema: "system" };
const THEMES = ["auto", "light", "dark"];

let views = {};
let current = null;
const scrolled = {};

/** What an address means: `#/tienda/101?x=1`. */
function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const params = new URLSearchParams(query);
  if (name === "tienda" && /^[1-9]\d{0,15}$/.test(id ?? "")) return { name: "token", params, id: Number(id) };
  return { name: name in TITLES && name !== "token" ? name : "tienda", params };
}

function go(moved = true) {
  const { name, params, id } = parse();
  const place = id ?? "";
  if (current) {
    scrolled[current.key] = scrollY;
    views[current.name].hide();
    views[current.name].element.hidden = true;
  }
  if (!views[name]) {
    const [view, unheard] = scoped(MAKE[name]);
    views[name] = { ...view, unheard };
  }
  const { element } = views[name];
  if (!element.parentElement) $("view").append(element);
  element.hidden = false;
  $("opening")?.remove();
  current = { name, key: `${name}${place}` };
  document.title = `${t[TITLES[name]]} · ${t.market}`;
  for (const link of document.querySelectorAll("#views a"))
    setAttribute(
      link,
      "aria-current",
      link.dataset.view === name || (name === "token" && link.dataset.view === "tienda") ? "page" : null,
    );
  // the reader of a screen hears where they are; a view that wants a field of its own takes the focus after this
  if (moved) element.querySelector("h1")?.focus({ preventScroll: true });
  views[name].show(params, id);
  scrollTo(0, scrolled[current.key] ?? 0);
}

function drawFrame() {
  document.documentElement.lang = language;
  for (const [id, text] of [
    ["skip", t.skip],
    ["brand", t.market],
  ])
    setText($(id), text);
  for (const [id, text] of [
    ["views", t.views],
    ["banner", t.warnings],
    ["tray", t.receipts],
  ])
    setAttribute($(id), "aria-label", text);
  for (const link of document.querySelectorAll("#views a")) setText(link.lastElementChild, t[TITLES[link.dataset.view]]);
  const other = $("language");
  setText(other, t.languageTag.toUpperCase());
  setAttribute(other, "aria-label", `${t.languageTag.toUpperCase()}: ${t.language}`);
  other.lang = t.languageTag;
  drawTheme();
  drawBuyer();
  drawPill();
  drawOutstanding();
  drawBanner();
}

function drawTheme() {
  const theme = THEMES.includes(load("tema")) ? load("tema") : "auto";
  setAttribute(document.documentElement, "data-theme", theme === "auto" ? null : theme);
  $("theme").replaceChildren(icon({ auto: "half", light: "sun", dark: "moon" }[theme]));
  for (const name of ["aria-label", "title"]) $("theme").setAttribute(name, t.themes[theme]);
}

function drawBuyer() {
  const button = $("buyer");
  button.classList.toggle("primary", !buyer);
  if (!buyer) {
    button.replaceChildren(icon("person"), h("span", {}, t.chooseBuyer));
    button.removeAttribute("aria-label");
    return;
  }
  button.replaceChildren(
    icon("person"),
    h("span", { class: "name" }, buyer.nombre),
    h(
      "strong",
      { class: "figure" },
      buyer.missing ? "?" : buyer.saldo === null ? t.unknown : whole(buyer.saldo),
      buyer.missing || buyer.saldo === null ? null : h("span", { class: "unit" }, ` ${t.creditWord(buyer.saldo)}`),
    ),
  );
  button.setAttribute("aria-label", buyer.missing ? t.buyerGone(buyer) : t.buyerButton(buyer));
}

function drawPill() {
  const colour = light();
  const pill = $("pill");
  if (pill.dataset.light === colour && pill.lang === language) return;
  Object.assign(pill.dataset, { light: colour });
  pill.lang = language;
  pill.replaceChildren(icon({ right: "check", wrong: "cross", unknown: "question" }[colour]), h("span", {}, t.pill[colour]));
  pill.setAttribute("aria-label", `${t.audit} ${t.pill[colour]}`);
}

function drawBanner() {
  const down = SERVICES.map((name) => services[name]).filter((s) => s.down !== null);
  const banner = $("banner");
  banner.hidden = !down.length;
  if (!down.length) return;
  const names = down
    .map((s) => s.name)
    .join(", ")
    .replace(/, ([^,]*)$/, `${t.and}$1`);
  const since = performance.now() - Math.min(...down.map((s) => s.down));
  if (!banner.firstChild || banner.lang !== language) {
    banner.lang = language;
    banner.replaceChildren(
      icon("cross"),
      h("p", {}, h("strong"), " ", h("span", {}, outstanding().length ? t.bannerMore : "")),
      h("a", { href: "#/sistema" }, t.seeSystem),
    );
  }
  setText(banner.querySelector("strong"), t.bannerDown(names, age(since)));
  setText(banner.querySelector("p span"), outstanding().length ? t.bannerMore : "");
}

function drawOutstanding() {
  const list = outstanding();
  $("outstanding").hidden = !list.length;
  setText($("outstanding-title"), t.outstanding);
  reconcile(
    $("outstanding-list"),
    list,
    (c) => c.clave + language,
    (c) => h("li", {}, h("p", { class: "sentence" }, t.waiting(c)), h("p", { class: "quiet" })),
    (item, c) => {
      const state = progress(c.clave);
      setText(item.lastChild, state ? t.waitingState(state.sent, age(performance.now() - state.since)) : t.waitingElsewhere);
    },
  );
}

/** The newest purchase in one line, for screens that have no room for the list. */
function drawTicker(transaccion) {
  $("ticker").replaceChildren(
    fillName(h("b"), "usuarios", transaccion.usuarioId),
    " → ",
    fillName(h("span"), "tokens", transaccion.tokenId),
    ` · ${t.credits(transaccion.precio)}`,
  );
}

function rebuild() {
  for (const view of Object.values(views)) {
    view.hide();
    view.end();
    view.unheard();
    view.element.remove();
  }
  views = {};
  current = null;
  drawFrame();
  go(false);
}

drawFrame();
$("language").addEventListener("click", () => setLanguage(t.languageTag));
$("theme").addEventListener("click", () => {
  save("tema", THEMES[(THEMES.indexOf(load("tema", "auto")) + 1) % THEMES.length]);
  drawTheme();
});
$("buyer").addEventListener("click", () => pick());
$("skip").addEventListener("click", (e) => {
  e.preventDefault();
  document.querySelector("main h1:not([hidden] *)")?.focus();
});
addEventListener("hashchange", () => go());
onLanguage.add(rebuild);
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
  tell({ text: t.reset });
});
onPurchase.add((transaccion) => drawTicker(transaccion));
history.scrollRestoration = "manual";

startMonitor();
startEvents();
startBuyer();
startPurchases();
startAudit(() => current?.name === "sistema");
go(false);
