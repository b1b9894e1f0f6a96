// A table of pods: who answered how much, how fast, how well.

import { h, reconcile, setAttribute, setText, svg } from "./dom.js";
import { quantile } from "./monitor.js";
import { percent, span, t, whole } from "./text.js";

/** A table and what fills it: `fill(pods)`, each `{name, times, errors, gone, note}`. */
export function makePods(caption) {
  const body = h("tbody");
  const columns = [t.pod, t.share, "p50", "p99", t.errorsWord];
  const element = h(
    "div",
    { class: "scroll pods", role: "group", tabindex: "0", "aria-label": caption },
    h(
      "table",
      {},
      h(
        "colgroup",
        {},
        columns.map(() => h("col")),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      body,
    ),
  );
  function fill(pods) {
    const all = pods.reduce((sum, pod) => sum + pod.times.length + pod.errors, 0);
    const sorted = pods.sort((a, b) => a.name.localeCompare(b.name));
    reconcile(
      body,
      sorted,
      (pod) => pod.name,
      makeRow,
      (row, pod) => fillRow(row, pod, all),
    );
  }
  return { element, fill };
}

function makeRow(pod) {
  const bar = svg(
    "svg",
    { class: "share", "aria-hidden": "true" },
    svg("rect", { width: "100%", height: "100%" }),
    svg("rect", { class: "part", height: "100%" }),
  );
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, pod.name)),
    h("td", {}, bar, h("span", { class: "figure" })),
    [1, 2, 3].map(() => h("td", { class: "figure" })),
  );
}

function fillRow(row, pod, all) {
  const [, share, p50, p99, wrong] = row.children;
  const n = pod.times.length + pod.errors;
  row.classList.toggle("gone", Boolean(pod.gone));
  setAttribute(share.querySelector(".part"), "width", `${all && !pod.gone ? (100 * n) / all : 0}%`);
  setText(share.lastChild, pod.note ?? `${percent(all ? n / all : 0)} (${whole(n)})`);
  setText(p50, span(quantile(pod.times, 0.5)));
  setText(p99, span(quantile(pod.times, 0.99)));
  setText(wrong, whole(pod.errors));
}
