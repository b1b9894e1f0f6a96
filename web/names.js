// Names of users and tokens by id: people read names, the API says ids.

import { ask } from "./api.js";
import { h } from "./dom.js";

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

/** The row of an id, or null where it is not to be had. */
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
    const row = await ask(job.path, (data) => data);
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
  element.textContent = row?.nombre ?? `#${id}`;
  if (!row) find(kind, id).then((found) => found && (element.textContent = found.nombre));
  return element;
}

/** A link to a token that says its name. */
export const tokenLink = (id) => fillName(h("a", { href: `#/tienda/${id}` }), "tokens", id);
