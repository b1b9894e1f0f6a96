// A token as a card: picture, name, price, state, and a button that buys.

import { h, icon, setAttribute, setText } from "./dom.js";
import { again } from "./monitor.js";
import { needBuyer } from "./picker.js";
import { buy, outstanding } from "./purchase.js";
import { may, session } from "./session.js";
import { t, whole } from "./text.js";

/** A token's picture, in a place of so many pixels. A picture that did not come is asked for again. */
export function picture(id, size, more) {
  const image = h("img", { width: size, height: size, src: `/tokens/${id}/imagen`, ...more });
  image.addEventListener("error", () => again("tokens", () => image.isConnected && image.setAttribute("src", image.src)));
  return image;
}

/** A button that buys the token which `token()` gives. It is never disabled: focus would fall off it. */
export function buyButton(token) {
  async function press() {
    if (button.ariaDisabled === "true") return;
    const wanted = { ...token() };
    const usuario = await needBuyer(t.whoBuysThis(wanted));
    if (usuario) buy(wanted, usuario);
  }
  const button = h("button.primary.buy", { onclick: press });
  return button;
}

export function fillButton(button, token) {
  const under = outstanding().some((c) => c.tokenId === token.id);
  const word = token.vendido ? t.sold : under ? t.buying : t.buy;
  setText(button, word);
  setAttribute(button, "aria-label", word === t.buy ? t.buyThis(token) : `${word}: ${token.nombre}`);
  setAttribute(button, "aria-disabled", word === t.buy ? null : "true");
  setAttribute(button, "aria-busy", under ? "true" : null);
  // a visitor is asked to log in, and an account that buys nothing is offered nothing
  button.hidden = Boolean(session.nombre) && !may("comprador");
}

export const stateOf = ({ vendido }) =>
  vendido ? h("span.tag.sold", icon("lock"), t.sold) : h("span.tag.free", icon("dot"), t.free);

export const priceOf = ({ precio }) => [h("strong", whole(precio)), " ", t.creditWord(precio)];

export function makeCard(token) {
  const href = `#/tienda/${token.id}`;
  const image = picture(token.id, 400, { loading: "lazy", decoding: "async" });
  const card = h(
    "li.card",
    h("a.frame", { href, tabindex: -1 }, image),
    h(
      "div.about",
      h("h3", h("a", { href })),
      h("p.line", h("span.price"), h("span.state")),
      buyButton(() => card.token),
    ),
  );
  return card;
}

export function fillCard(card, token) {
  const before = card.token;
  card.token = token;
  card.classList.toggle("is-sold", token.vendido);
  const [image, link, price, state, button] = ["img", "h3 a", ".price", ".state", ".buy"].map((css) => card.querySelector(css));
  setAttribute(image, "alt", t.pictureOf(token.nombre));
  setText(link, token.nombre);
  if (before?.precio !== token.precio) price.replaceChildren(...priceOf(token));
  if (before?.vendido !== token.vendido || !state.firstChild) state.replaceChildren(stateOf(token));
  fillButton(button, token);
}
