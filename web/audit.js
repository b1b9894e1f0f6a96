// The audit as a light: right, wrong, or not known, with its figures, and what is wrong in people's words.

import { request } from "./api.js";
import { every, h, icon, panel, reconcile, setText, signal } from "./dom.js";
import { onHealth } from "./monitor.js";
import { tokenLink } from "./names.js";
import { may, onSession } from "./session.js";
import { age, onLanguage, t, whole } from "./text.js";

/** Between two looks, ms: while Sistema is seen, and otherwise. */
const PERIOD = { watched: 2000, calm: 6000 };
/** Differences that are written out. */
const SHOWN = 20;

/** What is known: `verdict` of the last answer, and `at`, when it came; `failed` since when there is none, or null. */
const audit = { verdict: null, at: null, failed: null };
export const onAudit = signal();

let looking = null;

/** `right`, `wrong` or `unknown`. */
export function light() {
  if (!audit.verdict || audit.failed !== null) return "unknown";
  return audit.verdict.correcto ? "right" : "wrong";
}

export const lightSign = (colour) => ({ right: "check", wrong: "cross", unknown: "question" })[colour];

async function look() {
  // a page that nobody sees asks nothing, whatever it hears of its services
  if (looking || document.hidden || !may("auditor")) return;
  const mine = (looking = new AbortController());
  const begun = performance.now();
  try {
    const { data } = await request("/transacciones/auditoria", { abort: mine.signal });
    Object.assign(audit, { verdict: data, at: performance.now(), failed: null });
  } catch {
    if (mine.signal.aborted) return;
    audit.failed ??= begun;
  }
  looking = null;
  onAudit.call();
}

/** Looks anew, whatever is awaited, since a service went or came back. The verdict is not known from a death on. */
function lookAnew({ name, down }) {
  if (name === "transacciones" && down !== null) audit.failed ??= down;
  onAudit.call();
  begin();
}

function begin() {
  looking?.abort();
  looking = null;
  look();
}

/** Begins; `watched` says whether Sistema is seen. */
export function startAudit(watched) {
  let last = performance.now();
  every(500, () => {
    if (performance.now() - last < (watched() ? PERIOD.watched : PERIOD.calm)) return;
    last = performance.now();
    look();
  });
  onHealth.add(lookAnew);
  // the differences come in the reader's language
  onLanguage.add(look);
  onSession.add(() => {
    Object.assign(audit, { verdict: null, failed: null });
    begin();
  });
  look();
}

export function makeAudit() {
  const lamp = h("div.lamp");
  const word = h("p.verdict");
  const checked = h("p.quiet");
  const figures = ["transacciones", "pendientes", "masAntiguo"].map((name) => h("dd.figure", { "data-figure": name }));
  const list = h("ul.differences");
  const more = h("p.quiet");
  const names = [t.purchases, t.pending, t.oldestPending].map((text, n) => h("div", h("dt", text), figures[n]));
  const lit = h("div.light", lamp, h("div", word, checked));
  const element = panel("audit", t.audit, lit, h("dl.figures", names), list, more);

  function draw(now) {
    const { verdict, at, failed } = audit;
    const colour = light();
    if (element.dataset.light !== colour) {
      element.dataset.light = colour;
      lamp.replaceChildren(icon(lightSign(colour)));
    }
    setText(word, t.verdict[colour]);
    const said = verdict && (verdict.correcto ? t.wasRight : t.wasWrong)(age(now - at));
    const silent = failed !== null && [t.auditSilent(age(now - failed)), said].filter(Boolean).join(" ");
    setText(checked, silent || (verdict ? t.checkedAgo(age(now - at)) : t.loading));
    const known = failed === null && verdict;
    const oldest = known && Number.isFinite(verdict.masAntiguo) && age(verdict.masAntiguo);
    [known && whole(verdict.transacciones), known && whole(verdict.pendientes), oldest].forEach((text, n) =>
      setText(figures[n], text || "–"),
    );
    const wrong = verdict?.diferencias ?? [];
    reconcile(list, wrong.slice(0, SHOWN), (one) => JSON.stringify(one), difference);
    setText(more, wrong.length > SHOWN ? t.moreDifferences(wrong.length - SHOWN) : "");
  }
  onAudit.add(() => draw(performance.now()));
  return { element, draw };
}

/** The market says in the reader's words what is wrong; its fields lead to the token. */
function difference({ detalle, tokenId, transaccionId }) {
  const facts = h("p.quiet", transaccionId && `${t.purchase} #${transaccionId} `, tokenId && tokenLink(tokenId));
  return h("li", icon("cross"), h("div", h("p", detalle), facts));
}
