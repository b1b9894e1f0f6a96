// Tienda: the catalogue, searched as one types; new tokens appear, sold ones stay where they are.

import { request } from "./api.js";
import { fillButton, fillCard, makeCard, onButtons } from "./card.js";
import { h, icon, reconcile, setText } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { makeFeed } from "./feed.js";
import { FIELDS, fillFilter, makeFilter } from "./filter.js";
import { onHealth } from "./monitor.js";
import { learn } from "./names.js";
import { announce } from "./notice.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** Cards of one page. */
const PAGE = 24;
/** Between two looks at what is listed, ms. */
const EVERY = 3000;
/** After the last key until the search, ms. */
const TYPING = 150;
/** The most rows of one list. */
const MOST = 1000;

/** The view: its element, and what the router calls. */
export function makeShop() {
  const list = h("ul", { class: "cards", id: "cards" });
  const count = h("p", { class: "count quiet", role: "status" });
  const state = h("div", { class: "empty", hidden: true });
  const more = h("button", { type: "button", class: "plain more", hidden: true, onclick: () => readMore(true) }, t.more);
  const filter = makeFilter(changed);
  const feed = makeFeed();
  const element = h(
    "div",
    { class: "shop" },
    h("header", { class: "heading" }, h("h1", { tabindex: "-1" }, t.shop), count),
    filter,
    h(
      "section",
      { class: "catalogue", "aria-labelledby": "catalogue", "aria-busy": "true" },
      h("h2", { id: "catalogue", class: "unseen" }, t.catalogue),
      list,
      state,
      more,
    ),
    feed,
  );
  const catalogue = element.querySelector(".catalogue");

  /** What is listed: rows by id in the list's order; `next` leads on; `sold` here while they were listed. */
  let rows = [];
  let next = null;
  let total = null;
  let failure = null;
  let shown = false;
  let abort = null;
  let timer = null;
  const soldHere = new Set();

  skeletons(list);

  function query() {
    const fields = new FormData(filter);
    return new URLSearchParams(
      FIELDS.map((f) => [f, String(fields.get(f) ?? "").trim()]).filter(([f, v]) => v && !(f === "orden" && v === "id")),
    );
  }

  function changed() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      soldHere.clear();
      const text = query().toString();
      history.replaceState(history.state, "", `#/tienda${text ? `?${text}` : ""}`);
      read(true);
    }, TYPING);
  }

  /** Reads what is listed anew; `fresh` for another search, which begins at its first page. */
  async function read(fresh = false) {
    // a look in the background waits for a search, and a search ends it
    if (abort && !fresh) return;
    abort?.abort();
    const mine = (abort = new AbortController());
    const limite = fresh || !rows.length ? PAGE : Math.min(MOST, next ? rows.length : rows.length + PAGE);
    catalogue.setAttribute("aria-busy", String(fresh));
    try {
      const page = await request(`/tokens?${withLimit(limite)}`, { abort: mine.signal });
      rows = fresh ? page.data : merge(page.data);
      next = page.next;
      total = page.total;
      failure = null;
      learn("tokens", page.data);
      if (fresh) announce(t.found(total));
    } catch (e) {
      if (mine.signal.aborted) return;
      failure = e;
      if (fresh && e.status === 422) rows = [];
    }
    if (abort === mine) abort = null;
    catalogue.setAttribute("aria-busy", "false");
    draw();
  }

  function withLimit(limite) {
    const all = query();
    all.set("limite", limite);
    return all;
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
    if (!next || abort) return;
    const mine = (abort = new AbortController());
    const first = rows.length;
    try {
      const page = await request(next, { abort: mine.signal });
      const there = new Set(rows.map((token) => token.id));
      rows = [...rows, ...page.data.filter((token) => !there.has(token.id))];
      next = page.next;
      total = page.total;
      learn("tokens", page.data);
    } catch {
      // the button stays
    }
    if (abort === mine) abort = null;
    draw();
    // the button moved away from under who pressed it
    if (byHand) list.children[first]?.querySelector("h3 a")?.focus({ preventScroll: true });
  }

  function draw() {
    if (!(failure && !rows.length)) reconcile(list, rows, (token) => token.id, makeCard, fillCard);
    else list.replaceChildren();
    setText(count, total === null ? "" : t.found(total));
    more.hidden = !next;
    const filtered = query().size > 0;
    const what = failure && !rows.length ? "failed" : rows.length ? "" : filtered ? "nothing" : "empty";
    state.hidden = !what;
    if (state.dataset.what !== what || what === "failed") {
      state.dataset.what = what;
      state.replaceChildren(
        ...emptyState(what, failure, () => {
          filter.reset();
          changed();
        }),
      );
    }
  }

  onPurchase.add((transaccion) => {
    const token = rows.find((one) => one.id === transaccion.tokenId);
    if (!token || token.vendido) return;
    token.vendido = true;
    soldHere.add(token.id);
    const card = list.querySelector(`[data-key="${token.id}"]`);
    if (card) fillCard(card, token);
  });
  onButtons(() => {
    for (const card of list.children) if (card.token) fillButton(card.querySelector(".buy"), card.token);
  });
  onHealth.add((service) => {
    if (service.name === "tokens" && service.down === null && shown) read();
  });
  onReset.add(() => {
    soldHere.clear();
    read(true);
  });
  new IntersectionObserver(
    ([seen]) => {
      if (seen.isIntersecting) readMore(false);
    },
    { rootMargin: "600px" },
  ).observe(more);
  const looking = setInterval(() => {
    if (shown && !document.hidden) read();
  }, EVERY);

  return {
    element,
    show(params) {
      shown = true;
      if (FIELDS.some((f) => (params.get(f) ?? "") !== (query().get(f) ?? ""))) fillFilter(filter, params);
      read(!rows.length || query().toString() !== element.dataset.query);
      element.dataset.query = query().toString();
    },
    hide() {
      shown = false;
      element.dataset.query = query().toString();
    },
    end() {
      clearInterval(looking);
    },
  };
}

function skeletons(list) {
  list.replaceChildren(
    ...Array.from({ length: 8 }, () =>
      h(
        "li",
        { class: "card skeleton", "aria-hidden": "true" },
        h("div", { class: "frame" }),
        h("div", { class: "about" }, h("i"), h("i"), h("i")),
      ),
    ),
  );
}

function emptyState(what, failure, clear) {
  if (what === "failed")
    return [
      icon("cross"),
      h("p", { class: "sentence" }, say(failure)),
      h("p", { class: "quiet" }, failure?.passing ? t.comesBack : t.correctFilter),
    ];
  if (what === "nothing") {
    return [
      icon("search"),
      h("p", { class: "sentence" }, t.noResults),
      h("p", {}, h("button", { type: "button", class: "plain", onclick: clear }, t.clearFilter)),
    ];
  }
  if (what === "empty") {
    return [
      icon("tag"),
      h("p", { class: "sentence" }, t.noTokens),
      h("p", {}, h("a", { class: "plain", href: "#/cuenta?publicar" }, t.publishFirst)),
    ];
  }
  return [];
}
