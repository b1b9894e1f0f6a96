// One token: its picture large, what it costs, who has it.

import { request } from "./api.js";
import { buyButton, fillButton, onButtons, picture, stateOf } from "./card.js";
import { h, icon } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { onHealth } from "./monitor.js";
import { fillName, learn } from "./names.js";
import { madeBy } from "./purchase.js";
import { dateOf, t, whole } from "./text.js";
import { say } from "./trouble.js";

/** The view of one token. */
export function makeToken() {
  const element = h("div", { class: "token" });
  let id = null;
  let token = null;
  let sale = null;
  let shown = false;

  async function read() {
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
    if (token.vendido && !sale) {
      const found = await request(`/transacciones?tokenId=${mine}&limite=1`).then(
        ({ data }) => data[0],
        () => undefined,
      );
      if (mine !== id) return;
      sale = found ?? null;
      drawSale(found);
    }
  }

  function draw() {
    const button = buyButton(() => token);
    fillButton(button, token);
    element.replaceChildren(
      h("p", { class: "back" }, h("a", { href: "#/tienda" }, icon("back"), t.backToShop)),
      h(
        "div",
        { class: "frame" },
        h("img", { src: picture(token.id), alt: t.pictureOf(token.nombre), width: "400", height: "400" }),
      ),
      h(
        "div",
        { class: "about" },
        h("h1", { tabindex: "-1" }, token.nombre),
        h("p", { class: "line" }, stateOf(token), h("span", { class: "quiet" }, `#${token.id}`)),
        h("p", { class: "price large" }, h("strong", {}, whole(token.precio)), " ", t.creditWord(token.precio)),
        button,
        h("div", { class: "sale" }),
      ),
    );
    drawSale(token.vendido ? (sale ?? undefined) : null);
    if (shown) document.title = `${token.nombre} · ${t.market}`;
  }

  function drawSale(found) {
    const place = element.querySelector(".sale");
    if (!place) return;
    if (!token.vendido) return place.replaceChildren(h("p", { class: "quiet" }, t.onePurchase));
    if (!found) return place.replaceChildren(h("p", { class: "quiet" }, found === null ? t.ownerUnknown : t.loading));
    const pod = madeBy.get(found.id);
    place.replaceChildren(
      h(
        "dl",
        { class: "facts" },
        h("div", {}, h("dt", {}, t.owner), h("dd", {}, fillName(h("b"), "usuarios", found.usuarioId))),
        h("div", {}, h("dt", {}, t.purchase), h("dd", {}, `#${found.id}`)),
        h("div", {}, h("dt", {}, t.paid), h("dd", {}, t.credits(found.precio))),
        h("div", {}, h("dt", {}, t.date), h("dd", {}, dateOf(found.fecha))),
        pod ? h("div", {}, h("dt", {}, t.madeBy), h("dd", {}, h("code", {}, pod))) : null,
      ),
    );
  }

  function drawTrouble(failure) {
    element.replaceChildren(
      h("p", { class: "back" }, h("a", { href: "#/tienda" }, icon("back"), t.backToShop)),
      h(
        "div",
        { class: "empty" },
        icon("cross"),
        h("h1", { tabindex: "-1", class: "sentence" }, failure.status === 404 ? t.noSuchToken : say(failure)),
        failure.passing ? h("p", { class: "quiet" }, t.comesBack) : null,
      ),
    );
  }

  onPurchase.add((transaccion) => {
    if (!shown || transaccion.tokenId !== id) return;
    sale = transaccion;
    if (!token) return;
    token = { ...token, vendido: true };
    fillButton(element.querySelector(".buy"), token);
    element.querySelector(".tag")?.replaceWith(stateOf(token));
    drawSale(sale);
  });
  onButtons(() => {
    const button = element.querySelector(".buy");
    if (button && token) fillButton(button, token);
  });
  onHealth.add((service) => {
    if (shown && service.down === null) read();
  });
  onReset.add(() => {
    if (shown) {
      sale = null;
      read();
    }
  });
  const looking = setInterval(() => {
    if (shown && !document.hidden) read();
  }, 5000);

  return {
    element,
    async show(_, wanted) {
      shown = true;
      if (id !== wanted) {
        [id, token, sale] = [wanted, null, null];
        element.replaceChildren(h("h1", { tabindex: "-1", class: "quiet" }, t.loading));
      } else if (token) {
        document.title = `${token.nombre} · ${t.market}`;
      }
      await read();
    },
    hide() {
      shown = false;
    },
    end() {
      clearInterval(looking);
    },
  };
}
