// The last five minutes: who was there, requests, times, purchases, on one axis.

import { LEFT, measure, picture, RIGHT } from "./chart.js";
import { h, panel, setText, table } from "./dom.js";
import { blind, marks, quantile, SERVICES, seconds, SHOWN } from "./monitor.js";
import { may } from "./session.js";
import { span, t, timeOf, whole } from "./text.js";

/** Seconds of a row in the table. */
const ROW = 10;

export function makeTimeline() {
  const values = { "aria-valuemin": -SHOWN, "aria-valuemax": -1, "aria-valuenow": -1 };
  const place = h("div.chart", { tabindex: 0, role: "slider", "aria-label": t.timeline, ...values });
  const readout = h("p.readout");
  const columns = [t.time, t.requests, t.errorsWord, "p50", "p99", t.purchases, t.refusals, t.silent];
  const { element: rows, body } = table(t.asTable, columns);
  const details = h("details.as-table", h("summary", t.asTable), rows);
  const element = panel("timeline", t.timeline, legend(), place, readout, details);
  let width = 0;
  let cursor = null;

  new ResizeObserver(([{ contentRect }]) => {
    width = contentRect.width;
    measure();
    draw(performance.now());
  }).observe(place);

  function draw(now) {
    if (!width || !place.isConnected) return;
    const n = Math.floor(now / 1000);
    const [first, last] = [n - SHOWN, n - 1];
    place.replaceChildren(picture(width, first, last, now, cursor));
    say(cursor === null ? last : last + cursor, last);
    if (details.open && (last % ROW === 0 || !body.children.length)) fillTable(body, first, last, now);
  }

  function say(n, last) {
    setText(readout, sentence(n, last));
    // whoever is at it hears what they ask for, and not each second
    if (document.activeElement !== place) speak();
  }

  function speak() {
    place.setAttribute("aria-valuenow", (cursor ?? 0) - 1);
    place.setAttribute("aria-valuetext", readout.textContent);
  }

  function move(to) {
    cursor = to === null ? null : Math.max(1 - SHOWN, Math.min(0, to));
    draw(performance.now());
    speak();
  }
  place.addEventListener("focus", speak);
  place.addEventListener("pointermove", (e) => {
    const box = place.getBoundingClientRect();
    move(Math.round(((e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * SHOWN) - SHOWN);
  });
  place.addEventListener("pointerleave", () => move(null));
  place.addEventListener("blur", () => move(null));
  place.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[e.key];
    const to = e.key === "Home" ? -SHOWN : e.key === "End" ? 0 : step ? (cursor ?? 0) + step : null;
    if (to === null && e.key !== "Escape") return;
    e.preventDefault();
    move(to);
  });
  details.addEventListener("toggle", () => draw(performance.now()));
  return { element, draw };
}

function legend() {
  const names = {
    requests: t.requestsASecond,
    errors: t.errorsWord,
    p50: "p50",
    p99: "p99",
    purchases: t.purchasesASecond,
    refusals: t.refusals,
    down: t.silent,
    blind: t.notWatched,
  };
  const one = ([name, text]) => h("li", h(`span.swatch.${name}`, { "aria-hidden": "true" }), text);
  return h("ul.legend", Object.entries(names).map(one));
}

/** Whether a service was silent in a second. */
function silent(name, n) {
  const before = marks.filter((one) => one.service === name && Math.floor(one.at / 1000) <= n);
  return before.findLast(({ kind }) => kind === "died" || kind === "returned")?.kind === "died";
}

function sentence(n, last) {
  const at = timeOf(Date.now() - (performance.now() - (n + 0.5) * 1000));
  const when = n === last ? t.lastSecond : t.secondsAgo({ n: last - n, at });
  const s = seconds.get(n);
  if (blind(n) || !s) return `${when}: ${blind(n) ? t.notWatched : t.nothingSent}`;
  const said = [
    t.nRequests(s.requests),
    t.nErrors(s.errors),
    `p50 ${span(quantile(s.times, 0.5))}`,
    `p99 ${span(quantile(s.times, 0.99))}`,
    may("auditor") ? t.nPurchases(s.purchases) : `${t.purchases}: ${t.unknown}`,
    t.nRefusals(s.refusals),
    ...SERVICES.filter((name) => silent(name, n)).map(t.wasSilent),
  ];
  return `${when}: ${said.join(" · ")}`;
}

function fillTable(body, first, last, now) {
  const rows = [];
  for (let from = last - (last % ROW); from >= first; from -= ROW) {
    const inside = Array.from({ length: ROW }, (_, i) => from + i).filter((n) => n <= last && !blind(n));
    const sum = (field) => whole(inside.reduce((all, n) => all + (seconds.get(n)?.[field] ?? 0), 0));
    const times = inside.flatMap((n) => seconds.get(n)?.times ?? []);
    const [p50, p99] = [0.5, 0.99].map((part) => span(quantile(times, part)));
    const gone = SERVICES.filter((name) => inside.some((n) => silent(name, n))).join(", ");
    const bought = may("auditor") ? sum("purchases") : "–";
    const cells = [sum("requests"), sum("errors"), p50, p99, bought, sum("refusals"), gone];
    const shown = inside.length ? cells : cells.map((_, n) => (n < 6 ? "–" : t.notWatched));
    const time = timeOf(Date.now() - (now - from * 1000));
    rows.push(h("tr", h("th", { scope: "row" }, time), shown.map((text) => h("td.figure", text))));
  }
  body.replaceChildren(...rows);
}
