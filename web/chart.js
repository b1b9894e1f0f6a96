// The timeline's drawing: lanes of services, panels of figures, marks, and the cursor.

import { svg } from "./dom.js";
import { blind, marks, quantile, SERVICES, seconds, services, SHOWN, started } from "./monitor.js";
import { may } from "./session.js";
import { span, t, tenths, whole } from "./text.js";

/** Sizes in pixels; they grow with the reader's font. */
export const RIGHT = 12;
export let LEFT, LANE, GAP, FOOT, EM;
export function measure() {
  EM = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  [LEFT, LANE, GAP, FOOT] = [104, 21, 29, 26].map((size) => size * EM);
}
measure();

/** A round number that is at least `n`. */
function round(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 4, 5, 10].map((m) => m * power).find((m) => m >= n);
}

/** The panels: their height, the least that their axis shows, how it is written, and what of a second is drawn. */
const PANELS = [
  {
    height: 72,
    least: 4,
    write: whole,
    title: () => t.requestsASecond,
    bars: [
      ["requests", (r) => r.requests - r.errors],
      ["errors", (r) => r.errors],
    ],
  },
  {
    height: 64,
    least: 4,
    write: span,
    title: () => t.answerTime,
    lines: [
      ["p99", (r) => quantile(r.times, 0.99)],
      ["p50", (r) => quantile(r.times, 0.5)],
    ],
  },
  {
    height: 52,
    least: 2,
    write: tenths,
    // only an auditor is told of others' purchases
    title: () => (may("auditor") ? t.purchasesASecond : `${t.purchasesASecond}: ${t.unknown}`),
    bars: [
      ["purchases", (r) => r.purchases],
      ["refusals", (r) => r.refusals],
    ],
  },
];

/** The drawing of the seconds `first` to `last`, with the cursor so many seconds before the last, or without one. */
export function picture(width, first, last, now, cursor) {
  const x = (n) => LEFT + ((n - first) / SHOWN) * (width - LEFT - RIGHT);
  const ns = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const rows = ns.filter((n) => seconds.has(n)).map((n) => ({ n, ...seconds.get(n) }));
  const parts = SERVICES.flatMap((name, i) => lane(name, i * LANE, x, first, now));
  let bottom = SERVICES.length * LANE + 8;
  for (const panel of PANELS) {
    parts.push(...draw(panel, rows, x, bottom + GAP - 8, width));
    bottom += panel.height * EM + GAP;
  }
  const upright = (name, at) => svg(`line.${name}`, { x1: x(at), x2: x(at), y1: 0, y2: bottom });
  for (const { kind, at } of marks) {
    if (at / 1000 >= first && (kind === "died" || kind === "returned")) parts.push(upright(`mark.${kind}`, at / 1000));
  }
  for (const [from, to] of runs(ns.filter(blind))) {
    parts.push(svg("rect.blind", { x: x(from), y: 0, width: x(to + 1) - x(from), height: bottom }));
  }
  // on a phone there is no room for each minute's name
  const step = x(60) - x(0) < 60 * EM ? 2 : 1;
  for (let minute = 0; minute <= SHOWN / 60; minute += step) {
    const place = { x: x(last + 1 - minute * 60), y: bottom + 18, "text-anchor": minute ? "middle" : "end" };
    parts.push(svg("text", place, minute ? `−${minute} min` : t.now));
  }
  if (cursor !== null) parts.push(upright("cursor", last + cursor + 0.5));
  const height = bottom + FOOT;
  const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" };
  return svg("svg", frame, svg("defs", hatch("down"), hatch("blind")), parts);
}

const hatch = (name) =>
  svg(
    "pattern",
    { id: `hatch-${name}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg(`rect.${name}-ground`, { width: 6, height: 6 }),
    svg(`line.${name}-line`, { x1: 0, x2: 0, y1: 0, y2: 6 }),
  );

/** Numbers that follow on one another, as spans. */
function runs(ns) {
  const found = [];
  for (const n of ns) {
    if (found.at(-1)?.[1] === n - 1) found.at(-1)[1] = n;
    else found.push([n, n]);
  }
  return found;
}

function lane(name, y, x, first, now) {
  const parts = [svg("text", { x: 0, y: y + LANE * 0.68 }, name)];
  const mine = marks.filter((one) => one.service === name);
  const bar = (kind, from, to, inset) => {
    const left = x(Math.max(first, from / 1000));
    const size = { width: Math.max(3, x(to / 1000) - left), height: LANE - 2 * inset - 2 };
    return svg(`rect.lane.${kind}`, { x: left, y: y + inset, ...size, rx: 3 });
  };
  if (services[name].answered !== null || mine.length) parts.push(bar("up", started, now, 4));
  let died = null;
  for (const { kind, at } of [...mine, { kind: "returned", at: now }]) {
    if (kind === "died") died = at;
    if (kind !== "returned" || died === null) continue;
    if (at / 1000 > first) parts.push(bar("down", died, at, 2));
    died = null;
  }
  for (const { kind, at, pod } of mine) {
    if (at / 1000 < first || (kind !== "went" && kind !== "came")) continue;
    const left = x(at / 1000);
    const [tip, base] = kind === "came" ? [y + 3, y + 15] : [y + 17, y + 5];
    const points = `${left},${tip} ${left + 6},${base} ${left - 6},${base}`;
    parts.push(svg(`polygon.pod-mark.${kind}`, { points }, svg("title", t[kind](pod))));
  }
  return parts;
}

/** A panel: its axis, and its bars one upon the other, or its lines. */
function draw({ height, least, write, title, bars = [], lines = [] }, rows, x, top, width) {
  const tall = height * EM;
  const reach = (r) => Math.max(bars.reduce((sum, [, value]) => sum + value(r), 0), ...lines.map(([, value]) => value(r)));
  const max = round(Math.max(least, ...rows.map(reach)));
  const y = (value) => top + tall * (1 - value / max);
  const parts = [svg("text.panel-title", { x: LEFT, y: top - 6 }, title())];
  for (const value of [0, max / 2, max]) {
    parts.push(svg("line.grid", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, write(value)));
  }
  const from = new Map();
  for (const [name, value] of bars) parts.push(svg(`path.bar.${name}`, { d: stack(rows, x, value, from, y) }));
  for (const [name, value] of lines) parts.push(svg(`path.line.${name}`, { d: line(rows, x, value, y) }));
  return parts;
}

/** Bars of one second each; `from` has where each second's next bar begins. */
function stack(rows, x, value, from, y) {
  const bar = (r) => {
    const [left, right] = [x(r.n), Math.max(x(r.n + 1), x(r.n) + 1.5)];
    const [low, high] = [from.get(r.n) ?? 0, (from.get(r.n) ?? 0) + value(r)];
    from.set(r.n, high);
    return `M${left.toFixed(1)} ${y(low).toFixed(1)}H${right.toFixed(1)}V${y(high).toFixed(1)}H${left.toFixed(1)}Z`;
  };
  return rows.filter((r) => value(r) > 0).map(bar).join("");
}

/** A line through the seconds that have a value; it stops where there is none. */
function line(rows, x, value, y) {
  let lastSeen = -Infinity;
  const point = (r) => {
    // calm probes come every few seconds: a longer silence breaks the line
    const pen = r.n - lastSeen > 7 ? "M" : "L";
    lastSeen = r.n;
    return `${pen}${x(r.n + 0.5).toFixed(1)} ${y(value(r)).toFixed(1)}`;
  };
  return rows.filter((r) => value(r) !== null).map(point).join("");
}
