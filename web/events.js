// Purchases as they commit. One stream serves all tabs: a browser opens six connections to a host, and no more.

import { request } from "./api.js";
import { signal } from "./dom.js";
import { may, onSession } from "./session.js";
import { inTurn } from "./storage.js";

const KEPT = 200;
/** Rows of the list that a fresh page shows. */
const FIRST = 20;
/** Between attempts to open the stream, ms. */
const AGAIN = 1000;

/** Each purchase that was not seen before: `(transaccion, live)`; `live` is false for what a list said. */
export const onPurchase = signal();
/** The market under the page is another one than before: what was known of it is wrong. */
export const onReset = signal();
/** `stream.live`: whether purchases arrive. `stream.loaded`: whether the last ones are known. */
export const stream = { live: false, loaded: false };
export const onStream = signal();

const rows = new Map();
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("mercado.eventos") : null;
let source = null;
let release = null;
let catching = null;

export const purchases = () => [...rows.values()].sort((a, b) => b.id - a.id);

function take(transaccion, live) {
  const before = rows.get(transaccion.id);
  if (before) {
    if (!isSame(before, transaccion)) reset();
    return;
  }
  rows.set(transaccion.id, transaccion);
  if (rows.size > KEPT) rows.delete(Math.min(...rows.keys()));
  // lower than all that are kept: too old to show
  if (rows.has(transaccion.id)) onPurchase.call(transaccion, live);
}

const isSame = (a, b) => a.fecha === b.fecha && a.tokenId === b.tokenId;

/** A purchase of this page's own: its answer may come before its event. */
export const noticePurchase = (transaccion) => take(transaccion, true);

function setLive(live) {
  if (stream.live === live) return;
  stream.live = live;
  onStream.call();
}

/** Reads what was missed; where the last known purchase is gone or another one, the market is not the same. */
function catchUp() {
  catching ??= readMissed()
    .catch(() => {})
    .finally(() => {
      catching = null;
    });
  return catching;
}

/** Reads once more after the reading under way, which may have begun before what is missed. */
const catchUpAnew = () => Promise.resolve(catching).then(catchUp);

async function readMissed() {
  const last = Math.max(0, ...rows.keys());
  // another reset may have come first
  if (last && !(await stillThere(last))) return rows.has(last) && reset();
  let next = `/transacciones?limite=1000&despues=${last}`;
  if (!last) {
    const { total } = await request("/transacciones?limite=1");
    // ids may have gaps, so this begins at or before the last ones
    next = `/transacciones?limite=1000${total > FIRST ? `&despues=${total - FIRST}` : ""}`;
  }
  for (let n = 0; next && n < 50; n++) {
    const page = await request(next);
    for (const transaccion of page.data) take(transaccion, false);
    next = page.next;
  }
  stream.loaded = true;
  onStream.call();
}

async function stillThere(id) {
  const before = rows.get(id);
  try {
    return isSame(before, (await request(`/transacciones/${id}`)).data);
  } catch (e) {
    if (e.status === 404) return false;
    throw e;
  }
}

function reset() {
  rows.clear();
  stream.loaded = false;
  onReset.call();
  catchUpAnew();
  // the browser would ask the new market for what comes after the old one's last id
  if (source) {
    channel?.postMessage({ reset: true });
    open();
  }
}

function open() {
  close();
  const mine = (source = new EventSource("/transacciones/eventos"));
  source.addEventListener("open", () => {
    setLive(true);
    channel?.postMessage({ live: true });
    catchUpAnew();
  });
  source.addEventListener("transaccion", (e) => {
    const transaccion = JSON.parse(e.data);
    channel?.postMessage({ transaccion });
    take(transaccion, true);
  });
  // the browser came back with the id of a purchase that this market does not have
  source.addEventListener("otro-almacen", reset);
  source.addEventListener("error", () => {
    setLive(false);
    channel?.postMessage({ live: false });
    // an answer that is no stream ends it for good; a lost connection is the browser's to open again
    if (mine.readyState === EventSource.CLOSED)
      setTimeout(() => source === mine && open(), AGAIN * (0.5 + Math.random()));
  });
}

function close() {
  source?.close();
  source = null;
}

/** Follows while the page is seen: the tab whose turn it is has the stream for all. */
function follow() {
  // of the purchases of all only an auditor is told
  if (release || document.hidden || !may("auditor")) return;
  const stopped = new AbortController();
  const untilHidden = new Promise((resolve) => stopped.signal.addEventListener("abort", resolve));
  release = () => stopped.abort();
  catchUp();
  const lead = () => {
    open();
    return untilHidden.then(close);
  };
  inTurn("eventos", lead, stopped.signal);
  channel?.postMessage({ who: true });
}

function rest() {
  release?.();
  release = null;
  close();
  setLive(false);
}

export function startEvents() {
  channel?.addEventListener("message", ({ data }) => {
    if (data.who && source) channel.postMessage({ live: stream.live });
    // a hidden page catches up when it is seen again
    if (document.hidden || source) return;
    if (data.reset) reset();
    if (data.live && !stream.live) catchUpAnew();
    if ("live" in data) setLive(data.live);
    if (data.transaccion) take(data.transaccion, true);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : follow()));
  onSession.add(() => {
    rest();
    rows.clear();
    follow();
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", follow);
  follow();
}
