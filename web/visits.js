// The visits counter, and whether pods share it.

import { request } from "./api.js";
import { h, setText } from "./dom.js";
import { t, whole } from "./text.js";
import { say } from "./trouble.js";

/** The panel. A visit is counted when it is seen first, and by its button. */
export function makeVisits() {
  const count = h("strong", { class: "big figure" }, "–");
  const shared = h("p", { class: "quiet", role: "status" }, t.loading);
  const element = h(
    "section",
    { class: "panel visits", "aria-labelledby": "visits" },
    h("h2", { id: "visits" }, t.visits),
    count,
    shared,
    h("button", { type: "button", class: "plain", onclick: visit }, t.visitAgain),
  );
  let seen = false;

  async function visit() {
    try {
      const { data } = await request("/hits", { fresh: true });
      setText(count, whole(data.hits));
      setText(shared, data.compartido ? t.visitsShared(data.hostname) : t.visitsAlone(data.hostname));
    } catch (e) {
      setText(count, "–");
      setText(shared, say(e));
    }
  }
  return {
    element,
    show() {
      if (!seen) visit();
      seen = true;
    },
  };
}
