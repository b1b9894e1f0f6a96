// What the shop is asked for: a form, and the same as an address.

import { h } from "./dom.js";
import { t } from "./text.js";

/** The fields of the form, as the API calls them. */
export const FIELDS = ["nombre", "vendido", "orden", "precioMin", "precioMax"];

/** The form; `changed` is called as one types. */
export function makeFilter(changed) {
  const radio = (value, text, checked) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name: "vendido", value, checked }), h("span", {}, text));
  const option = (value, text) => h("option", { value }, text);
  const price = (name, text) =>
    h(
      "label",
      { class: "field short" },
      h("span", {}, text),
      h("input", { name, type: "number", min: "0", step: "1", inputmode: "numeric" }),
    );
  return h(
    "form",
    { class: "filter", role: "search", oninput: changed, onsubmit: (e) => e.preventDefault() },
    h(
      "label",
      { class: "field grow" },
      h("span", {}, t.search),
      h("input", { name: "nombre", type: "search", autocomplete: "off", maxlength: "100", placeholder: t.searchHint }),
    ),
    h(
      "fieldset",
      {},
      h("legend", {}, t.show),
      h(
        "div",
        { class: "choices" },
        radio("", t.all, true),
        radio("false", t.onlyFree, false),
        radio("true", t.onlySold, false),
      ),
    ),
    price("precioMin", t.priceFrom),
    price("precioMax", t.priceTo),
    h(
      "label",
      { class: "field" },
      h("span", {}, t.order),
      h(
        "select",
        { name: "orden" },
        option("id", t.byNumber),
        option("-id", t.byNewest),
        option("precio", t.byPrice),
        option("-precio", t.byPriceDown),
        option("nombre", t.byName),
      ),
    ),
  );
}

/** Sets the form to what an address says. */
export function fillFilter(filter, params) {
  for (const field of FIELDS) filter.elements[field].value = params.get(field) ?? (field === "orden" ? "id" : "");
}
