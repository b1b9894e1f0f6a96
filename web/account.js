// Mi cuenta: what the buyer has and did, money, new users, and what they offer.

import { newKey, pages, request } from "./api.js";
import { buyer, choose, onBuyer, refresh } from "./buyer.js";
import { picture } from "./card.js";
import { h, isShown, panel, reconcile, setText, table } from "./dom.js";
import { onPurchase, onReset } from "./events.js";
import { makeForm, numberField, textField } from "./forms.js";
import { onHealth } from "./monitor.js";
import { fillName, tokenLink } from "./names.js";
import { tell } from "./notice.js";
import { pick } from "./picker.js";
import { makeKeys, makePassword, makeWho, askToLogIn } from "./login.js";
import { may, mayChoose, session } from "./session.js";
import { load, save } from "./storage.js";
import { dateOf, t, whole } from "./text.js";
import { say } from "./trouble.js";

/** Rows that a table shows at first. */
const ROWS = 20;
const TILES = 60;

export function makeAccount() {
  const head = h("div.panel.who-head");
  const mine = h("ul.mine");
  const mineState = h("p.quiet");
  const purchases = makeTable("purchases", t.myPurchases, [t.number, t.token, t.price, t.date], purchaseCells);
  const ledger = makeTable("ledger", t.ledger, [t.what, t.amount, t.date], movementCells);
  const [addMoney, newUser, publish] = [makeAddMoney(), makeNewUser(), makePublish()];
  const own = h("div.own", panel("mine-all", t.myTokens, mineState, mine), h("div.pair", purchases.element, ledger.element));
  const element = h(
    "div.account",
    h("header.heading", h("h1", { tabindex: -1 }, t.account)),
    h("div.pair", head, addMoney),
    own,
    h("div.pair", newUser, publish),
  );
  let asked = 0;
  let whose = buyer?.id;

  newUser.hidden = !may("tesorero");
  publish.hidden = !may("publicador");
  if (session.nombre) element.append(h("div.pair", makeWho(), makePassword()), makeKeys());

  /** What was sent before a reload, and never answered. */
  function remind() {
    const [kept, problem] = [load("abono"), addMoney.querySelector(".problem")];
    problem.hidden = !kept || kept.id !== buyer?.id;
    if (problem.hidden) return;
    addMoney.querySelector("input").value = kept.monto;
    setText(problem, t.abonoUncertain);
  }

  function drawHead() {
    const word = session.cuentas ? t.whoseMoney : buyer ? t.changeBuyer : t.chooseBuyer;
    const change = mayChoose() && h("button.plain", { onclick: () => pick() }, word);
    const nobody = !buyer || buyer.missing;
    own.hidden = nobody || !may(session.usuarioId ? "comprador" : "auditor");
    addMoney.hidden = nobody || !may("tesorero");
    if (session.cuentas && !session.nombre)
      return head.replaceChildren(h("p.sentence", t.logInFirst), h("button.primary", { onclick: () => askToLogIn() }, t.logIn));
    if (nobody) {
      const without = session.cuentas === false ? t.noBuyer : t.unknownNow;
      const words = buyer ? t.buyerGone(buyer) : (session.nombre ?? without);
      return head.replaceChildren(...[h("p.sentence", words), change].filter(Boolean));
    }
    const balance = h("strong", buyer.saldo === null ? t.unknown : t.credits(buyer.saldo));
    head.replaceChildren(
      h("p.name", h("bdi", buyer.nombre), " ", h("small.quiet", `#${buyer.id}`)),
      h("p.balance", h("span.quiet", t.balance), " ", balance),
      change || "",
    );
  }

  async function read() {
    if (!isShown(element) || own.hidden) return;
    const turn = ++asked;
    const { id } = buyer;
    const lists = [`/transacciones?usuarioId=${id}`, `/usuarios/${id}/movimientos`].map((path) => pages(path));
    const [bought, moved] = await Promise.allSettled(lists);
    if (turn !== asked || buyer?.id !== id) return;
    purchases.fill(bought);
    ledger.fill(moved);
    if (bought.reason) return setText(mineState, unread(bought.reason));
    const { rows } = bought.value;
    setText(mineState, rows.length ? t.found(rows.length) : t.noTokensYet);
    reconcile(mine, rows.slice(0, TILES), (one) => one.tokenId, tile);
  }

  onBuyer.add(() => {
    if (buyer?.id !== whose) {
      // what the one before had is not this one's
      whose = buyer?.id;
      mine.replaceChildren();
      setText(mineState, t.loading);
      for (const list of [purchases, ledger]) list.fill({});
      remind();
    }
    drawHead();
    read();
  });
  onPurchase.add((transaccion, live) => live && transaccion.usuarioId === buyer?.id && read());
  onHealth.add((service) => service.down === null && read());
  onReset.add(read);
  drawHead();
  remind();

  return {
    element,
    show(params) {
      const monto = Number(params.get("monto"));
      const [form, name] = monto > 0 ? [addMoney, "monto"] : [params.has("nuevo") ? newUser : publish, "nombre"];
      if (monto > 0) form.querySelector("input").value = monto;
      if (params.size) {
        form.querySelector(`[name=${name}]`).focus();
        // wished once: neither a reload nor another language wishes it again
        history.replaceState(history.state, "", "#/cuenta");
      }
      read();
    },
  };
}

