// Tienda: the catalogue, searched as one types; new tokens appear, sold ones stay where they are.

import { request } from "./api.js";
import { fillButton, fillCard, makeCard } from "./card.js";
import { every, h, icon, isShown, reconcile, setText } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { makeFeed } from "./feed.js";
import { choices, field, numberField } from "./forms.js";
import { learn } from "./names.js";
import { announce } from "./notice.js";
import { onOutstanding } from "./purchase.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** Cards of one page. */
const PAGE = 24;
/** Between two looks at what is listed, ms. */
const EVERY = 3000;
/** After the last key until the search, ms. */
const TYPING = 150;
/** So near to the list's end more is read, px. */
const AHEAD = 600;
/** The most rows of one list. */
const MOST = 1000;
/** What can be asked for, as the API calls it. */
const FIELDS = ["nombre", "vendido", "orden", "precioMin", "precioMax"];

/** Where the shop was left: with its search. */
export let address = "#/tienda";

function makeFilter(changed) {
  const sought = { name: "nombre", type: "search", autocomplete: "off", maxlength: 100, placeholder: t.searchHint };
  const orders = { id: t.byNumber, "-id": t.byNewest, precio: t.byPrice, "-precio": t.byPriceDown, nombre: t.byName };
  const options = Object.entries(orders).map(([value, text]) => h("option", { value }, text));
  return h(
    "form.filter",
    { role: "search", oninput: changed, onsubmit: (e) => e.preventDefault() },
    field("grow", t.search, h("input", sought)),
    choices("vendido", t.show, [
      ["", t.all],
      ["false", t.onlyFree],
      ["true", t.onlySold],
    ]),
    ["precioMin", "precioMax"].map((name) => numberField(name, t.fields[name], { min: 0 })),
    field("", t.order, h("select", { name: "orden" }, options)),
  );
}

