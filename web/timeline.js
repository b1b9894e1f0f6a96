// The last five minutes: who was there, requests, times, purchases, on one axis.

import { LEFT, measure, picture, RIGHT } from "./chart.js";
import { h, setText } from "./dom.js";
import { blind, marks, quantile, SERVICES, seconds, SHOWN } from "./monitor.js";
import { span, t, timeOf, whole } from "./text.js";

/** Seconds of a row in the table. */
const ROW = 10;

/** The panel. */
export function makeTimeline() {
  const place = h("div", {
    class: "chart",
    tabindex: "0",
    role: "slider",
    "aria-label": t.timeline,
    "aria-valuemin": -SHOWN,
    "aria-valuemax": "-1",
    "aria-valuenow": "-1",
  });
  const readout = h("p", { class: "readout" });
  const body = h("tbody");
  const table = h(
    "details",
    { class: "as-table" },
    h("summary", {}, t.asTable),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": t.asTable },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            [t.time, t.requests, t.errorsWord, "p50", "p99", t.purchases, t.refusals, t.silent].map((text) =>
              h("th", { scope: "col" }, text),
            ),
          ),
        ),
        body,
      ),
    ),
  );
  const element = h(
    "section",
    { class: "panel timeline", "aria-labelledby": "timeline" },
    h("h2", { id: "timeline" }, t.timeline),
    legend(),
    place,
    readout,
    table,
  );
  let width = 0;
  let cursor = null;

  new ResizeObserver(([{ contentRect }]) => {
    width = contentRect.width;
    measure();
    draw(performance.now());
  }).observe(place);

  const bounds = (now) => ({ last: Math.floor(now / 1000) - 1, first: Math.floor(now / 1000) - SHOWN });

  function draw(now) {
    if (!width || !place.isConnected) return;
    const { first, last } = bounds(now);
    place.replaceChildren(picture(width, first, last, now, cursor));
    say(last);
    if (table.open && (last % ROW === 0 || !body.children.length)) fillTable(body, first, last, now);
  }

  function say(last) {
    const n = cursor === null ? last : last + cursor;
    const text = sentence(n, last);
    setText(readout, text);
    place.setAttribute("aria-valuenow", n - last - 1);
    place.setAttribute("aria-valuetext", text);
  }

  function move(to) {
    cursor = to === null ? null : Math.max(1 - SHOWN, Math.min(0, to));
    draw(performance.now());
  }
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
  table.addEventListener("toggle", () => draw(performance.now()));
  return { element, draw };
}

function legend() {
  const one = (name, text) => h("li", {}, h("span", { class: `swatch ${name}`, "aria-hidden": "true" }), text);
  return h(
    "ul",
    { class: "legend" },
    one("requests", t.requestsASecond),
    one("errors", t.errorsWord),
    one("p50", "p50"),
    one("p99", "p99"),
    one("purchases", t.purchasesASecond),
    one("refusals", t.refusals),
    one("down", t.silent),
    one("blind", t.notWatched),
  );
}

/** Whether a service was silent in a second; null where that is not known. */
function silent(name, n) {
  let state = null;
  for (const one of marks) {
    if (one.service !== name || Math.floor(one.at / 1000) > n) continue;
    if (one.kind === "died") state = true;
    if (one.kind === "returned") state = false;
  }
  return state;
}

function sentence(n, last) {
  const at = timeOf(Date.now() - (performance.now() - (n + 0.5) * 1000));
  const when = n === last ? t.lastSecond : t.secondsAgo(whole(last - n), at);
  if (blind(n)) return `${when}: ${t.notWatched}`;
  const s = seconds.get(n);
  if (!s) return `${when}: ${t.nothingSent}`;
  const gone = SERVICES.filter((name) => silent(name, n));
  return `${when}: ${[
    t.nRequests(s.requests),
    t.nErrors(s.errors),
    `p50 ${span(quantile(s.times, 0.5))}`,
    `p99 ${span(quantile(s.times, 0.99))}`,
    t.nPurchases(s.purchases),
    t.nRefusals(s.refusals),
    ...gone.map(t.wasSilent),
  ].join(" · ")}`;
}

function fillTable(body, first, last, now) {
  const rows = [];
  for (let from = last - (last % ROW); from >= first; from -= ROW) {
    const inside = Array.from({ length: ROW }, (_, i) => from + i).filter((n) => n <= last && !blind(n));
    const sum = (field) => inside.reduce((all, n) => all + (seconds.get(n)?.[field] ?? 0), 0);
    const times = inside.flatMap((n) => seconds.get(n)?.times ?? []);
    const gone = SERVICES.filter((name) => inside.some((n) => silent(name, n)));
    const cells = inside.length
      ? [
          whole(sum("requests")),
          whole(sum("errors")),
          span(quantile(times, 0.5)),
          span(quantile(times, 0.99)),
          whole(sum("purchases")),
          whole(sum("refusals")),
          gone.join(", "),
        ]
      : ["–", "–", "–", "–", "–", "–", t.notWatched];
    rows.push(
      h(
        "tr",
        {},
        h("th", { scope: "row" }, timeOf(Date.now() - (now - from * 1000))),
        cells.map((text) => h("td", { class: "figure" }, text)),
      ),
    );
  }
  body.replaceChildren(...rows);
}
