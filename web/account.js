// Mi cuenta: what the buyer has and did, money, new users, and what they offer.

import { newKey, pages, request } from "./api.js";
import { buyer, choose, onBuyer, refresh } from "./buyer.js";
import { picture } from "./card.js";
import { h, reconcile, setText } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { makeForm, numberField, textField } from "./forms.js";
import { onHealth } from "./monitor.js";
import { fillName } from "./names.js";
import { tell } from "./notice.js";
import { pick } from "./picker.js";
import { load, save } from "./storage.js";
import { dateOf, t, whole } from "./text.js";

/** Rows that a table shows at first, and adds. */
const ROWS = 20;

/** The view. */
export function makeAccount() {
  const head = h("div", { class: "panel who-head" });
  const mine = h("ul", { class: "mine" });
  const purchases = makeTable(t.myPurchases, [t.number, t.token, t.price, t.date], purchaseCells);
  const ledger = makeTable(t.ledger, [t.kind, t.amount, t.date], movementCells);
  const mineState = h("p", { class: "quiet" });
  const addMoney = makeAddMoney();
  const newUser = makeNewUser();
  const publish = makePublish();
  const own = h(
    "div",
    { class: "own" },
    h("section", { class: "panel", "aria-labelledby": "mine" }, h("h2", { id: "mine" }, t.myTokens), mineState, mine),
    h("div", { class: "pair" }, purchases.section, ledger.section),
  );
  const element = h(
    "div",
    { class: "account" },
    h("header", { class: "heading" }, h("h1", { tabindex: "-1" }, t.account)),
    h("div", { class: "pair" }, head, addMoney),
    own,
    h("div", { class: "pair" }, newUser, publish),
  );

  let shown = false;
  let asked = 0;

  function drawHead() {
    const change = h(
      "button",
      { type: "button", class: "plain", onclick: () => pick() },
      buyer ? t.changeBuyer : t.chooseBuyer,
    );
    own.hidden = addMoney.hidden = !buyer || buyer.missing;
    if (!buyer) return head.replaceChildren(h("p", { class: "sentence" }, t.noBuyer), change);
    if (buyer.missing) return head.replaceChildren(h("p", { class: "sentence" }, t.buyerGone(buyer)), change);
    head.replaceChildren(
      h("p", { class: "name" }, buyer.nombre, " ", h("small", { class: "quiet" }, `#${buyer.id}`)),
      h(
        "p",
        { class: "balance" },
        h("span", { class: "quiet" }, t.balance),
        " ",
        h("strong", {}, buyer.saldo === null ? t.unknown : t.credits(buyer.saldo)),
      ),
      change,
    );
  }

  async function read() {
    if (!shown || !buyer) return;
    const mineNow = ++asked;
    const id = buyer.id;
    const [bought, moved] = await Promise.allSettled([
      pages(`/transacciones?usuarioId=${id}`),
      pages(`/usuarios/${id}/movimientos`),
    ]);
    if (mineNow !== asked || buyer?.id !== id) return;
    purchases.fill(bought);
    ledger.fill(moved);
    const rows = bought.value?.rows ?? [];
    setText(mineState, bought.reason ? t.unknownNow : rows.length ? t.tokensOwned(rows.length) : t.noTokensYet);
    if (!bought.reason) reconcile(mine, [...rows].reverse().slice(0, 60), (one) => one.tokenId, tile);
  }

  onBuyer.add(() => {
    drawHead();
    read();
  });
  onPurchase.add((transaccion, live) => {
    if (live && transaccion.usuarioId === buyer?.id) read();
  });
  onHealth.add((service) => {
    if (service.down === null) read();
  });
  onReset.add(read);
  document.addEventListener("mercado:abono", read);
  drawHead();

  return {
    element,
    show(params) {
      shown = true;
      const monto = Number(params.get("monto"));
      if (monto > 0) addMoney.querySelector("[name=monto]").value = monto;
      if (monto > 0) addMoney.querySelector("[name=monto]").focus();
      else if (params.has("nuevo")) newUser.querySelector("[name=nombre]").focus();
      else if (params.has("publicar")) publish.querySelector("[name=nombre]").focus();
      read();
    },
    hide() {
      shown = false;
    },
    end() {},
  };
}

