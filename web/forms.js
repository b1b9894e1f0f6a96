// Forms that are sent once: while an answer is awaited a second press does nothing.

import { h, icon, panel, setText } from "./dom.js";
import { announce } from "./notice.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** A field with its label; `kind` is `grow`, `short` or nothing. */
export const field = (kind, label, input) => h(kind ? `label.field.${kind}` : "label.field", h("span", label), input);

/** A field for a whole number; `more` are attributes of its input. */
export const numberField = (name, label, more) =>
  field("short", label, h("input", { name, type: "number", inputmode: "numeric", step: "1", autocomplete: "off", ...more }));

/** A field for a line of text that must be there. */
export const textField = (name, label) =>
  field("grow", label, h("input", { name, maxlength: 100, required: true, autocomplete: "off" }));

/** One of a few, as buttons side by side; each option is `[value, text]`, the first is chosen. */
export function choices(name, legend, options) {
  const one = ([value, text], n) =>
    h("label.choice", h("input", { type: "radio", name, value, checked: n === 0 }), h("span", text));
  return h("fieldset", h("legend", legend), h("div.choices", options.map(one)));
}

/** A panel with a form: `send` gets its fields; `uncertain` is said where nobody knows whether it happened. */
export function makeForm({ id, title, submit, sign, fields, send, uncertain }) {
  const problem = h("p.problem", { role: "alert", hidden: true });
  const button = h("button.primary", icon(sign), submit);
  const form = h("form.row", { autocomplete: "off" }, fields, button);
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true";
    problem.hidden = true;
    try {
      await send(Object.fromEntries(new FormData(form)));
      form.reset();
    } catch (failure) {
      problem.hidden = false;
      setText(problem, failure.uncertain ? uncertain : say(failure));
    }
    button.ariaDisabled = null;
  });
  form.addEventListener("invalid", () => announce(t.checkFields), true);
  return panel(id, title, form, problem);
}
