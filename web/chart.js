// The timeline's drawing: lanes of services, panels of figures, marks, and the cursor.

import { svg } from "./dom.js";
import { blind, marks, quantile, SERVICES, seconds, services, SHOWN, started } from "./monitor.js";
import { span, t, tenths, whole } from "./text.js";

/** Sizes in pixels; they grow with the reader's font. */
export const RIGHT = 12;
export let LEFT, LANE, GAP, FOOT, PANELS;
export function measure() {
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  [LEFT, LANE, GAP, FOOT] = [104, 21, 29, 26].map((size) => size * em);
  PANELS = [
    ["requests", 72],
    ["latency", 64],
    ["purchases", 52],
  ].map(([name, height]) => ({ name, height: height * em }));
}
measure();

/** A round number that is at least `n`. */
function round(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 4, 5, 10].map((m) => m * power).find((m) => m >= n);
}

/** The drawing of the seconds `first` to `last`, with the cursor so many seconds before the last, or without one. */
export function picture(width, first, last, now, cursor) {
  const inner = width - LEFT - RIGHT;
  const x = (n) => LEFT + ((n - first) / SHOWN) * inner;
  const lanes = SERVICES.length * LANE + 8;
  const height = lanes + PANELS.reduce((sum, p) => sum + p.height + GAP, 0) + FOOT;
  const rows = Array.from({ length: last - first + 1 }, (_, i) => ({ n: first + i, ...(seconds.get(first + i) ?? {}) }));
  const root = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    svg("defs", {}, hatch("hatch-down", "down"), hatch("hatch-blind", "blind")),
  );

  SERVICES.forEach((name, i) => root.append(...lane(name, i * LANE, rows, x, first, now)));
  let top = lanes;
  for (const panel of PANELS) {
    root.append(...draws[panel.name](rows, x, top + GAP - 8, panel.height, width));
    top += panel.height + GAP;
  }
  for (const one of marks.filter((m) => m.at / 1000 >= first && (m.kind === "died" || m.kind === "returned"))) {
    root.append(svg("line", { class: `mark ${one.kind}`, x1: x(one.at / 1000), x2: x(one.at / 1000), y1: 0, y2: top }));
  }
  for (const [from, to] of runs(rows, (r) => blind(r.n))) {
    root.append(svg("rect", { class: "blind", x: x(from), y: 0, width: x(to + 1) - x(from), height: top }));
  }
  for (let minute = 0; minute <= SHOWN / 60; minute++) {
    const at = x(last + 1 - minute * 60);
    root.append(
      svg(
        "text",
        { class: "tick", x: at, y: top + 18, "text-anchor": minute === 0 ? "end" : "middle" },
        minute ? `−${minute} min` : t.now,
      ),
    );
  }
  if (cursor !== null)
    root.append(svg("line", { class: "cursor", x1: x(last + cursor + 0.5), x2: x(last + cursor + 0.5), y1: 0, y2: top }));
  return root;
}

const hatch = (id, name) =>
  svg(
    "pattern",
    { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: 6, height: 6, class: `${name}-ground` }),
    svg("line", { x1: 0, x2: 0, y1: 0, y2: 6, class: `${name}-line` }),
  );

/** The spans of seconds for which something holds. */
function runs(rows, holds) {
  const found = [];
  for (const row of rows) {
    if (!holds(row)) continue;
    if (found.at(-1)?.[1] === row.n - 1) found.at(-1)[1] = row.n;
    else found.push([row.n, row.n]);
  }
  return found;
}

