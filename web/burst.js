// A bounded burst of reads or purchases, and how it spread over the pods.

import { newKey, request } from "./api.js";
import { h, icon, setText, wait } from "./dom.js";
import { announce } from "./notice.js";
import { makePods } from "./pods.js";
import { made } from "./purchase.js";
import { load, save } from "./storage.js";
import { t, tenths, whole } from "./text.js";
import { say } from "./trouble.js";

/** The most of one burst. */
const MOST = 500;
/** Requests under way at once: the browser has six connections, and waiting for one would be measured as the market's time. */
const AT_ONCE = 4;
/** A purchase is repeated for so long, ms. */
const INSIST = 60_000;

/** The panel. */
export function makeBurst() {
  const field = (name, text, value, max) =>
    h(
      "label",
      { class: "field short" },
      h("span", {}, text),
      h("input", { name, type: "number", inputmode: "numeric", min: "1", max, step: "1", value, required: true }),
    );
  const number = field("n", t.howMany, 200, MOST);
  const rate = field("rate", t.aSecond, 50, 200);
  const choice = (value, text, checked) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name: "kind", value, checked }), h("span", {}, text));
  const start = h("button", { class: "primary" }, icon("bolt"), t.start);
  const form = h(
    "form",
    { class: "row", onsubmit: begin, onchange: preset },
    h(
      "fieldset",
      {},
      h("legend", {}, t.what),
      h("div", { class: "choices" }, choice("reads", t.reads, true), choice("purchases", t.purchases, false)),
    ),
    number,
    rate,
    start,
  );
  const bar = h("progress", { max: "1", value: "0", "aria-label": t.burst });
  const state = h("p", { class: "quiet", role: "status" }, t.burstSays);
  const pods = makePods(t.spread);
  pods.element.hidden = true;
  const element = h(
    "section",
    { class: "panel burst", "aria-labelledby": "burst" },
    h("h2", { id: "burst" }, t.burst),
    form,
    bar,
    state,
    pods.element,
  );
  let running = null;

  function preset(e) {
    if (e.target.name === "kind") form.elements.n.value = e.target.value === "reads" ? 200 : 50;
  }

  function begin(e) {
    e.preventDefault();
    if (running) return running.abort();
    const fields = new FormData(form);
    const bounded = (name, max) => Math.max(1, Math.min(max, Math.floor(Number(fields.get(name)) || 1)));
    run(fields.get("kind"), bounded("n", MOST), bounded("rate", 200));
  }

  async function run(kind, n, aSecond) {
    running = new AbortController();
    start.replaceChildren(icon("cross"), t.stop);
    const result = { kind, n, done: 0, good: 0, refused: 0, uncertain: 0, pods: new Map(), begun: null };
    try {
      const jobs =
        kind === "reads"
          ? Array.from({ length: n }, () => read)
          : await prepare(n, running.signal, (i) => {
              bar.value = i / n;
              setText(state, t.publishing(whole(i), whole(n)));
            });
      result.n = jobs.length;
      result.begun = performance.now();
      await paced(jobs, aSecond, running.signal, result, () => draw(result));
      draw(result, performance.now());
    } catch (failure) {
      if (!running.signal.aborted) setText(state, say(failure));
    }
    start.replaceChildren(icon("bolt"), t.start);
    running = null;
  }

  function draw(result, ended = null) {
    const { done, n } = result;
    bar.value = n ? done / n : 1;
    pods.element.hidden = !result.pods.size;
    pods.fill([...result.pods.values()]);
    const seconds = ((ended ?? performance.now()) - result.begun) / 1000;
    const text = t.burstState({ ...result, done: whole(done), n: whole(n), aSecond: tenths(done / Math.max(seconds, 0.001)) });
    setText(state, ended ? `${t.burstDone} ${text}` : text);
    if (ended) announce(`${t.burstDone} ${text}`);
  }
  return { element };
}

// a read is not repeated: what a client would see is what is counted
const read = () => request("/tokens?limite=24", { fresh: true });

/** Publishes tokens for the burst, and sees to a buyer of its own with the money: nobody's balance is touched. */
async function prepare(n, abort, progress) {
  const usuario = await ownBuyer(n);
  const jobs = [];
  let made = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (made < n && !abort.aborted) {
        const i = ++made;
        const { data } = await request("/tokens", {
          method: "POST",
          body: { nombre: `${t.trialToken} ${String(i).padStart(3, "0")}`, precio: 1 },
        });
        jobs.push(purchase(usuario, data.id));
        progress(jobs.length);
      }
    }),
  );
  return jobs;
}

async function ownBuyer(n) {
  const saved = load("ensayo");
  if (saved) {
    const there = await request(`/usuarios/${saved.id}`).then(
      ({ data }) => data,
      (e) => {
        if (e.status === 404) return null;
        throw e;
      },
    );
    if (there?.nombre === saved.nombre) {
      if (there.saldo < n)
        await request(`/usuarios/${there.id}/abonos`, { method: "POST", body: { monto: n - there.saldo }, key: newKey() });
      return there.id;
    }
  }
  const { data } = await request("/usuarios", { method: "POST", body: { nombre: t.trialUser, saldo: n } });
  save("ensayo", { id: data.id, nombre: data.nombre });
  return data.id;
}

/** A purchase that is sent under its key until it is known how it ended. */
function purchase(usuarioId, tokenId) {
  const key = newKey();
  const until = performance.now() + INSIST;
  return async () => {
    for (;;) {
      try {
        const answer = await request("/transacciones", { method: "POST", body: { usuarioId, tokenId, precio: 1 }, key });
        made(answer.data.id, answer.pod);
        return answer;
      } catch (e) {
        if (!e.passing || performance.now() > until) throw e;
        await wait(e.wait * (0.5 + Math.random()));
      }
    }
  };
}

/** Runs jobs at a pace, so many at once. */
async function paced(jobs, aSecond, abort, result, progress) {
  const begun = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < jobs.length && !abort.aborted) {
      const i = next++;
      await wait(begun + (i * 1000) / aSecond - performance.now(), abort);
      if (abort.aborted) return;
      await jobs[i]().then(
        (answer) => note(result, answer.pod, answer.ms),
        (e) => note(result, e.pod, null, e),
      );
      progress();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function note(result, pod, ms, failure) {
  result.done++;
  if (!failure) result.good++;
  else if (failure.passing) result.uncertain++;
  else result.refused++;
  const name = pod ?? t.noPod;
  if (!result.pods.has(name)) result.pods.set(name, { name, times: [], errors: 0 });
  const row = result.pods.get(name);
  if (failure) row.errors++;
  else row.times.push(ms);
}
