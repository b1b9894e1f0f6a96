// A bounded burst of reads or purchases, and how it spread over the pods.

import { newKey, request } from "./api.js";
import { h, icon, panel, setText, wait } from "./dom.js";
import { choices, numberField } from "./forms.js";
import { announce } from "./notice.js";
import { makePods } from "./services.js";
import { load, save } from "./storage.js";
import { t, tenths } from "./text.js";
import { say } from "./trouble.js";

/** The most of one burst, and of one second of it. */
const MOST = { n: 500, rate: 200 };
/** How many of a kind, unless a person says otherwise. */
const USUAL = { reads: 200, purchases: 50 };
/** Requests under way at once: the browser has six connections, and waiting for one would be measured as the market's time. */
const AT_ONCE = 4;
/** A purchase is repeated for so long, ms. */
const INSIST = 60_000;

/** The burst under way, or the last one. It goes on where the view is made anew. */
const burst = { abort: null, part: 0, pods: new Map(), say: () => t.burstSays };
let draw;

export function makeBurst() {
  const number = (name, text, value) => numberField(name, text, { min: 1, max: MOST[name], value, required: true });
  const kinds = ["reads", "purchases"].map((kind) => [kind, t[kind]]);
  const start = h("button.primary");
  const form = h(
    "form.row",
    { onsubmit: begin, onchange: preset },
    choices("kind", t.what, kinds),
    number("n", t.howMany, USUAL.reads),
    number("rate", t.aSecond, 50),
    start,
  );
  const bar = h("progress", { max: 1, "aria-label": t.burst });
  const state = h("p.quiet.said");
  const pods = makePods(t.spread);
  const element = panel("burst", t.burst, form, bar, state, pods.element);

  draw = () => {
    const [sign, word] = burst.abort ? ["cross", t.stop] : ["bolt", t.start];
    if (start.textContent !== word) start.replaceChildren(icon(sign), word);
    bar.value = burst.part;
    setText(state, burst.say());
    pods.element.hidden = !burst.pods.size;
    pods.fill([...burst.pods.values()]);
  };

  function preset({ target }) {
    if (target.name === "kind") form.elements.n.value = USUAL[target.value];
  }

  function begin(e) {
    e.preventDefault();
    if (burst.abort) return burst.abort.abort();
    const fields = new FormData(form);
    const bounded = (name) => Math.max(1, Math.min(MOST[name], Math.floor(Number(fields.get(name)) || 1)));
    run(fields.get("kind"), bounded("n"), bounded("rate"));
  }
  draw();
  return { element };
}

function update(now) {
  Object.assign(burst, now);
  draw();
}

async function run(kind, n, rate) {
  const abort = new AbortController();
  const { signal } = abort;
  update({ abort });
  const progress = (i) => update({ part: i / n, say: () => t.publishing({ i, n }) });
  try {
    const jobs = kind === "reads" ? Array(n).fill(read) : await prepare(n, signal, progress);
    const result = { n: jobs.length, done: 0, good: 0, refused: 0, uncertain: 0, pods: new Map(), begun: performance.now() };
    await paced(jobs, rate, signal, result, () => show(result));
    show(result, signal.aborted ? "burstStopped" : "burstDone");
  } catch (failure) {
    update({ say: () => (signal.aborted ? t.burstStopped : say(failure)) });
  }
  // once, at its end: a screen reader would read each of hundreds
  announce(burst.say());
  update({ abort: null });
}

function show(result, ended) {
  const { n, done, begun, pods } = result;
  const pace = (1000 * done) / Math.max(performance.now() - begun, 1);
  const text = () => t.burstState({ ...result, pace: tenths(pace) });
  update({ part: n ? done / n : 1, pods, say: () => (ended ? `${t[ended]} ${text()}` : text()) });
}

// a read is not repeated: what a client would see is what is counted
const read = () => request("/tokens?limite=24", { fresh: true });

/** Publishes tokens for the burst, and sees to a buyer of its own with the money: nobody's balance is touched. */
async function prepare(n, abort, progress) {
  const usuario = await ownBuyer(n);
  const jobs = [];
  let begun = 0;
  const worker = async () => {
    while (begun < n && !abort.aborted) {
      const nombre = `${t.trialToken} ${String(++begun).padStart(3, "0")}`;
      const { data } = await inTurn(() => request("/tokens", { body: { nombre, precio: 1 } }), abort);
      jobs.push(purchase(usuario, data.id));
      progress(jobs.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return jobs;
}

/** Sends a request again for as long as the gateway says that there are too many: those did nothing. */
async function inTurn(send, abort) {
  for (;;) {
    try {
      return await send();
    } catch (e) {
      if (e.status !== 429 || abort.aborted) throw e;
      await wait(e.wait, abort);
    }
  }
}

async function ownBuyer(n) {
  const saved = load("ensayo");
  const there = saved && (await request(`/usuarios/${saved.id}`).catch((e) => e.status !== 404 && Promise.reject(e)));
  if (there && there.data.nombre === saved.nombre) {
    const monto = n - there.data.saldo;
    if (monto > 0) await request(`/usuarios/${saved.id}/abonos`, { body: { monto }, key: newKey() });
    return saved.id;
  }
  const { data } = await request("/usuarios", { body: { nombre: t.trialUser, saldo: n } });
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
        return await request("/transacciones", { body: { usuarioId, tokenId, precio: 1 }, key });
      } catch (e) {
        if (!e.passing || performance.now() > until) throw e;
        await wait(e.wait * (e.status === 429 ? 1 : 0.5 + Math.random()));
      }
    }
  };
}

/** Runs jobs at a pace, so many at once. */
async function paced(jobs, rate, abort, result, progress) {
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const i = next++;
      await wait(result.begun + (i * 1000) / rate - performance.now(), abort);
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
  result[!failure ? "good" : failure.uncertain ? "uncertain" : "refused"]++;
  const name = pod ?? t.noPod;
  if (!result.pods.has(name)) result.pods.set(name, { name, times: [], errors: 0 });
  const row = result.pods.get(name);
  if (failure) row.errors++;
  else row.times.push(ms);
}
