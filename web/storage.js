// What the page remembers across reloads. A browser that blocks storage gets memory instead, which ends with the tab.

const PREFIX = "mercado.";
const memory = new Map();

/** The value under a name, or `fallback` where there is none or it cannot be read. */
export function load(name, fallback = null) {
  try {
    return JSON.parse(memory.get(name) ?? localStorage.getItem(PREFIX + name)) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Keeps a value; `null` forgets the name. */
export function save(name, value) {
  memory.delete(name);
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    if (value !== null) memory.set(name, JSON.stringify(value));
  }
}

/**
 * Runs `f` in one tab at a time, as far as the browser has locks: on plain http and with storage blocked it has none, and
 * tabs run at once. `abort` ends the waiting.
 */
export async function inTurn(name, f, abort) {
  let begun = false;
  const run = () => {
    begun = true;
    return f();
  };
  try {
    if (!navigator.locks) return await run();
    return await navigator.locks.request(PREFIX + name, { signal: abort }, run);
  } catch (e) {
    if (begun) throw e;
    return abort?.aborted ? undefined : run();
  }
}

/** Calls `f` when another tab changes the name. */
export function onStored(name, f) {
  addEventListener("storage", (e) => {
    if (e.key === PREFIX + name || e.key === null) f();
  });
}
