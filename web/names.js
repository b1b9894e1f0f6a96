// Names of users and tokens by id: people read names, the API says ids.

import { request } from "./api.js";
import { h } from "./dom.js";
import { again } from "./monitor.js";

/** Requests under way at once: a page of purchases may need forty names. */
const AT_ONCE = 3;

const known = { usuarios: new Map(), tokens: new Map() };
const asked = new Map();
const queue = [];
let running = 0;

/** Takes note of rows that carry names anyway. */
export function learn(kind, rows) {
  for (const row of rows) known[kind].set(row.id, row);
}

/** Forgets all: the market under the page is another one. */
export function forget() {
  for (const rows of Object.values(known)) rows.clear();
  asked.clear();
}

/** The row of an id; null where nobody answers now, and nothing where the answer is that it is not to be had. */
export function find(kind, id) {
  const row = known[kind].get(id);
  if (row) return Promise.resolve(row);
  const path = `/${kind}/${id}`;
  if (!asked.has(path)) {
    asked.set(path, new Promise((resolve) => queue.push({ kind, path, resolve })));
    work();
  }
  return asked.get(path);
}

async function work() {
  if (running >= AT_ONCE) return;
  running++;
  for (let job = queue.shift(); job; job = queue.shift()) {
    const row = await request(job.path).then(
      ({ data }) => data,
      (e) => (e.passing ? null : undefined),
    );
    if (row) learn(job.kind, [row]);
    job.resolve(row);
    // a failure is asked for anew the next time
    asked.delete(job.path);
  }
  running--;
}

/** Fills an element with a name once it is known; until then, and without it, with `#id`. */
export function fillName(element, kind, id) {
  const row = known[kind].get(id);
  // a name that is written from right to left turns nothing around it
  element.dir = "auto";
  element.textContent = row?.nombre ?? `#${id}`;
  if (row) return element;
  find(kind, id).then((found) => {
    if (found) element.textContent = found.nombre;
    else if (found === null) again(kind, () => element.isConnected && fillName(element, kind, id));
  });
  return element;
}

export const tokenLink = (id) => fillName(h("a", { href: `#/tienda/${id}` }), "tokens", id);
