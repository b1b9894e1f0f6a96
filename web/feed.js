// The newest purchases, as a list that fills from above.

import { h, reconcile, setText } from "./dom.js";
import { onPurchase, onReset, onStream, purchases, stream } from "./events.js";
import { fillName } from "./names.js";
import { madeBy, onOutstanding } from "./purchase.js";
import { t, timeOf } from "./text.js";

/** A section with the newest purchases; `pods` adds who made them, as far as this page knows. */
export function makeFeed({ shown = 12, pods = false, heading = t.recent } = {}) {
  const list = h("ol", { class: "feed" });
  const state = h("p", { class: "quiet" });
  const section = h("section", { class: "recent", "aria-label": heading }, h("h2", {}, heading), state, list);
  let waiting = false;

  function draw() {
    waiting = false;
    reconcile(
      list,
      purchases().slice(0, shown),
      (transaccion) => transaccion.id,
      (one) => row(one, pods),
      pods ? fillPod : undefined,
    );
    const said = !list.children.length ? (stream.loaded ? t.noPurchases : t.loading) : stream.live ? "" : t.notLive;
    setText(state, said);
    state.hidden = !said;
  }
  // many may come at once
  function soon() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }
  for (const happened of [onPurchase, onStream, onReset, onOutstanding]) happened.add(soon);
  draw();
  return section;
}

function row(transaccion, pods) {
  const who = fillName(h("b"), "usuarios", transaccion.usuarioId);
  const what = fillName(h("a", { href: `#/tienda/${transaccion.tokenId}` }), "tokens", transaccion.tokenId);
  return h(
    "li",
    {},
    h("p", { class: "deal" }, who, " → ", what),
    h(
      "p",
      { class: "quiet facts" },
      `#${transaccion.id} · ${t.credits(transaccion.precio)} · ${timeOf(transaccion.fecha)}`,
      pods ? h("span", { class: "pod" }) : null,
    ),
  );
}

function fillPod(item, { id }) {
  setText(item.querySelector(".pod"), madeBy.has(id) ? ` · ${madeBy.get(id)}` : ` · ${t.podUnknown}`);
}
