// One token: its picture large, what it costs, who has it.

import { ask, request } from "./api.js";
import { buyButton, fillButton, picture, priceOf, stateOf } from "./card.js";
import { every, h, icon, isShown, setAttribute } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { fillName, learn } from "./names.js";
import { onOutstanding } from "./purchase.js";
import { may } from "./session.js";
import { address } from "./shop.js";
import { dateOf, t } from "./text.js";
import { say } from "./trouble.js";

/** Between two looks at it, ms. */
const EVERY = 5000;

/** The view of one token. */
export function makeToken() {
  const element = h("div.token");
  const back = h("p.back", h("a", icon("back"), t.backToShop));
  let image = null;
  const button = buyButton(() => token);
  let id = null;
  let token = null;
  /** Who bought it, `undefined` while that is asked. */
  let sale;

  async function read() {
    if (!isShown(element)) return;
    const mine = id;
    try {
      const { data } = await request(`/tokens/${mine}`);
      if (mine !== id) return;
      learn("tokens", [data]);
      const before = JSON.stringify(token);
      token = data;
      if (JSON.stringify(data) !== before) draw();
    } catch (e) {
      if (mine === id && (!token || e.status === 404)) drawTrouble(e);
      return;
    }
    if (!token.vendido || sale) return;
    if (!may("comprador", "auditor")) return (sale = null), draw();
    const found = await ask(`/transacciones?tokenId=${mine}&limite=1`, ([first]) => first ?? null);
    if (mine !== id) return;
    sale = found;
    draw();
  }

  function draw() {
    const had = element.contains(document.activeElement) && document.activeElement.localName;
    fillButton(button, token);
    setAttribute(image, "alt", t.pictureOf(token.nombre));
    element.replaceChildren(
      back,
      h("div.frame", image),
      h(
        "div.about",
        h("h1", { tabindex: -1 }, token.nombre),
        h("p.line", stateOf(token), h("span.quiet", `#${id}`)),
        h("p.price.large", priceOf(token)),
        button,
        token.vendido ? saleFacts(sale) : h("p.quiet.sale", t.onePurchase),
      ),
    );
    if (had) element.querySelector(had)?.focus({ preventScroll: true });
    entitle();
  }

  function entitle() {
    if (token && isShown(element)) document.title = `${token.nombre} · ${t.market}`;
  }

  function drawTrouble(failure) {
    token = null;
    const words = failure.status === 404 ? t.noSuchToken : say(failure);
    element.replaceChildren(
      back,
      h(
        "div.empty",
        icon("cross"),
        h("h1.sentence", { tabindex: -1 }, words),
        failure.passing && h("p.quiet", t.comesBack),
      ),
    );
  }

  onPurchase.add((transaccion) => {
    if (transaccion.tokenId !== id || !token || !isShown(element)) return;
    sale = transaccion;
    token = { ...token, vendido: true };
    draw();
  });
  onOutstanding.add(() => token && fillButton(button, token));
  onReset.add(() => {
    sale = undefined;
    read();
  });
  every(EVERY, read);

  return {
    element,
    show(_, wanted) {
      if (id !== wanted) {
        [id, token, sale, image] = [wanted, null, undefined, picture(wanted, 400)];
        element.replaceChildren(h("h1.quiet", { tabindex: -1 }, t.loading));
      }
      setAttribute(back.firstChild, "href", address);
      entitle();
      read();
    },
  };
}

function saleFacts(sale) {
  if (!sale) return h("p.quiet.sale", sale === null ? t.ownerUnknown : t.loading);
  const fact = ([name, value]) => h("div", h("dt", name), h("dd", value));
  const facts = [
    [t.owner, fillName(h("b"), "usuarios", sale.usuarioId)],
    [t.purchase, `#${sale.id}`],
    [t.paid, t.credits(sale.precio)],
    [t.date, dateOf(sale.fecha)],
  ];
  if (sale.pod) facts.push([t.madeBy, h("code", sale.pod)]);
  return h("dl.facts.sale", facts.map(fact));
}
