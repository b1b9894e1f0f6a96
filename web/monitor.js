// What this page has seen of the services: who answered, how fast, who is gone. Everything comes from its own requests.

import { onAnswer, request } from "./api.js";
import { signal } from "./dom.js";
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

/** By service: `pods`, and `down`, the moment since which nobody answers, or null. Moments are of `performance.now`. */
export const services = Object.fromEntries(
  SERVICES.map((name) => [
    name,
    { name, pods: new Map(), down: null, answered: null, lastGood: -Infinity, firstBad: null, flying: new Map() },
  ]),
);
/** Deaths, returns, pods that came or went: `{at, kind, service, pod}`, oldest first. */
export const marks = [];
/** By second: what happened in it. */
export const seconds = new Map();
/** What kind of market this is: `mercado` in one process, or services; null where it is not known. */
export const market = { service: null };
/** After a service went or came back: `(service)`. */
export const onHealth = signal();
/** Once a second. */
export const onTick = signal();

let watched = false;
/** When this page began to look. */
export const started = performance.now();
let hiddenSince = document.hidden ? started : null;

/** What happened in the second of a moment. */
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
const hiddenSpans = hiddenSince === null ? [] : [[started, null]];

function mark(kind, service, at, pod = null) {
  marks.push({ at, kind, service, pod });
  marks.sort((a, b) => a.at - b.at);
  while (marks.length > 200) marks.shift();
}

function note({ service, method, status, codigo, pod, ms, start, probe }) {
  const now = start + ms;
  const bucket = second(now);
  const good = status > 0 && status < 500;
  bucket.requests++;
  if (good) bucket.times.push(ms);
  else bucket.errors++;
  if (method === "POST" && service === "transacciones" && status >= 400 && status < 500) bucket.refusals++;
  const s = services[service];
  // the gateway's own errors carry the gateway's name
  const known = good || s.pods.has(pod);
  if (pod && known) sample(s, pod, now, ms, good);
  if (good) {
    s.lastGood = Math.max(s.lastGood, start);
    if (s.firstBad !== null && s.firstBad <= s.lastGood) s.firstBad = null;
    s.answered = now;
    judge(s, now);
  } else if (probe) {
    if (start > s.lastGood) s.firstBad ??= start;
    s.trouble = codigo;
    judge(s, now);
  } else if (!s.flying.size && !document.hidden) {
    probeOnce(s);
  }
}

function sample(s, name, now, ms, good) {
  let pod = s.pods.get(name);
  const fresh = !pod;
  if (fresh) s.pods.set(name, (pod = { name, samples: [], seen: now, gone: null }));
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
  if (bad !== null && s.down === null) {
    s.down = bad;
    mark("died", s.name, bad);
    onHealth.call(s);
  } else if (bad === null && s.down !== null) {
    s.down = null;
    mark("returned", s.name, now);
    onHealth.call(s);
  }
}

async function probeOnce(s) {
  if (s.flying.size >= 2) return;
  const id = Symbol(s.name);
  s.flying.set(id, performance.now());
  setTimeout(() => judge(s, performance.now()), SILENT + 20);
  try {
    await request(`/${s.name}?limite=1`, { fresh: true, probe: true, timeout: GIVEN_UP });
  } catch {
    // onAnswer has it
  }
  s.flying.delete(id);
}

async function probe(s) {
  for (;;) {
    if (!document.hidden) probeOnce(s);
    const amiss = SERVICES.some((name) => services[name].down !== null);
    const period = watched ? PERIOD.watched : amiss ? PERIOD.amiss : PERIOD.calm;
    await pause(period);
  }
}

let wake = [];
function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    wake.push(resolve);
  });
}
function wakeAll() {
  const sleeping = wake;
  wake = [];
  for (const resolve of sleeping) resolve();
}

/** Sistema looks more often. */
export function watch(on) {
  watched = on;
  if (on) wakeAll();
}

function tick() {
  const now = performance.now();
  wake = wake.slice(-6);
  if (document.hidden) return;
  second(now);
  for (const s of Object.values(services)) {
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
    market.service = (await request("/", { fresh: true })).data.servicio ?? null;
  } catch {
    // asked again when a service comes back
  }
}

/** The value below which a part of the numbers lies. */
export function quantile(numbers, part) {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

/** Begins; called once. */
export function startMonitor() {
  onAnswer.add(note);
  onPurchase.add((_, live) => {
    if (live) second(performance.now()).purchases++;
  });
  onHealth.add(() => {
    if (market.service === null) identify();
  });
  document.addEventListener("visibilitychange", () => {
    const now = performance.now();
    if (document.hidden) {
      hiddenSpans.push([now, null]);
    } else {
      if (hiddenSpans.length) hiddenSpans.at(-1)[1] ??= now;
      // who did not answer while nobody asked is not gone
      for (const s of Object.values(services)) for (const pod of s.pods.values()) if (pod.gone === null) pod.seen = now;
      wakeAll();
    }
  });
  for (const s of Object.values(services)) probe(s);
  identify();
  setInterval(tick, 1000);
}
