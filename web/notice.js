// What happened, in words: receipts that stay until they are closed, and a line that screen readers read out.

import { h, icon, keepFocus, reconcile } from "./dom.js";
import { language, onLanguage, t } from "./text.js";

const SHOWN = 3;
const SIGNS = { good: "check", bad: "cross", info: "info" };

// the style leaves as much room below the page's end
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--tray", `${target.offsetHeight}px`)).observe(
  document.getElementById("tray"),
);

const receipts = [];
let line = 0;

/** Says something to who does not see the page; twice the same is said twice. */
export function announce(text) {
  document.getElementById("spoken").replaceChildren(h("span", { "data-n": ++line }, text));
}

/**
 * Shows a receipt: `kind` is good, bad or info; `say` gives `{text, more, actions}`, which are the sentence, lines below it and
 * links. Gives a function that has the receipt say anew what `say` gives by then; so does another language.
 */
export function tell(kind, say) {
  const receipt = { id: ++line, kind, say, times: 0 };
  receipts.unshift(receipt);
  receipts.length = Math.min(receipts.length, SHOWN);
  draw();
  const { text, more = [] } = say();
  announce([text, ...more].join(" "));
  return () => {
    receipt.times++;
    draw();
  };
}

/** Takes all receipts away: they are another person's. */
export function clear() {
  receipts.length = 0;
  draw();
}

const draw = () => reconcile(document.getElementById("receipts"), receipts, (r) => r.id, makeReceipt, fillReceipt);
onLanguage.add(draw);

function makeReceipt(receipt) {
  const close = h("button.close", { onclick: () => dismiss(receipt) }, icon("cross"));
  return h(`li.receipt.${receipt.kind}`, icon(SIGNS[receipt.kind]), h("div"), close);
}

function fillReceipt(item, { say, times }) {
  const said = language + times;
  if (item.dataset.said === said) return;
  item.dataset.said = said;
  const { text, more = [], actions = [] } = say();
  const words = [h("p.sentence", text), ...more.map((one) => h("p.quiet", one))];
  if (actions.length) words.push(h("p.actions", actions));
  item.children[1].replaceChildren(...words);
  item.lastChild.ariaLabel = t.close;
}

function dismiss(receipt) {
  const list = document.getElementById("receipts");
  const had = list.contains(document.activeElement);
  receipts.splice(receipts.indexOf(receipt), 1);
  draw();
  if (had) list.querySelector(".close")?.focus();
  keepFocus();
}
