// Elements made by calls: text stays text, whatever is in it.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element: `h("button", { type: "button", onclick: buy }, "Buy")`. */
export const h = (tag, props = {}, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const svg = (tag, props = {}, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** A drawn sign that only eyes need: words stand beside it. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `/web/signs.svg#${name}` }));
}

/** Sets an element's text only where it differs, so that live regions and selections stay quiet. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes an attribute only where it differs. */
export function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Makes a list's children those of `items`, in order: `update` fills a child, which `create` makes once for each key.
 * A child that stays is not moved, so that focus and scroll positions stay.
 */
export function reconcile(list, items, key, create, update) {
  const old = new Set(list.children);
  const there = new Map([...old].map((child) => [child.dataset.key, child]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = there.get(name);
    old.delete(child);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
    update?.(child, item);
  }
  for (const child of old) child.remove();
}

let scope = null;

/** Runs `f`; gives what it made, and a function that ends everything which it began to listen to. */
export function scoped(f) {
  const mine = (scope = []);
  try {
    return [
      f(),
      () => {
        for (const end of mine) end();
      },
    ];
  } finally {
    scope = null;
  }
}

/** A list of functions to call: `add` one, `call` all. */
export function signal() {
  const listeners = new Set();
  return {
    add(f) {
      const end = () => listeners.delete(f);
      listeners.add(f);
      scope?.push(end);
      return end;
    },
    call(...args) {
      for (const f of [...listeners]) f(...args);
    },
  };
}

/** Waits; ends early where `signal` aborts. */
export function wait(ms, abort) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    abort?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