const unread = (failure) => (failure.passing ? t.unknownNow : say(failure));

function tile({ tokenId }) {
  const image = picture(tokenId, 120, { alt: "", loading: "lazy" });
  return h("li", h("a", { href: `#/tienda/${tokenId}` }, image, fillName(h("span"), "tokens", tokenId)));
}

const purchaseCells = ({ id, tokenId, precio, fecha }) => [`#${id}`, tokenLink(tokenId), whole(precio), dateOf(fecha)];

function movementCells({ tipo, monto, fecha, confirmado }) {
  const sign = monto > 0 ? "+" : monto < 0 ? "−" : "";
  const what = t.movements[tipo] ?? tipo;
  return [confirmado ? what : `${what} (${t.notYet})`, `${sign}${whole(Math.abs(monto))}`, dateOf(fecha)];
}

/** A table of rows, newest first, that shows a part and has a button for more. */
function makeTable(id, title, columns, cells) {
  const { element, body } = table(title, columns);
  const state = h("p.quiet", t.loading);
  const more = h("button.plain", { hidden: true, onclick: showMore }, t.more);
  let rows = [];
  let shown = ROWS;

  function showMore() {
    shown += ROWS * 5;
    draw();
  }

  function draw() {
    const cell = (value, n) => h(/^[+−#]?[\d.,\s]+$/.test(value) ? "td.figure" : n ? "td" : "td.first", value);
    body.replaceChildren(...rows.slice(0, shown).map((one) => h("tr", cells(one).map(cell))));
    more.hidden = rows.length <= shown;
  }

  return {
    element: panel(id, title, state, element, more),
    /** Nothing to show yet, where there is neither a value nor a reason why there is none. */
    fill({ value, reason }) {
      if (!reason) rows = value?.rows.reverse() ?? [];
      setText(state, reason ? unread(reason) : !value ? t.loading : value.more ? t.tooMany : rows.length ? "" : t.nothingYet);
      state.hidden = !state.textContent;
      draw();
    },
  };
}

/** Adds money once, also where the answer was lost and the person presses again after a reload. */
function makeAddMoney() {
  return makeForm({
    id: "add-money",
    title: t.addMoney,
    submit: t.add,
    sign: "plus",
    fields: [amount("monto", t.amount, 50, 1)],
    async send(fields) {
      const { id, nombre } = buyer;
      const monto = Number(fields.monto);
      const kept = load("abono");
      const key = kept?.id === id && kept.monto === monto ? kept.key : newKey();
      save("abono", { id, monto, key });
      let replayed;
      try {
        ({ replayed } = await request(`/usuarios/${id}/abonos`, { body: { monto }, key }));
      } catch (e) {
        if (!e.passing) save("abono", null);
        throw e;
      }
      save("abono", null);
      await refresh();
      const saldo = buyer?.id === id ? buyer.saldo : null;
      const more = () => (saldo === null ? [] : [t.balanceNow({ nombre, saldo })]);
      tell("good", () => ({ text: (replayed ? t.addedBefore : t.added)({ nombre, monto }), more: more() }));
    },
    uncertain: t.abonoUncertain,
  });
}

const amount = (name, label, value, min) =>
  numberField(name, label, { value, min, max: Number.MAX_SAFE_INTEGER, required: true });

function makeNewUser() {
  return makeForm({
    id: "new-user",
    title: t.newUser,
    submit: t.create,
    sign: "person",
    fields: [textField("nombre", t.fields.nombre), amount("saldo", t.fields.saldo, 100, 0)],
    async send({ nombre, saldo }) {
      const { data } = await request("/usuarios", { body: { nombre, saldo: Number(saldo) } });
      await choose(data);
      tell("good", () => ({ text: t.userMade(data), more: session.cuentas ? [] : [t.nowBuyer(data)] }));
    },
    uncertain: t.userUncertain,
  });
}

function makePublish() {
  return makeForm({
    id: "new-token",
    title: t.publishTitle,
    submit: t.publish,
    sign: "tag",
    fields: [textField("nombre", t.fields.nombre), amount("precio", t.price, 50, 0)],
    async send({ nombre, precio }) {
      const { data } = await request("/tokens", { body: { nombre, precio: Number(precio) } });
      tell("good", () => ({ text: t.published(data), actions: [h("a", { href: `#/tienda/${data.id}` }, t.seeIt)] }));
    },
    uncertain: t.tokenUncertain,
  });
}
