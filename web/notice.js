// What happened, in words: receipts that stay until they are closed, and a line that screen readers read out.

import { h, icon, reconcile } from "./dom.js";
import { t } from "./text.js";

/** Receipts on the screen at once. */
const SHOWN = 3;
const SIGNS = { good: "check", bad: "cross", info: "info" };

const receipts = [];
let line = 0;

/** Says something to who does not see the page; twice the same is said twice. */
export function announce(text) {
  document.getElementById("spoken").replaceChildren(h("span", { "data-n": ++line }, text));
}

/** Shows a receipt: `kind` is good, bad or info; `text` the sentence; `more` lines below; `actions` links. */
export function tell({ kind = "info", text, more = [], actions = [] }) {
  receipts.unshift({ id: ++line, kind, text, more, actions });
  receipts.length = Math.min(receipts.length, SHOWN);
  draw();
  announce([text, ...more].join(" "));
}

const draw = () => reconcile(document.getElementById("receipts"), receipts, (r) => r.id, makeReceipt);

function makeReceipt(receipt) {
  const { kind, text, more, actions } = receipt;
  const words = [h("p.sentence", text), more.map((one) => h("p.quiet", one)), actions.length && h("p.actions", actions)];
  const close = h("button.close", { "aria-label": t.close, onclick: () => dismiss(receipt) }, icon("cross"));
  return h(`li.receipt.${kind}`, icon(SIGNS[kind]), h("div", words.filter(Boolean).flat()), close);
}

function dismiss(receipt) {
  const list = document.getElementById("receipts");
  const had = list.contains(document.activeElement);
  receipts.splice(receipts.indexOf(receipt), 1);
  draw();
  if (had) (list.querySelector(".close") ?? document.querySelector("main > :not([hidden]) h1"))?.focus();
}
