// The dialog in which a person says who buys.

import { pages } from "./api.js";
import { buyer, choose } from "./buyer.js";
import { h, icon, reconcile, setText } from "./dom.js";
import { learn } from "./names.js";
import { t } from "./text.js";
import { say } from "./trouble.js";

/** Rows that are shown; more are found by typing. */
const SHOWN = 40;

let dialog = null;
let users = null;
let chosen = null;

/** A text as a search compares it: without case and accents. */
const fold = (text) =>
  text
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();

/** Asks who buys; gives the user, or null where the dialog was closed. `reason` is said above the search. */
export function pick(reason = "") {
  build();
  chosen = null;
  dialog.querySelector("h2").textContent = t.whoBuys;
  setText(dialog.querySelector(".reason"), reason);
  dialog.querySelector("input").value = "";
  users = null;
  draw();
  read();
  dialog.showModal();
  dialog.querySelector("input").focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(chosen), { once: true }));
}

async function read() {
  try {
    users = (await pages("/usuarios", 50)).rows;
    learn("usuarios", users);
    draw();
  } catch (e) {
    setText(dialog.querySelector(".state"), say(e));
    if (e.passing && dialog.open)
      setTimeout(() => {
        if (dialog.open && !users) read();
      }, 1000);
  }
}

function build() {
  dialog?.remove();
  dialog = h(
    "dialog",
    { class: "picker", "aria-labelledby": "picker-title" },
    h(
      "form",
      { method: "dialog", class: "picker-head" },
      h("h2", { id: "picker-title" }),
      h("button", { class: "close", "aria-label": t.close }, icon("cross")),
    ),
    h("p", { class: "reason quiet" }),
    h(
      "label",
      { class: "field" },
      h("span", {}, t.searchUser),
      h("input", { type: "search", autocomplete: "off", oninput: draw, onkeydown: enter }),
    ),
    h("ul", { class: "people" }),
    h("p", { class: "state quiet", role: "status" }),
    h("p", {}, h("a", { href: "#/cuenta?nuevo", onclick: () => dialog.close() }, t.newUser)),
  );
  document.body.append(dialog);
}

/** Enter takes the only one that is left. */
function enter(e) {
  if (e.key !== "Enter") return;
  e.preventDefault();
  const rows = dialog.querySelectorAll(".people button");
  if (rows.length === 1) rows[0].click();
}

function matching(text) {
  const wanted = fold(text.trim());
  if (!wanted) return users;
  const id = /^#?(\d+)$/.exec(wanted)?.[1];
  return users.filter((u) => String(u.id) === id || fold(u.nombre).includes(wanted));
}

function draw() {
  const text = dialog.querySelector("input").value;
  const found = users ? matching(text) : [];
  reconcile(dialog.querySelector(".people"), found.slice(0, SHOWN), (u) => u.id, row);
  const left = found.length - SHOWN;
  const state = !users
    ? t.loading
    : left > 0
      ? t.moreUsers(left)
      : found.length
        ? ""
        : users.length
          ? t.nobody(text)
          : t.noUsers;
  setText(dialog.querySelector(".state"), state);
}

function row(usuario) {
  const mine = usuario.id === buyer?.id;
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", "aria-current": mine ? "true" : null, onclick: () => take(usuario) },
      h("span", { class: "who" }, usuario.nombre, " ", h("small", { class: "quiet" }, `#${usuario.id}`)),
      h("span", { class: "figure" }, t.credits(usuario.saldo)),
    ),
  );
}

function take(usuario) {
  chosen = usuario;
  choose(usuario);
  dialog.close();
}

/** The buyer, asked for where there is none. */
export async function needBuyer(reason) {
  if (buyer && !buyer.missing) return buyer;
  return pick(reason);
}
