// Elements made by calls: text stays text, whatever is in it.

const isNothing = (child) => child === null || child === undefined || child === false;

/** An element with its classes, attributes, listeners and children: `h("button.plain", { onclick: buy }, "Buy")`. */
export const h = (tag, ...rest) => make("http://www.w3.org/1999/xhtml", tag, rest);
export const svg = (tag, ...rest) => make("http://www.w3.org/2000/svg", tag, rest);

function make(namespace, tag, rest) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElementNS(namespace, name);
  const [props, children] = rest[0]?.constructor === Object ? [rest[0], rest.slice(1)] : [{}, rest];
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (!isNothing(value)) element.setAttribute(key, value === true ? "" : value);
  }
  // a button that does something sends no form
  if (name === "button" && props.onclick) element.type = "button";
  element.append(...children.flat(Infinity).filter((child) => !isNothing(child)));
  return element;
}

/** A drawn sign that only eyes need: words stand beside it. */
export const icon = (name) => svg("svg.icon", { "aria-hidden": "true" }, svg("use", { href: `#${name}` }));

/** A part of a view with its title; `id` is its name in the style, too. */
export const panel = (id, title, ...children) =>
  h(`section.panel.${id}`, { "aria-labelledby": id }, h("h2", { id }, title), children);

/** A table that can be scrolled by itself: the element around it, and its body. */
export function table(label, columns) {
  const body = h("tbody");
  const head = columns.map((text) => h("th", { scope: "col" }, text));
  const rows = h("table", h("thead", h("tr", head)), body);
  return { element: h("div.scroll", { tabindex: "0", role: "group", "aria-label": label }, rows), body };
}

/** Sets an element's text only where it differs, so that live regions and selections stay quiet. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes an attribute only where it differs. */
export function setAttribute(element, name, value) {
  if (isNothing(value)) element.removeAttribute(name);
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

/** Runs `f`; gives what it made, and a function that ends what it began: listeners to signals, and what runs `every` so often. */
export function scoped(f) {
  const ends = (scope = []);
  try {
    return [f(), () => ends.forEach((end) => end())];
  } finally {
    scope = null;
  }
}

export function signal() {
  const listeners = new Set();
  return {
    add(f) {
      listeners.add(f);
      scope?.push(() => listeners.delete(f));
    },
    call(...args) {
      for (const f of [...listeners]) f(...args);
    },
  };
}

/** Calls `f` every so many ms while the page is seen. */
export function every(ms, f) {
  const timer = setInterval(() => document.hidden || f(), ms);
  scope?.push(() => clearInterval(timer));
}

/** Gives the focus to the view's heading where nothing has it: who hears the page would be at its very beginning. */
export function keepFocus() {
  if (document.activeElement !== document.body) return;
  document.querySelector("main > :not([hidden]) h1")?.focus({ preventScroll: true });
}

/** Shows a dialog until it is closed. */
export function showDialog(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("input").focus();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      keepFocus();
      resolve();
    }),
  );
}

/** Whether a view is the one that is shown. */
export const isShown = (view) => view.isConnected && !view.hidden;

/** Waits; ends early where `abort` does. */
export function wait(ms, abort) {
  return new Promise((resolve) => {
    if (abort?.aborted) resolve();
    setTimeout(resolve, ms);
    abort?.addEventListener("abort", resolve, { once: true });
  });
}
