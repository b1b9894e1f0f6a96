// A token as a card: picture, name, price, state, and a button that buys.

import { h, icon, setAttribute, setText } from "./dom.js";
import { onOutstanding, outstanding, buy } from "./purchase.js";
import { needBuyer } from "./picker.js";
import { t, whole } from "./text.js";

/** The picture's address. */
export const picture = (id) => `/tokens/${id}/imagen`;

/** A button that buys the token which `token()` gives. It is never disabled: focus would fall off it. */
export function buyButton(token) {
  const button = h("button", { type: "button", class: "primary buy" });
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    const wanted = { ...token() };
    const usuario = await needBuyer(t.whoBuysThis(wanted));
    if (usuario) buy(wanted, usuario);
  });
  return button;
}

/** Fills a buy button for a token's state now. */
export function fillButton(button, token) {
  const under = outstanding().some((c) => c.tokenId === token.id);
  const word = token.vendido ? t.sold : under ? t.buying : t.buy;
  setText(button, word);
  setAttribute(button, "aria-label", token.vendido || under ? `${word}: ${token.nombre}` : t.buyThis(token));
  setAttribute(button, "aria-disabled", token.vendido || under ? "true" : null);
  setAttribute(button, "aria-busy", under ? "true" : null);
}

/** The sign and word of a token's state. */
export function stateOf(token) {
  return h(
    "span",
    { class: token.vendido ? "tag sold" : "tag free" },
    icon(token.vendido ? "lock" : "dot"),
    token.vendido ? t.sold : t.free,
  );
}

/** A card; `fillCard` fills it. */
export function makeCard(token) {
  const card = h("li", { class: "card" });
  card.token = token;
  card.append(
    h(
      "a",
      { class: "frame", href: `#/tienda/${token.id}`, tabindex: "-1" },
      h("img", { loading: "lazy", decoding: "async", width: "400", height: "400", src: picture(token.id) }),
    ),
    h(
      "div",
      { class: "about" },
      h("h3", {}, h("a", { href: `#/tienda/${token.id}` })),
      h("p", { class: "line" }, h("span", { class: "price" }), h("span", { class: "state" })),
      buyButton(() => card.token),
    ),
  );
  return card;
}

/** Fills a card. */
export function fillCard(card, token) {
  card.token = token;
  card.classList.toggle("is-sold", token.vendido);
  const [image, link, price, state, button] = ["img", "h3 a", ".price", ".state", ".buy"].map((css) => card.querySelector(css));
  setAttribute(image, "alt", t.pictureOf(token.nombre));
  setText(link, token.nombre);
  if (price.dataset.precio !== String(token.precio)) {
    price.dataset.precio = token.precio;
    price.replaceChildren(h("strong", {}, whole(token.precio)), " ", t.creditWord(token.precio));
  }
  if (state.dataset.sold !== String(token.vendido)) {
    state.dataset.sold = token.vendido;
    state.replaceChildren(stateOf(token));
  }
  fillButton(button, token);
}

/** Calls `f` whenever buttons may have to change. */
export const onButtons = (f) => onOutstanding.add(f);
