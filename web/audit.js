// The audit as a light: right, wrong, or not known, with its figures, and what is wrong in people's words.

import { request } from "./api.js";
import { h, icon, reconcile, setText, signal } from "./dom.js";
import { find } from "./names.js";
import { onHealth } from "./monitor.js";
import { age, t, whole } from "./text.js";

/** Between two looks, ms: while Sistema is seen, and otherwise. */
const PERIOD = { watched: 2000, calm: 6000 };
/** Differences that are written out. */
const SHOWN = 20;

/** What is known: `verdict` of the last answer, and `at`, when it came; `failed` since when there is none, or null. */
export const audit = { verdict: null, at: null, failed: null, pending: null };
/** After a look. */
export const onAudit = signal();

let watching = () => false;
let looking = false;

/** `right`, `wrong` or `unknown`. */
export function light() {
  if (!audit.verdict || audit.failed !== null) return "unknown";
  return audit.verdict.correcto ? "right" : "wrong";
}

async function look() {
  if (looking) return;
  looking = true;
  try {
    const { data } = await request("/transacciones/auditoria");
    const now = performance.now();
    Object.assign(audit, { verdict: data, at: now, failed: null, pending: data.pendientes ? (audit.pending ?? now) : null });
  } catch {
    audit.failed ??= performance.now();
  }
  looking = false;
  onAudit.call();
}

/** Begins; `watched` says whether Sistema is seen. */
export function startAudit(watched) {
  watching = watched;
  let last = -Infinity;
  const tick = () => {
    if (document.hidden || performance.now() - last < (watching() ? PERIOD.watched : PERIOD.calm)) return;
    last = performance.now();
    look();
  };
  setInterval(tick, 500);
  onHealth.add(look);
  tick();
}

const SIGNS = { right: "check", wrong: "cross", unknown: "question" };

/** The panel of the audit. */
export function makeAudit() {
  const lamp = h("div", { class: "lamp" });
  const word = h("p", { class: "verdict" });
  const checked = h("p", { class: "quiet" });
  const figures = ["transacciones", "pendientes", "oldest"].map((name) => h("dd", { class: "figure", "data-figure": name }));
  const list = h("ul", { class: "differences" });
  const element = h(
    "section",
    { class: "panel audit", "aria-labelledby": "audit" },
    h("h2", { id: "audit" }, t.audit),
    h("div", { class: "light" }, lamp, h("div", {}, word, checked)),
    h(
      "dl",
      { class: "figures" },
      [t.purchases, t.pending, t.oldestPending].map((text, n) => h("div", {}, h("dt", {}, text), figures[n])),
    ),
    list,
  );

  function draw(now) {
    const colour = light();
    if (element.dataset.light !== colour) {
      element.dataset.light = colour;
      lamp.replaceChildren(icon(SIGNS[colour]));
    }
    setText(word, { right: t.moneyRight, wrong: t.moneyWrong, unknown: t.moneyUnknown }[colour]);
    const v = audit.verdict;
    const known = audit.failed === null && v;
    setText(
      checked,
      audit.failed !== null
        ? `${t.auditSilent(age(now - audit.failed))}${v ? ` ${t.lastVerdict(v.correcto, age(now - audit.at))}` : ""}`
        : v
          ? t.checkedAgo(age(now - audit.at))
          : t.loading,
    );
    setText(figures[0], known ? whole(v.transacciones) : "–");
    setText(figures[1], known ? whole(v.pendientes) : "–");
    setText(figures[2], known ? oldest(v, now) : "–");
    const wrong = v && !v.correcto ? v.diferencias : [];
    reconcile(list, wrong.slice(0, SHOWN), (one) => `${one.tipo}${one.intento ?? ""}${one.detalle}`, difference);
  }
  onAudit.add(() => draw(performance.now()));
  return { element, draw };
}

/** How old the oldest pending one is: the server's word, or else for how long there has been one at every look. */
function oldest(verdict, now) {
  if (!verdict.pendientes) return "–";
  if (verdict.masAntiguo) return age(Date.parse(verdict.hasta ?? new Date()) - Date.parse(verdict.masAntiguo));
  return t.atLeast(age(now - audit.pending));
}

function difference(one) {
  const item = h("li", {}, icon("cross"));
  const text = h("p", {}, t.differences[one.tipo]?.({}) ?? one.detalle);
  item.append(text);
  describe(one).then((facts) => setText(text, t.differences[one.tipo]?.(facts) ?? one.detalle));
  return item;
}

/** The figures of a difference, and the names that belong to its ids. */
async function describe({ detalle, ...fields }) {
  const facts = { ...fields };
  const user = fields.usuarioId ?? /^usuario (\d+)/.exec(detalle)?.[1];
  const purchase = fields.transaccionId ?? /^transaccion (\d+)/.exec(detalle)?.[1];
  facts.monto = fields.monto ?? /(?: for| charged| of) (\d+)/.exec(detalle)?.[1];
  facts.n = /^(\d+) balance/.exec(detalle)?.[1];
  if (purchase) {
    const { data } = await request(`/transacciones/${purchase}`).catch(() => ({ data: null }));
    Object.assign(facts, {
      id: purchase,
      usuarioId: data?.usuarioId,
      tokenId: data?.tokenId,
      monto: data?.precio ?? facts.monto,
    });
  }
  const [usuario, token] = await Promise.all([
    (user ?? facts.usuarioId) && find("usuarios", Number(user ?? facts.usuarioId)),
    facts.tokenId && find("tokens", Number(facts.tokenId)),
  ]);
  return {
    id: facts.id && whole(facts.id),
    monto: facts.monto && whole(facts.monto),
    n: facts.n && whole(facts.n),
    usuario: usuario?.nombre,
    token: token?.nombre,
  };
}