function tile({ tokenId }) {
  const name = fillName(h("span"), "tokens", tokenId);
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/tienda/${tokenId}` },
      h("img", { src: picture(tokenId), alt: "", width: "120", height: "120", loading: "lazy" }),
      name,
    ),
  );
}

function purchaseCells(one) {
  return [
    `#${one.id}`,
    fillName(h("a", { href: `#/tienda/${one.tokenId}` }), "tokens", one.tokenId),
    whole(one.precio),
    dateOf(one.fecha),
  ];
}

function movementCells({ tipo, monto, fecha, confirmado }) {
  const signed = `${monto > 0 ? "+" : monto < 0 ? "−" : ""}${whole(Math.abs(monto))}`;
  return [h("span", {}, t.movements[tipo] ?? tipo, confirmado ? "" : ` (${t.notYet})`), signed, dateOf(fecha)];
}

/** A table of rows, newest first, that shows a part and has a button for more. */
function makeTable(title, columns, cells) {
  const body = h("tbody");
  const state = h("p", { class: "quiet" }, t.loading);
  const more = h(
    "button",
    {
      type: "button",
      class: "plain",
      hidden: true,
      onclick: () => {
        shown += ROWS * 5;
        draw();
      },
    },
    t.more,
  );
  const id = `table-${columns.join("-").length}-${title.length}`;
  let rows = [];
  let shown = ROWS;
  function draw() {
    body.replaceChildren(
      ...rows.slice(0, shown).map((one) =>
        h(
          "tr",
          {},
          cells(one).map((cell, n) => h("td", { class: /^[+−#]?[\d.,\s]+$/.test(cell) ? "figure" : n ? "" : "first" }, cell)),
        ),
      ),
    );
    more.hidden = rows.length <= shown;
  }
  return {
    section: h(
      "section",
      { class: "panel", "aria-labelledby": id },
      h("h2", { id }, title),
      state,
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": id },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              columns.map((name) => h("th", { scope: "col" }, name)),
            ),
          ),
          body,
        ),
      ),
      more,
    ),
    fill({ value, reason }) {
      if (reason) return setText(state, t.unknownNow);
      rows = value.rows.reverse();
      setText(state, value.more ? t.tooMany : rows.length ? "" : t.nothingYet);
      state.hidden = !state.textContent;
      draw();
    },
  };
}

/** Adds money once, also where the answer was lost and the person presses again after a reload. */
function makeAddMoney() {
  return makeForm({
    title: t.addMoney,
    submit: t.add,
    signName: "plus",
    fields: [numberField("monto", t.amount, 50, 1)],
    async send({ monto }) {
      const { id, nombre } = buyer;
      const kept = load("abono");
      const same = kept && kept.id === id && kept.monto === Number(monto);
      const key = same ? kept.key : newKey();
      save("abono", { id, monto: Number(monto), key });
      try {
        await request(`/usuarios/${id}/abonos`, { method: "POST", body: { monto: Number(monto) }, key });
      } catch (e) {
        if (!e.passing) save("abono", null);
        throw e;
      }
      save("abono", null);
      await refresh();
      document.dispatchEvent(new Event("mercado:abono"));
      const saldo = buyer?.id === id ? buyer.saldo : null;
      tell({
        kind: "good",
        text: t.added({ nombre, monto: Number(monto) }),
        more: saldo === null ? [] : [t.balanceNow({ nombre, saldo })],
      });
    },
    uncertain: t.abonoUncertain,
  });
}

function makeNewUser() {
  return makeForm({
    title: t.newUser,
    submit: t.create,
    signName: "person",
    fields: [textField("nombre", t.name, 100), numberField("saldo", t.openingBalance, 100, 0)],
    async send({ nombre, saldo }) {
      const { data } = await request("/usuarios", { method: "POST", body: { nombre, saldo: Number(saldo) } });
      await choose(data);
      tell({ kind: "good", text: t.userMade(data), more: [t.nowBuyer(data)] });
    },
    uncertain: t.userUncertain,
  });
}

function makePublish() {
  return makeForm({
    title: t.publishTitle,
    submit: t.publish,
    signName: "tag",
    fields: [textField("nombre", t.name, 100), numberField("precio", t.price, 50, 0)],
    async send({ nombre, precio }) {
      const { data } = await request("/tokens", { method: "POST", body: { nombre, precio: Number(precio) } });
      tell({ kind: "good", text: t.published(data), actions: [h("a", { href: `#/tienda/${data.id}` }, t.seeIt)] });
    },
    uncertain: t.tokenUncertain,
  });
}