function lane(name, y, rows, x, first, now) {
  const s = services[name];
  const parts = [svg("text", { class: "tick", x: 0, y: y + LANE * 0.68 }, name)];
  const mine = marks.filter((one) => one.service === name);
  const begun = x(Math.max(first, started / 1000));
  if (s.answered !== null || mine.length)
    parts.push(svg("rect", { class: "lane up", x: begun, y: y + 4, width: x(now / 1000) - begun, height: LANE - 10, rx: 3 }));
  let died = null;
  for (const one of [...mine, { kind: "returned", at: now }]) {
    if (one.kind === "died") died = one.at;
    if (one.kind !== "returned" || died === null) continue;
    const from = Math.max(x(first), x(died / 1000));
    if (one.at / 1000 > first)
      parts.push(
        svg("rect", {
          class: "lane down",
          x: from,
          y: y + 2,
          width: Math.max(3, x(one.at / 1000) - from),
          height: LANE - 6,
          rx: 2,
        }),
      );
    died = null;
  }
  for (const one of mine.filter((m) => (m.kind === "went" || m.kind === "came") && m.at / 1000 >= first)) {
    const at = x(one.at / 1000);
    const shape =
      one.kind === "came"
        ? `${at},${y + 3} ${at + 6},${y + 15} ${at - 6},${y + 15}`
        : `${at},${y + 17} ${at + 6},${y + 5} ${at - 6},${y + 5}`;
    parts.push(svg("polygon", { class: `pod-mark ${one.kind}`, points: shape }, svg("title", {}, t[one.kind](one.pod))));
  }
  return parts;
}

function axis(title, max, top, height, width, format) {
  return [
    svg("text", { class: "panel-title", x: LEFT, y: top - 6 }, title),
    ...[0, 0.5, 1].flatMap((part) => {
      const y = top + height * (1 - part);
      return [
        svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
        svg("text", { class: "tick", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, format(max * part)),
      ];
    }),
  ];
}

/** Bars of one second each, `from` upwards. */
const bars = (rows, x, value, from, y, name) => {
  const path = rows
    .filter((r) => value(r) > 0)
    .map((r) => {
      const [left, right] = [x(r.n), Math.max(x(r.n + 1), x(r.n) + 1.5)];
      return `M${left.toFixed(1)} ${y(from(r)).toFixed(1)}H${right.toFixed(1)}V${y(from(r) + value(r)).toFixed(1)}H${left.toFixed(1)}Z`;
    })
    .join("");
  return svg("path", { class: name, d: path });
};

/** A line through the seconds that have a value; it stops where there is none. */
function line(rows, x, value, y, name) {
  let pen = "M";
  let lastSeen = -Infinity;
  const path = [];
  for (const r of rows) {
    const v = value(r);
    if (v === null || v === undefined) continue;
    // calm probes come every few seconds: a longer silence breaks the line
    pen = r.n - lastSeen > 7 ? "M" : "L";
    lastSeen = r.n;
    path.push(`${pen}${x(r.n + 0.5).toFixed(1)} ${y(v).toFixed(1)}`);
  }
  return svg("path", { class: name, d: path.join("") });
}

const draws = {
  requests(rows, x, top, height, width) {
    const max = round(Math.max(4, ...rows.map((r) => r.requests ?? 0)));
    const y = (v) => top + height * (1 - v / max);
    return [
      ...axis(t.requestsASecond, max, top, height, width, whole),
      bars(
        rows,
        x,
        (r) => (r.requests ?? 0) - (r.errors ?? 0),
        () => 0,
        y,
        "bar requests",
      ),
      bars(
        rows,
        x,
        (r) => r.errors ?? 0,
        (r) => r.requests - r.errors,
        y,
        "bar errors",
      ),
    ];
  },
  latency(rows, x, top, height, width) {
    const p99 = (r) => (r.times?.length ? quantile(r.times, 0.99) : null);
    const max = round(Math.max(4, ...rows.map((r) => p99(r) ?? 0)));
    const y = (v) => top + height * (1 - v / max);
    return [
      ...axis(t.answerTime, max, top, height, width, (v) => span(v)),
      line(rows, x, p99, y, "line p99"),
      line(rows, x, (r) => (r.times?.length ? quantile(r.times, 0.5) : null), y, "line p50"),
    ];
  },
  purchases(rows, x, top, height, width) {
    const max = round(Math.max(2, ...rows.map((r) => (r.purchases ?? 0) + (r.refusals ?? 0))));
    const y = (v) => top + height * (1 - v / max);
    return [
      ...axis(t.purchasesASecond, max, top, height, width, tenths),
      bars(
        rows,
        x,
        (r) => r.purchases ?? 0,
        () => 0,
        y,
        "bar purchases",
      ),
      bars(
        rows,
        x,
        (r) => r.refusals ?? 0,
        (r) => r.purchases,
        y,
        "bar refusals",
      ),
    ];
  },
};
