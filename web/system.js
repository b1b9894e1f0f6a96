// Sistema: the market as it is now, readable from the last row.

import { makeAudit } from "./audit.js";
import { request } from "./api.js";
import { makeBurst } from "./burst.js";
import { h, isShown, panel, setText } from "./dom.js";
import { makeFeed } from "./feed.js";
import { onTick } from "./monitor.js";
import { makeServices } from "./services.js";
import { may, session } from "./session.js";
import { t, whole } from "./text.js";
import { makeTimeline } from "./timeline.js";
import { say } from "./trouble.js";

export function makeSystem() {
  const [services, audit, timeline] = [makeServices(), makeAudit(), makeTimeline()];
  const feed = makeFeed({ shown: 14, pods: true, heading: t.asTheyCommit });
  feed.classList.add("panel");
  const burst = makeBurst();
  // it buys for others
  burst.element.hidden = session.cuentas !== false;
  audit.element.hidden = !may("auditor");
  const visits = makeVisits();
  const element = h(
    "div.system",
    h("header.heading", h("h1", { tabindex: -1 }, t.system), h("p.quiet", t.systemSays)),
    h("div.column", services.element, timeline.element, burst.element),
    h("div.column", audit.element, feed, visits.element),
  );
  const draw = (now) => [services, audit, timeline].forEach((part) => part.draw(now));
  onTick.add((now) => isShown(element) && draw(now));
  return {
    element,
    show() {
      visits.show();
      draw(performance.now());
    },
  };
}

/** The visits counter, and whether pods share it. A visit is counted when it is seen first, and by its button. */
function makeVisits() {
  const count = h("strong.big.figure", "–");
  const shared = h("p.quiet", { role: "status" }, t.loading);
  const element = panel("visits", t.visits, count, shared, h("button.plain", { onclick: visit }, t.visitAgain));
  let seen = false;

  async function visit() {
    seen = true;
    try {
      const { hits, compartido, hostname } = (await request("/hits", { fresh: true })).data;
      setText(count, whole(hits));
      setText(shared, (compartido ? t.visitsShared : t.visitsAlone)(hostname));
    } catch (e) {
      setText(count, "–");
      setText(shared, say(e));
    }
  }
  return { element, show: () => seen || visit() };
}
