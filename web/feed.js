// The newest purchases, as a list that fills from above.

import { h, reconcile, setText } from "./dom.js";
import { onPurchase, onReset, onStream, purchases, stream } from "./events.js";
import { fillName, tokenLink } from "./names.js";
import { may } from "./session.js";
import { t, timeOf } from "./text.js";

/** A section with the newest purchases; `pods` adds who made them. */
export function makeFeed({ shown = 12, pods = false, heading = t.recent } = {}) {
  const list = h("ol.feed");
  const state = h("p.quiet");
  const section = h("section.recent", { "aria-label": heading, hidden: !may("auditor") }, h("h2", heading), state, list);
  let waiting = false;

  function row({ id, usuarioId, tokenId, precio, fecha, pod }) {
    return h(
      "li",
      h("p.deal", fillName(h("b"), "usuarios", usuarioId), " → ", tokenLink(tokenId)),
      h(
        "p.quiet.facts",
        `#${id} · ${t.credits(precio)} · ${timeOf(fecha)}`,
        pods && h("span.pod", ` · ${pod ?? t.podUnknown}`),
      ),
    );
  }

  function draw() {
    waiting = false;
    reconcile(list, purchases().slice(0, shown), ({ id }) => id, row);
    const said = !list.children.length ? (stream.loaded ? t.noPurchases : t.loading) : stream.live ? "" : t.notLive;
    setText(state, said);
    state.hidden = !said;
  }
  // many may come at once
  function soon() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }
  for (const happened of [onPurchase, onStream, onReset]) happened.add(soon);
  draw();
  return section;
}
