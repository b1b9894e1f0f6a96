// Each service as a row, with the pods that answered of late.

import { h, icon, setText } from "./dom.js";
import { market, onHealth, RECENT, SERVICES, services } from "./monitor.js";
import { makePods } from "./pods.js";
import { age, t } from "./text.js";

/** For so long a return is worth a word, ms. */
const WORTH = 20_000;
const SIGNS = { down: "cross", unknown: "question", up: "check" };

/** The panel of services. */
export function makeServices() {
  const rows = SERVICES.map((name) => makeRow(services[name]));
  const kind = h("p", { class: "quiet" });
  const element = h(
    "section",
    { class: "panel services", "aria-labelledby": "services" },
    h("header", { class: "heading" }, h("h2", { id: "services" }, t.services), kind),
    rows.map((row) => row.element),
  );
  function draw(now) {
    setText(kind, market.service === null ? t.kindUnknown : market.service === "mercado" ? t.kindOne : t.kindMany);
    for (const row of rows) row.draw(now);
  }
  onHealth.add(() => draw(performance.now()));
  return { element, draw };
}

function makeRow(service) {
  const sign = h("span", { class: "sign" });
  const state = h("p", { class: "state" });
  const pods = makePods(t.podsOf(service.name));
  const element = h(
    "article",
    { class: "service", "data-service": service.name },
    h("header", {}, sign, h("h3", {}, service.name), state),
    pods.element,
  );
  let back = null;
  let gone = null;

  function draw(now) {
    if (service.down === null && gone !== null) back = { at: now, after: now - gone };
    gone = service.down;
    const what = gone !== null ? "down" : service.answered === null ? "unknown" : "up";
    if (element.dataset.state !== what) {
      element.dataset.state = what;
      sign.replaceChildren(icon(SIGNS[what]));
    }
    if (what === "down") setText(state, t.silentFor(age(now - gone)));
    else if (what === "unknown") setText(state, t.notKnownYet);
    else setText(state, back && now - back.at < WORTH ? t.isBack(age(now - back.at), age(back.after)) : t.answers);
    pods.fill([...service.pods.values()].map((pod) => figures(pod, now)));
  }

  function figures({ name, samples, seen, gone: vanished }, now) {
    const times = samples.filter((one) => one.good).map((one) => one.ms);
    const quiet = vanished !== null || (gone !== null && now - seen > 1000);
    return {
      name,
      times,
      errors: samples.length - times.length,
      gone: quiet,
      note: quiet && now - seen > RECENT / 5 ? t.lastSeen(age(now - seen)) : null,
    };
  }
  return { element, draw };
}
