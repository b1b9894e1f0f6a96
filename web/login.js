// Logging in, and what an account does with itself: its password and its API keys.

import { request } from "./api.js";
import { h, icon, panel, reconcile, setText, showDialog } from "./dom.js";
import { field, makeForm, textField } from "./forms.js";
import { announce, tell } from "./notice.js";
import { logIn, logOut, onSession, session } from "./session.js";
import { dateOf, t } from "./text.js";
import { say } from "./trouble.js";

const password = (name, label, autocomplete) =>
  field("grow", label, h("input", { name, type: "password", required: true, maxlength: 128, autocomplete }));

/** Asks the person to log in; gives whether they did. `reason` is said above the fields. */
export function askToLogIn(reason = "") {
  const dialog = h("dialog.picker.login", { "aria-labelledby": "login" });
  const nombre = field("grow", t.accountName, h("input", { name: "nombre", required: true, maxlength: 64, autocomplete: "username" }));
  const form = makeForm({
    id: "login",
    title: t.logIn,
    submit: t.logIn,
    sign: "person",
    fields: [nombre, password("contrasena", t.password, "current-password")],
    async send(fields) {
      await logIn(fields);
      dialog.close();
    },
    uncertain: t.noAnswer,
  });
  dialog.append(h("form.picker-head", { method: "dialog" }, h("p.reason.quiet", reason), h("button.close", { "aria-label": t.close }, icon("cross"))), form);
  return showDialog(dialog).then(() => Boolean(session.nombre));
}

/** Who one is, and the way out. */
export function makeWho() {
  const element = panel("session", t.session, h("p.name", session.nombre), h("p.quiet", roleNames()), h("button.plain", { onclick: leave }, t.logOut));
  async function leave() {
    try {
      await logOut();
    } catch (e) {
      tell("bad", () => ({ text: say(e) }));
    }
  }
  return element;
}

const roleNames = () => (session.roles ?? []).map((role) => t.roles[role] ?? role).join(", ");

/** Another password. */
export const makePassword = () =>
  makeForm({
    id: "password",
    title: t.changePassword,
    submit: t.change,
    sign: "lock",
    fields: [password("actual", t.passwordNow, "current-password"), password("nueva", t.passwordNew, "new-password")],
    async send({ actual, nueva }) {
      await request("/cuenta/contrasena", { method: "PUT", body: { actual, nueva } });
      tell({ kind: "good", text: t.passwordChanged });
    },
    uncertain: t.noAnswer,
  });

// The key that was made last. Another language leaves it where it is; another person does not see it
let newest = null;
let showNewest = () => {};
const keep = (key) => {
  newest = key;
  showNewest();
};
onSession.add(() => keep(null));

/** API keys: what programs log in with. */
export function makeKeys() {
  const list = h("ul.keys");
  const made = h("p.sentence", { role: "status" });
  showNewest = () => made.replaceChildren(...(newest ? [t.keyOnce, " ", h("code", newest)] : []));
  const form = makeForm({
    id: "keys",
    title: t.apiKeys,
    submit: t.create,
    sign: "plus",
    fields: [textField("nombre", t.keyFor)],
    async send({ nombre }) {
      const who = session.nombre;
      const { data } = await request("/cuenta/claves-api", { body: { nombre } });
      // somebody else may have logged in meanwhile
      if (session.nombre !== who) return;
      keep(data.claveApi);
      await read();
    },
    uncertain: t.noAnswer,
  });
  async function read() {
    try {
      const { data } = await request("/cuenta/claves-api");
      reconcile(list, data, ({ id }) => id, row);
    } catch (e) {
      setText(made, say(e));
    }
  }
  async function revoke(id) {
    try {
      await request(`/cuenta/claves-api/${id}`, { method: "DELETE" });
      keep(null);
    } catch (e) {
      setText(made, say(e));
    }
    await read();
    if (document.activeElement === document.body) form.querySelector("input").focus();
  }
  function row({ id, nombre, creada, uso }) {
    const button = h("button.plain", { onclick: press, onblur: () => call(t.revoke) });
    const call = (word) => {
      setText(button, word);
      button.ariaLabel = `${word}: ${nombre}`;
    };
    // the first press asks whether it is meant
    function press() {
      if (button.textContent === t.revokeSure) return revoke(id);
      call(t.revokeSure);
      announce(button.ariaLabel);
    }
    call(t.revoke);
    const facts = `${dateOf(creada)} · ${uso ? t.lastUse(dateOf(uso)) : t.neverUsed}`;
    return h("li", h("span", h("bdi", nombre), " ", h("small.quiet", facts)), button);
  }
  form.append(made, list);
  showNewest();
  read();
  return form;
}

/** Tells of a session that ended while the page was open. */
export const tellOfEnd = () =>
  onSession.add((ended) => {
    if (!ended) return;
    const again = () => h("button.plain", { onclick: () => askToLogIn() }, t.logIn);
    tell("bad", () => ({ text: t.sessionEnded, actions: [again()] }));
  });
