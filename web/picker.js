// The dialog in which a person says who buys.

import { pages } from "./api.js";
import { buyer, choose } from "./buyer.js";
import { h, icon, reconcile, setText, showDialog } from "./dom.js";
import { field } from "./forms.js";
import { askToLogIn } from "./login.js";
import { learn } from "./names.js";
import { tell } from "./notice.js";
import { session } from "./session.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** Rows that are shown; more are found by typing. */
const SHOWN = 40;

/** A text as a search compares it: without case and accents. */
const fold = (text) => text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase();

/** Asks who buys; gives the user, or null where the dialog was closed. `reason` is said above the search. */
export function pick(reason = "") {
  let users = null;
  let chosen = null;
  const wanted = h("input", { type: "search", autocomplete: "off", oninput: draw, onkeydown: enter });
  const people = h("ul.people");
  const state = h("p.state.quiet", { role: "status" });
  const dialog = h(
    "dialog.picker",
    { "aria-labelledby": "picker-title" },
    h(
      "form.picker-head",
      { method: "dialog" },
      h("h2", { id: "picker-title" }, session.cuentas ? t.whoseMoney : t.whoBuys),
      h("button.close", { "aria-label": t.close }, icon("cross")),
    ),
    h("p.reason.quiet", reason),
    field("", t.searchUser, wanted),
    people,
    state,
    h("p", h("a", { href: "#/cuenta?nuevo" }, t.newUser)),
  );

  async function read() {
    try {
      users = (await pages("/usuarios", 50)).rows;
      learn("usuarios", users);
      draw();
    } catch (e) {
      setText(state, say(e));
      if (e.passing) setTimeout(() => dialog.open && read(), e.wait);
    }
  }

  function matching() {
    const text = fold(wanted.value.trim());
    const id = /^#?(\d+)$/.exec(text)?.[1];
    return text ? users.filter((u) => String(u.id) === id || fold(u.nombre).includes(text)) : users;
  }

  function draw() {
    const found = users ? matching() : [];
    reconcile(people, found.slice(0, SHOWN), (u) => u.id, row);
    const left = found.length - SHOWN;
    const nobody = users?.length ? t.nobody(wanted.value) : t.noUsers;
    setText(state, !users ? t.loading : left > 0 ? t.moreUsers(left) : found.length ? "" : nobody);
  }

  function row(usuario) {
    const mine = usuario.id === buyer?.id;
    function take() {
      chosen = usuario;
      choose(usuario);
      dialog.close();
    }
    return h(
      "li",
      h(
        "button",
        { "aria-current": mine ? "true" : null, onclick: take },
        h("span.who", h("bdi", usuario.nombre), " ", h("small.quiet", `#${usuario.id}`)),
        h("span.figure", t.credits(usuario.saldo)),
      ),
    );
  }

  /** Enter takes the only one that is left. */
  function enter(e) {
    if (e.key !== "Enter") return;
    e.preventDefault();
    const rows = people.querySelectorAll("button");
    if (rows.length === 1) rows[0].click();
  }

  draw();
  read();
  return showDialog(dialog).then(() => chosen);
}

/** Asks who it is: by a choice, or by logging in. Neither can be asked while it is not known whether people log in here. */
export function askWho(reason) {
  if (session.cuentas === null) return tell("bad", () => ({ text: t.noAnswer }));
  return session.cuentas ? askToLogIn(reason) : pick(reason);
}

/** The buyer, asked for where there is none. Where people log in they are asked for that, and buy for themselves. */
export async function needBuyer(reason) {
  if (!session.cuentas && buyer && !buyer.missing) return buyer;
  const chosen = session.nombre || (await askWho(reason));
  if (session.cuentas === false) return chosen;
  const { nombre, usuarioId } = session;
  if (nombre && !usuarioId) tell("info", () => ({ text: t.buysNothing(nombre) }));
  return usuarioId ? buyer : null;
}
