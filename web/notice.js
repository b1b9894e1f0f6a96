// What happened, in words: receipts that stay until they are closed, and a line that screen readers read out.

import { h, icon, reconcile } from "./dom.js";
import { t } from "./text.js";

/** Receipts on the screen at once. */
const SHOWN = 3;

const receipts = [];
let line = 0;

/** Says something to who does not see the page; twice the same is said twice. */
export function announce(text) {
  const place = document.getElementById("spoken");
  place.replaceChildren(h("span", { "data-n": ++line }, text));
}

/** Shows a receipt: `kind` is good, bad or info; `text` the sentence; `more` lines below; `actions` links or buttons. */
export function tell({ kind = "info", text, more = [], actions = [] }) {
  receipts.unshift({ id: ++line, kind, text, more, actions });
  receipts.length = Math.min(receipts.length, SHOWN);
  draw();
  announce([text, ...more].join(" "));
}

const SIGNS = { good: "check", bad: "cross", info: "info" };

function draw() {
  reconcile(
    document.getElementById("receipts"),
    receipts,
    (r) => r.id,
    (r) =>
      h(
        "li",
        { class: `receipt ${r.kind}` },
        icon(SIGNS[r.kind]),
        h(
          "div",
          {},
          h("p", { class: "sentence" }, r.text),
          r.more.map((text) => h("p", { class: "quiet" }, text)),
          r.actions.length ? h("p", { class: "actions" }, r.actions) : null,
        ),
        h("button", { type: "button", class: "close", "aria-label": t.close, onclick: () => dismiss(r) }, icon("cross")),
      ),
  );
}

function dismiss(receipt) {
  const list = document.getElementById("receipts");
  const had = list.contains(document.activeElement);
  receipts.splice(receipts.indexOf(receipt), 1);
  draw();
  if (had) (list.querySelector(".close") ?? document.querySelector("main h1"))?.focus();
}
