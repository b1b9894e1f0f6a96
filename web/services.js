// Each service as a row, with the pods that answered of late.

import { h, icon, panel, reconcile, setAttribute, setText, svg, table } from "./dom.js";
import { market, onHealth, quantile, RECENT, SERVICES, services } from "./monitor.js";
import { age, percent, span, t, whole } from "./text.js";

/** For so long a return is worth a word, ms. */
const WORTH = 20_000;
const SIGNS = { down: "cross", unknown: "question", up: "check" };

/** A table of pods and what fills it: `fill(pods)`, each `{name, times, errors, gone, note}`. */
export function makePods(caption) {
  const { element, body } = table(caption, [t.pod, t.share, "p50", "p99", t.errorsWord]);
  element.classList.add("pods");
  element.firstChild.prepend(h("colgroup", Array.from({ length: 5 }, () => h("col"))));
  function fill(pods) {
    const sum = pods.reduce((n, pod) => n + pod.times.length + pod.errors, 0);
    pods.sort((a, b) => a.name.localeCompare(b.name));
    reconcile(body, pods, (pod) => pod.name, makePod, (row, pod) => fillPod(row, pod, sum));
  }
  return { element, fill };
}

function makePod({ name }) {
  const bar = svg(
    "svg.share",
    { "aria-hidden": "true" },
    svg("rect", { width: "100%", height: "100%" }),
    svg("rect.part", { height: "100%" }),
  );
  const figures = [1, 2, 3].map(() => h("td.figure"));
  return h("tr", h("th", { scope: "row" }, h("code", name)), h("td", bar, h("span.figure")), figures);
}

function fillPod(row, { times, errors, gone, note }, sum) {
  const [, share, p50, p99, wrong] = row.children;
  const n = times.length + errors;
  const part = sum ? n / sum : 0;
  row.classList.toggle("gone", Boolean(gone));
  setAttribute(share.querySelector(".part"), "width", `${gone ? 0 : 100 * part}%`);
  setText(share.lastChild, note ?? `${percent(part)} (${whole(n)})`);
  share.colSpan = note ? 3 : 1;
  p50.hidden = p99.hidden = Boolean(note);
  setText(p50, span(quantile(times, 0.5)));
  setText(p99, span(quantile(times, 0.99)));
  setText(wrong, whole(errors));
}

export function makeServices() {
  const rows = SERVICES.map((name) => makeService(services[name]));
  const kind = h("p.quiet");
  const element = panel("services", t.services, rows.map((row) => row.element));
  element.prepend(h("header.heading", element.firstChild, kind));
  function draw(now) {
    const { service } = market;
    setText(kind, service === null ? t.kindUnknown : service === "mercado" ? t.kindOne : t.kindMany);
    for (const row of rows) row.draw(now);
  }
  onHealth.add(() => draw(performance.now()));
  return { element, draw };
}

function makeService(service) {
  const sign = h("span.sign");
  const state = h("p.state");
  const pods = makePods(t.podsOf(service.name));
  const header = h("header", sign, h("h3", service.name), state);
  const element = h("article.service", { "data-service": service.name }, header, pods.element);
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
    const isBack = back && now - back.at < WORTH;
    const up = isBack ? t.isBack({ time: age(now - back.at), after: age(back.after) }) : t.answers;
    setText(state, what === "down" ? t.silentFor(age(now - gone)) : what === "up" ? up : t.notKnownYet);
    pods.fill([...service.pods.values()].map((pod) => figures(pod, now)));
  }

  function figures({ name, samples, seen, gone: vanished }, now) {
    const times = samples.filter((one) => one.good).map((one) => one.ms);
    const quiet = vanished !== null || (gone !== null && now - seen > 1000);
    const note = quiet && now - seen > RECENT / 5 ? t.lastSeen(age(now - seen)) : null;
    return { name, times, errors: samples.length - times.length, gone: quiet, note };
  }
  return { element, draw };
}
