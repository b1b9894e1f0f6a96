// What this page has seen of the services: who answered, how fast, who is gone. Everything comes from its own requests.

import { onAnswer, request } from "./api.js";
import { every, signal } from "./dom.js";
import { onPurchase } from "./events.js";

export const SERVICES = ["usuarios", "tokens", "transacciones"];
/** A pod is there while it answered within so many ms. */
export const RECENT = 10_000;
/** What the timeline shows, in seconds. */
export const SHOWN = 300;
/** A probe without an answer for so long means that nobody answers, ms. */
const SILENT = 900;
/** Between two probes of one service, ms: in Sistema, while something is amiss, and otherwise. Three services every 800 ms
 * and an audit every two seconds are below five requests a second. */
const PERIOD = { watched: 800, amiss: 1500, calm: 5000 };
/** A probe that is not answered is given up after so many ms; two may be under way, so that one frozen pod hides nothing. */
const GIVEN_UP = 3000;

const never = { down: null, answered: null, lastGood: -Infinity, firstBad: null, asked: -Infinity };
const all = SERVICES.map((name) => ({ name, pods: new Map(), flying: new Map(), ...never }));
/** By service: `pods`, and `down`, the moment since which nobody answers, or null. Moments are of `performance.now`. */
export const services = Object.fromEntries(all.map((s) => [s.name, s]));
/** Deaths, returns, pods that came or went: `{at, kind, service, pod}`, oldest first. */
export const marks = [];
/** By second: what happened in it. */
export const seconds = new Map();
/** What kind of market this is: `mercado` in one process, or services; null where it is not known. */
export const market = { service: null };
/** After a service went or came back: `(service)`. */
export const onHealth = signal();
export const onTick = signal();
/** When this page began to look. */
export const started = performance.now();

let watched = () => false;
const hiddenSpans = document.hidden ? [[started, null]] : [];

export function second(at) {
  const n = Math.floor(at / 1000);
  if (!seconds.has(n)) {
    seconds.set(n, { requests: 0, errors: 0, times: [], purchases: 0, refusals: 0 });
    for (const old of seconds.keys()) if (old < n - SHOWN - 2) seconds.delete(old);
  }
  return seconds.get(n);
}

/** Whether the page saw nothing in a second, since it was hidden or not yet there. */
export function blind(n) {
  return n < Math.floor(started / 1000) || hiddenSpans.some(([from, to]) => n > from / 1000 && n + 1 < (to ?? Infinity) / 1000);
}

/** What could not be read, by service: each is asked for again when the service has answered a probe. */
const unread = Object.fromEntries(SERVICES.map((name) => [name, new Set()]));
export const again = (service, f) => unread[service].add(f);

export const silentNow = () => all.filter((s) => s.down !== null);

function mark(kind, service, at, pod = null) {
  marks.push({ at, kind, service, pod });
  marks.sort((a, b) => a.at - b.at);
  if (marks.length > 200) marks.shift();
}

function note({ service, method, status, pod, ms, start, probe }) {
  const now = start + ms;
  const bucket = second(now);
  bucket.requests++;
  if (method === "POST" && service === "transacciones" && status >= 400 && status < 500) bucket.refusals++;
  // the gateway's word: it asked no service
  if (status === 429) return;
  const good = status > 0 && status < 500;
  if (good) bucket.times.push(ms);
  else bucket.errors++;
  const s = services[service];
  // the gateway's own errors carry the gateway's name
  if (pod && (good || s.pods.has(pod))) sample(s, pod, now, ms, good);
  if (good) {
    s.lastGood = Math.max(s.lastGood, start);
    if (s.firstBad !== null && s.firstBad <= s.lastGood) s.firstBad = null;
    s.answered = now;
    judge(s, now);
    if (probe) {
      const asked = [...unread[service]];
      unread[service].clear();
      for (const f of asked) f();
    }
  } else if (probe) {
    if (start > s.lastGood) s.firstBad ??= start;
    judge(s, now);
  } else if (!s.flying.size && !document.hidden) {
    probeOnce(s);
  }
}

function sample(s, name, now, ms, good) {
  const fresh = !s.pods.has(name);
  if (fresh) s.pods.set(name, { name, samples: [], seen: now, gone: null });
  const pod = s.pods.get(name);
  if ((fresh && now - started > RECENT) || pod.gone !== null) {
    if (s.down === null) mark("came", s.name, now, name);
    pod.gone = null;
  }
  pod.seen = now;
  pod.samples.push({ at: now, ms, good });
  if (pod.samples.length > 2000) pod.samples.splice(0, 500);
}

/** Whether a service is silent now: a probe failed or waits too long, and none that began later was answered. */
function judge(s, now) {
  let bad = s.firstBad;
  for (const start of s.flying.values()) {
    if (now - start > SILENT && start > s.lastGood) bad = Math.min(bad ?? Infinity, start);
  }
  if ((bad === null) === (s.down === null)) return;
  s.down = bad;
  if (bad === null) mark("returned", s.name, now);
  else mark("died", s.name, bad);
  onHealth.call(s);
}

async function probeOnce(s) {
  if (s.flying.size >= 2) return;
  const id = Symbol(s.name);
  s.asked = performance.now();
  s.flying.set(id, s.asked);
  setTimeout(() => judge(s, performance.now()), SILENT + 20);
  try {
    await request(`/${s.name}?limite=1`, { fresh: true, probe: true, timeout: GIVEN_UP });
  } catch {
    // onAnswer has it
  }
  s.flying.delete(id);
}

function probe() {
  const period = watched() ? PERIOD.watched : silentNow().length ? PERIOD.amiss : PERIOD.calm;
  for (const s of all) if (performance.now() - s.asked >= period) probeOnce(s);
}

function tick() {
  const now = performance.now();
  second(now);
  for (const s of all) {
    judge(s, now);
    for (const pod of s.pods.values()) {
      pod.samples = pod.samples.filter((one) => now - one.at < RECENT);
      if (pod.gone === null && now - pod.seen > RECENT) {
        pod.gone = pod.seen;
        if (s.down === null && s.answered - pod.seen > RECENT / 2) mark("went", s.name, pod.seen, pod.name);
      }
      if (pod.gone !== null && now - pod.gone > SHOWN * 1000) s.pods.delete(pod.name);
    }
  }
  onTick.call(now);
}

async function identify() {
  try {
    market.service ??= (await request("/", { fresh: true })).data.servicio;
  } catch {
    // asked again when a service comes back
  }
}

/** The value below which a part of the numbers lies. */
export function quantile(numbers, part) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? null;
}

/** Begins; called once. `watching` says whether Sistema is seen, where the page looks more often. */
export function startMonitor(watching) {
  watched = watching;
  onAnswer.add(note);
  onPurchase.add((_, live) => {
    if (live) second(performance.now()).purchases++;
  });
  onHealth.add(() => market.service === null && identify());
  document.addEventListener("visibilitychange", () => {
    const now = performance.now();
    if (document.hidden) return hiddenSpans.push([now, null]);
    if (hiddenSpans.length) hiddenSpans.at(-1)[1] ??= now;
    // who did not answer while nobody asked is not gone
    for (const s of all) for (const pod of s.pods.values()) if (pod.gone === null) pod.seen = now;
    probe();
  });
  probe();
  identify();
  every(100, probe);
  every(1000, tick);
}
