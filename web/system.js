// Sistema: the market as it is now, readable from the last row.

import { h } from "./dom.js";
import { makeAudit } from "./audit.js";
import { makeBurst } from "./burst.js";
import { makeFeed } from "./feed.js";
import { onTick, watch } from "./monitor.js";
import { makeServices } from "./services.js";
import { t } from "./text.js";
import { makeTimeline } from "./timeline.js";
import { makeVisits } from "./visits.js";

/** The view. */
export function makeSystem() {
  const parts = [
    makeServices(),
    makeAudit(),
    makeTimeline(),
    makeFeed({ shown: 14, pods: true, heading: t.asTheyCommit }),
    makeBurst(),
    makeVisits(),
  ];
  const [services, audit, timeline, feed, burst, visits] = parts.map((part) => part.element ?? part);
  feed.classList.add("panel");
  const element = h(
    "div",
    { class: "system" },
    h("header", { class: "heading" }, h("h1", { tabindex: "-1" }, t.system), h("p", { class: "quiet" }, t.systemSays)),
    h("div", { class: "column" }, services, timeline, burst),
    h("div", { class: "column" }, audit, feed, visits),
  );
  let shown = false;
  const stop = onTick.add((now) => {
    if (shown) for (const part of parts) part.draw?.(now);
  });
  return {
    element,
    show() {
      shown = true;
      watch(true);
      for (const part of parts) part.show?.();
      for (const part of parts) part.draw?.(performance.now());
    },
    hide() {
      shown = false;
      watch(false);
    },
    end() {
      stop();
      watch(false);
    },
  };
}