/** The view: its element, and what the router calls. */
export function makeShop() {
  const list = h("ul.cards", { id: "cards" });
  const count = h("p.count.quiet");
  const state = h("div.empty", { hidden: true });
  const more = h("button.plain.more", { hidden: true, onclick: () => readMore(true) }, t.more);
  const filter = makeFilter(changed);
  const catalogue = h(
    "section.catalogue",
    { "aria-labelledby": "catalogue", "aria-busy": "true" },
    h("h2.unseen", { id: "catalogue" }, t.catalogue),
    list,
    state,
    more,
  );
  const heading = h("header.heading", h("h1", { tabindex: -1 }, t.shop), count);
  const element = h("div.shop", heading, filter, catalogue, makeFeed());

  /** What is listed: rows in the list's order; `next` leads on; `listed` is the search that they answer. */
  let rows = [];
  let next = null;
  let total = null;
  let failure = null;
  let listed = null;
  let abort = null;
  /** Whether what is asked now is more than a look in the background. */
  let waits = false;
  let timer = null;
  /** Sold while they were listed. */
  const soldHere = new Set();

  skeletons(list);

  function query() {
    const fields = new FormData(filter);
    const asked = FIELDS.map((f) => [f, String(fields.get(f) ?? "").trim()]);
    return new URLSearchParams(asked.filter(([f, value]) => value && !(f === "orden" && value === "id")));
  }

  function changed() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // another view's address is not the search's
      if (!isShown(element)) return;
      soldHere.clear();
      const text = query().toString();
      address = `#/tienda${text ? `?${text}` : ""}`;
      history.replaceState(history.state, "", address);
      read(true);
    }, TYPING);
  }

  /** Reads what is listed anew; `fresh` for another search, which begins at its first page. */
  async function read(fresh = false) {
    // a look in the background waits for a search, and a search ends it
    if (abort && !fresh) return;
    abort?.abort();
    const mine = (abort = new AbortController());
    waits = fresh;
    const asked = query();
    listed = asked.toString();
    asked.set("limite", fresh || !rows.length ? PAGE : Math.min(MOST, next ? rows.length : rows.length + PAGE));
    catalogue.ariaBusy = String(fresh);
    try {
      const page = await request(`/tokens?${asked}`, { abort: mine.signal });
      // what leads on beyond the most that is asked for is known from the last page
      const deeper = !fresh && rows.length > MOST;
      noteList({ ...page, next: deeper ? next : page.next }, fresh ? page.data : merge(page.data));
      failure = null;
      if (fresh) announce(t.found(total));
    } catch (e) {
      if (mine.signal.aborted) return;
      failure = e;
      if (fresh) announce(say(e));
      // what was listed before answers another search
      if (fresh) [rows, next, total] = [[], null, null];
    }
    done(mine);
  }

  function noteList(page, now) {
    ({ next, total } = page);
    rows = now;
    learn("tokens", page.data);
  }

  function done(mine) {
    if (abort === mine) abort = null;
    catalogue.ariaBusy = "false";
    draw();
    // as long as the list's end is near, nothing else will ask
    if (!failure && next && isShown(element) && more.getBoundingClientRect().top < innerHeight + AHEAD) readMore(false);
  }

  /** What the server lists now, and what was sold while it was looked at, which a filter would take away. */
  function merge(now) {
    const there = new Set(now.map((token) => token.id));
    const merged = [...now];
    rows.forEach((token, place) => {
      if (there.has(token.id) || !soldHere.has(token.id)) return;
      const before = rows[place - 1];
      const at = before ? merged.findIndex((one) => one.id === before.id) + 1 : 0;
      merged.splice(at, 0, { ...token, vendido: true });
    });
    // beyond one page's most nothing is asked again: those rows stay as they are
    const rest = now.length >= MOST ? rows.slice(MOST).filter((token) => !there.has(token.id)) : [];
    return [...merged, ...rest];
  }

  async function readMore(byHand) {
    // a look in the background can wait
    if (!next || (abort && waits)) return;
    abort?.abort();
    const mine = (abort = new AbortController());
    waits = true;
    const first = rows.length;
    try {
      const page = await request(next, { abort: mine.signal });
      const there = new Set(rows.map((token) => token.id));
      noteList(page, [...rows, ...page.data.filter((token) => !there.has(token.id))]);
    } catch (e) {
      // a search took its place, or the button stays
      if (mine.signal.aborted) return;
      failure = e;
    }
    done(mine);
    // the button moved away from under who pressed it
    if (byHand) list.children[first]?.querySelector("h3 a")?.focus({ preventScroll: true });
  }

  function draw() {
    const failed = failure && !rows.length;
    reconcile(list, rows, (token) => token.id, makeCard, fillCard);
    setText(count, total === null ? "" : t.found(total));
    more.hidden = !next;
    const what = failed ? "failed" : rows.length ? "" : query().size ? "nothing" : "empty";
    state.hidden = !what;
    if (state.dataset.what === what && !failed) return;
    state.dataset.what = what;
    state.replaceChildren(...emptyState(what));
  }

  function emptyState(what) {
    const clear = () => {
      filter.reset();
      changed();
    };
    const said = (sign, text, next) => [icon(sign), h("p.sentence", text), next];
    if (what === "failed") return said("cross", say(failure), h("p.quiet", failure.passing ? t.comesBack : t.correctFilter));
    if (what === "nothing") return said("search", t.noResults, h("button.plain", { onclick: clear }, t.clearFilter));
    return what ? said("tag", t.noTokens, h("a.plain", { href: "#/cuenta?publicar" }, t.publishFirst)) : [];
  }

  onPurchase.add(({ tokenId }) => {
    const n = rows.findIndex((one) => one.id === tokenId && !one.vendido);
    if (n < 0) return;
    rows[n] = { ...rows[n], vendido: true };
    soldHere.add(tokenId);
    const card = list.querySelector(`[data-key="${tokenId}"]`);
    if (card) fillCard(card, rows[n]);
  });
  onOutstanding.add(() => {
    for (const card of list.children) if (card.token) fillButton(card.querySelector(".buy"), card.token);
  });
  onReset.add(() => {
    soldHere.clear();
    read(true);
  });
  new IntersectionObserver(([seen]) => seen.isIntersecting && readMore(false), { rootMargin: `${AHEAD}px` }).observe(more);
  every(EVERY, () => isShown(element) && read());

  return {
    element,
    show(params) {
      address = location.hash || "#/tienda";
      const asked = query();
      if (FIELDS.some((f) => (params.get(f) ?? "") !== (asked.get(f) ?? ""))) {
        for (const f of FIELDS) filter.elements[f].value = params.get(f) ?? (f === "orden" ? "id" : "");
      }
      read(!rows.length || query().toString() !== listed);
    },
  };
}

function skeletons(list) {
  const bars = () => h("div.about", h("i"), h("i"), h("i"));
  const one = () => h("li.card.skeleton", { "aria-hidden": "true" }, h("div.frame"), bars());
  list.replaceChildren(...Array.from({ length: 8 }, one));
}
