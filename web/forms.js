// Forms that are sent once: while an answer is awaited a second press does nothing.

import { h, icon, setText } from "./dom.js";
import { announce } from "./notice.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** A labelled field for a whole number. */
export function numberField(name, label, value, min) {
  return h(
    "label",
    { class: "field short" },
    h("span", {}, label),
    h("input", {
      name,
      type: "number",
      inputmode: "numeric",
      min,
      max: Number.MAX_SAFE_INTEGER,
      step: "1",
      value,
      required: true,
      autocomplete: "off",
    }),
  );
}

/** A labelled field for a line of text. */
export function textField(name, label, maxlength) {
  return h(
    "label",
    { class: "field grow" },
    h("span", {}, label),
    h("input", { name, maxlength, required: true, autocomplete: "off" }),
  );
}

/** A section with a form: `send` gets its fields; `uncertain` is said where nobody knows whether it happened. */
export function makeForm({ title, submit, signName, fields, send, uncertain }) {
  const id = `form-${fields.map((f) => f.lastChild.name).join("-")}`;
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const button = h("button", { class: "primary" }, icon(signName), submit);
  const form = h("form", { class: "row", autocomplete: "off" }, fields, button);
  let busy = false;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    problem.hidden = true;
    try {
      await send(Object.fromEntries(new FormData(form)));
      form.reset();
    } catch (failure) {
      problem.hidden = false;
      setText(problem, failure.uncertain ? uncertain : say(failure));
    }
    busy = false;
    button.removeAttribute("aria-disabled");
  });
  form.addEventListener("invalid", () => announce(t.checkFields), true);
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), form, problem);
}
