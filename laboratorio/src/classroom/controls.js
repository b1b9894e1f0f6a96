// The classroom's controls, in the page's Sistema. `laboratorio aula` puts this module into the page; nothing else has it.

import { h, keepFocus, reconcile, setAttribute, setText } from "/web/dom.js";
import { announce, tell } from "/web/notice.js";
import { age, language } from "/web/text.js";

const SERVICES = ["usuarios", "tokens", "transacciones"];
const EXPERIMENTS = ["escala", "caida", "despliegue", "fallo", "caos"];
const TOKEN = new URLSearchParams(location.search).get("laboratorio") ?? "";
const WORDS = {
  es: {
    title: "Laboratorio",
    says: "Rompa el mercado con sus propias manos. Lo que haga queda en el informe.",
    matar: "Matar (kill -9)",
    terminar: "Terminar (SIGTERM)",
    congelar: "Congelar",
    reanudar: "Reanudar",
    cortar: "Cortar su red",
    demorar: "Hacer lenta su red",
    sanar: "Reparar su red",
    iniciar: "Iniciar",
    states: { corre: "corre", congelado: "congelado", muerto: "muerto", "se-va": "se va" },
    networks: { "sin-red": "sin red", "red-lenta": "red lenta" },
    starting: "arrancando",
    roll: "Reemplazar todo",
    missing: "El clúster no le permite",
    more: "Un proceso más",
    less: "Uno menos",
    load: "Clientes",
    reads: "Lecturas por segundo",
    purchases: "Compras por segundo",
    apply: "Aplicar",
    nobody: "No viene ningún cliente.",
    come: (rates) => `Vienen ${rates} por segundo.`,
    wait: (rates) => `Los clientes esperan mientras se saca el informe; después vuelven ${rates} por segundo.`,
    rates: { lecturas: ["lectura", "lecturas"], compras: ["compra", "compras"] },
    and: " y ",
    fill: "Llenar el disco",
    empty: "Vaciar el disco",
    full: "El disco está lleno.",
    ahead: (name, by) => `El reloj de ${name} va ${by} adelantado.`,
    behind: (name, by) => `El reloj de ${name} va ${by} atrasado.`,
    clock: "Adelantar una hora el reloj de",
    clockBack: "Poner en hora el reloj de",
    experiments: "Experimentos (20 s, en un mercado aparte)",
    naive: "Contra la tienda ingenua",
    running: "Corre:",
    report: "Sacar un informe",
    reporting: "Sacando un informe…",
    reports: "Informes",
    right: "bien",
    wrong: "mal",
    undecided: "sin veredicto",
    done: "Lo que se hizo",
    failed: "No se pudo",
    lost: "El laboratorio no contesta.",
  },
  en: {
    title: "Laboratory",
    says: "Break the market with your own hands. What you do is in the report.",
    matar: "Kill (kill -9)",
    terminar: "Terminate (SIGTERM)",
    congelar: "Freeze",
    reanudar: "Resume",
    cortar: "Cut its network",
    demorar: "Slow its network",
    sanar: "Repair its network",
    iniciar: "Start",
    states: { corre: "runs", congelado: "frozen", muerto: "dead", "se-va": "leaving" },
    networks: { "sin-red": "no network", "red-lenta": "slow network" },
    starting: "starting",
    roll: "Replace all",
    missing: "The cluster does not let you",
    more: "One process more",
    less: "One less",
    load: "Customers",
    reads: "Reads a second",
    purchases: "Purchases a second",
    apply: "Apply",
    nobody: "No customer comes.",
    come: (rates) => `There are ${rates} a second.`,
    wait: (rates) => `Customers wait while the report is taken; after it there are ${rates} a second again.`,
    rates: { lecturas: ["read", "reads"], compras: ["purchase", "purchases"] },
    and: " and ",
    fill: "Fill the disk",
    empty: "Empty the disk",
    full: "The disk is full.",
    ahead: (name, by) => `The clock of ${name} is ${by} ahead.`,
    behind: (name, by) => `The clock of ${name} is ${by} behind.`,
    clock: "Put the clock an hour ahead of",
    clockBack: "Put the clock right of",
    experiments: "Experiments (20 s, on a market of their own)",
    naive: "Against the naive shop",
    running: "Running:",
    report: "Take a report",
    reporting: "Taking a report…",
    reports: "Reports",
    right: "right",
    wrong: "wrong",
    undecided: "no verdict",
    done: "What was done",
    failed: "It could not be done",
    lost: "The laboratory does not answer.",
  },
};
/** What can be done to a process in each state. */
const ACTIONS = {
  corre: ["matar", "terminar", "congelar"],
  congelado: ["reanudar", "matar"],
  muerto: ["iniciar"],
};
const MOST = 8;

let words = WORDS[language] ?? WORDS.es;
let parts = null;

async function ask(path, options = {}) {
  const headers = { "x-laboratorio": TOKEN, ...options.headers };
  return fetch(`/laboratorio/${path}`, { ...options, headers, cache: "no-store" });
}

async function order(body, said) {
  try {
    const answer = await ask("orden", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) announce(said);
    else {
      const { title = answer.status } = await answer.json().catch(() => ({}));
      tell("bad", () => ({ text: `${words.failed}: ${title}` }));
    }
  } catch {
    tell("bad", () => ({ text: words.lost }));
  }
  refresh();
}

/** Buttons whose orders are under way, and those whose orders would be refused. */
const busy = new WeakSet();
const barred = new WeakSet();

function mark(one) {
  setAttribute(one, "aria-busy", busy.has(one) ? "true" : null);
  setAttribute(one, "aria-disabled", busy.has(one) || barred.has(one) ? "true" : null);
}

function bar(one, is) {
  if (!one) return;
  barred[is ? "add" : "delete"](one);
  mark(one);
}

/** Takes no second click until its order is carried out. */
function button(text, body, props = {}) {
  async function act() {
    if (one.ariaDisabled === "true") return;
    busy.add(one);
    mark(one);
    refresh();
    await order(typeof body === "function" ? body() : body, text);
    busy.delete(one);
    mark(one);
  }
  const one = h("button", { ...props, onclick: act }, text);
  return one;
}

function field(label, value) {
  const input = h("input", { type: "number", min: "0", max: "500", step: "1", value });
  return { input, element: h("label", {}, h("span", {}, label), input) };
}

/** Shown where the market under it offers this order. */
const offered = (orden, element) => {
  element.dataset.offered = orden;
  return element;
};

/** One more process of a service, or one less, and all of them anew. */
function makeRow(made, name) {
  const by = (text, step) =>
    button(text, () => ({ orden: "replicas", servicio: name, n: made.counts[name] + step }), {
      "aria-label": `${text}: ${name}`,
    });
  const more = (made.more[name] = by(words.more, 1));
  const less = (made.less[name] = by(words.less, -1));
  const roll = button(words.roll, { orden: "reemplazar", servicio: name }, { "aria-label": `${words.roll}: ${name}` });
  return h(
    "div.lab-row",
    h("h3", name),
    offered("replicas", more),
    offered("replicas", less),
    offered("reemplazar", roll),
  );
}

/** The panel, once for each time that the view is made. */
function make() {
  words = WORDS[language] ?? WORDS.es;
  const reads = field(words.reads, "20");
  const purchases = field(words.purchases, "5");
  const naive = h("input", { type: "checkbox" });
  const lists = Object.fromEntries(SERVICES.map((name) => [name, h("ul", { class: "lab-processes" })]));
  const made = {
    lists,
    counts: {},
    more: {},
    less: {},
    inputs: { lecturas: reads.input, compras: purchases.input },
    customers: h("p", { class: "quiet", role: "status" }),
    apply: button(words.apply, () => ({
      orden: "carga",
      lecturas: Number(reads.input.value),
      compras: Number(purchases.input.value),
    })),
    machine: h("div", { class: "lab-row" }),
    broken: h("p", { class: "quiet", role: "status" }),
    report: button(words.report, { orden: "informe" }, { "data-order": "informe" }),
    missing: h("p", { class: "quiet lab-missing", hidden: true }),
    running: h("p", { class: "quiet", role: "status" }),
    reports: h("ul", { class: "lab-reports" }),
    log: h("ol", { class: "lab-log" }),
  };
  made.element = h(
    "section",
    { class: "panel lab", "aria-labelledby": "lab-title" },
    h("h2", { id: "lab-title" }, words.title),
    h("p", { class: "quiet" }, words.says),
    SERVICES.map((name) =>
      h(
        "div",
        { class: "lab-service" },
        makeRow(made, name),
        lists[name],
      ),
    ),
    h("h3", {}, words.load),
    h(
      "div",
      { class: "lab-row" },
      reads.element,
      purchases.element,
      made.apply,
    ),
    made.customers,
    made.machine,
    made.broken,
    made.missing,
    offered("experimento", h("h3", {}, words.experiments)),
    offered(
      "experimento",
      h(
        "div",
        { class: "lab-row" },
        EXPERIMENTS.map((nombre) =>
          button(nombre, () => ({ orden: "experimento", nombre, ingenuo: naive.checked }), {
            "data-order": nombre,
            "data-experiment": nombre,
          }),
        ),
        h("label", { class: "lab-check" }, naive, h("span", {}, words.naive)),
      ),
    ),
    made.running,
    h("div", { class: "lab-row" }, h("h3", {}, words.reports), made.report),
    made.reports,
    h("h3", {}, words.done),
    made.log,
  );
  return made;
}

/** A row stays while its process is there, and a button while it is offered: a new one under a press would lose that. */
function processes(list, some, offers) {
  const focused = document.activeElement?.dataset?.order;
  reconcile(list, some, ({ nombre }) => nombre, makeProcess, (row, one) => fillProcess(row, one, offers));
  // what a process offers changes with its state: whoever is at a button stays at its process
  if (!focused || document.activeElement !== document.body) return;
  list.querySelector(`[data-process="${focused.split(" ").at(-1)}"] button`)?.focus();
  keepFocus();
}

const makeProcess = ({ nombre }) =>
  h("li", { class: "lab-row", "data-process": nombre }, h("strong", nombre), h("span.quiet"), h("span.lab-orders"));

function fillProcess(row, { nombre, estado, red, listo }, offers) {
  // nobody can see whether one without a network is still starting
  const starting = estado === "corre" && !listo && red !== "sin-red";
  const says = [starting ? words.starting : words.states[estado], words.networks[red]].filter(Boolean).join(", ");
  const network = red ? ["sanar"] : estado === "corre" ? ["cortar", "demorar"] : [];
  setAttribute(row, "data-state", estado);
  setAttribute(row, "data-ready", String(listo));
  const [, said, orders] = row.children;
  setText(said, says);
  const some = [...(ACTIONS[estado] ?? []), ...network].filter((orden) => offers.includes(orden));
  reconcile(orders, some, (orden) => orden, (orden) =>
    button(words[orden], { orden, proceso: nombre }, {
      "aria-label": `${words[orden]}: ${nombre}`,
      "data-order": `${orden} ${nombre}`,
    }),
  );
}

/** The page itself cannot know why a pod is silent: one that was killed here is no mere quiet one. */
function markDead(some) {
  const dead = new Set(some.filter(({ estado }) => estado === "muerto").map(({ nombre }) => nombre));
  for (const row of document.querySelectorAll(".pods tr[data-key]")) row.classList.toggle("dead", dead.has(row.dataset.key));
}

function customers({ carga, informando }) {
  const some = Object.keys(words.rates).map((what) => [what, carga[what]]).filter(([, n]) => n > 0);
  const rates = some.map(([what, n]) => `${n} ${words.rates[what][n === 1 ? 0 : 1]}`).join(words.and);
  setText(parts.customers, !rates ? words.nobody : informando ? words.wait(rates) : words.come(rates));
  bar(parts.apply, informando);
  // whoever types is not interrupted
  if (some.length && !parts.filled) for (const [what, input] of Object.entries(parts.inputs)) input.value = carga[what];
  parts.filled = true;
}

/** What is wrong with the machine, and which orders would change nothing. */
function broken({ lleno, fuera }) {
  const clocks = Object.entries(fuera).map(([name, by]) => words[by > 0 ? "ahead" : "behind"](name, age(1000 * Math.abs(by))));
  setText(parts.broken, [lleno && words.full, ...clocks].filter(Boolean).join(" "));
  const known = (name) => parts.machine.querySelector(`[data-order="${name}"]`);
  bar(known("disco lleno"), lleno);
  bar(known("disco vacío"), !lleno);
  for (const name of SERVICES) {
    bar(known(`reloj ${name} 3600`), fuera[name] === 3600);
    bar(known(`reloj ${name} 0`), !fuera[name]);
  }
}

function machine({ disco, reloj }) {
  const key = `${disco} ${reloj}`;
  if (parts.machine.dataset.key === key) return;
  parts.machine.dataset.key = key;
  parts.machine.replaceChildren(
    ...(disco
      ? [
          button(words.fill, { orden: "disco", lleno: true }, { "data-order": "disco lleno" }),
          button(words.empty, { orden: "disco", lleno: false }, { "data-order": "disco vacío" }),
        ]
      : []),
    ...(reloj
      ? SERVICES.flatMap((servicio) => [
          button(`${words.clock} ${servicio}`, { orden: "reloj", servicio, segundos: 3600 }, { "data-order": `reloj ${servicio} 3600` }),
          button(`${words.clockBack} ${servicio}`, { orden: "reloj", servicio, segundos: 0 }, { "data-order": `reloj ${servicio} 0` }),
        ])
      : []),
  );
}

function draw(state) {
  for (const name of SERVICES) {
    const some = state.procesos.filter((p) => p.servicio === name);
    parts.counts[name] = some.filter(({ estado }) => estado !== "se-va").length;
    processes(parts.lists[name], some, state.ofrece);
    bar(parts.more[name], parts.counts[name] >= MOST);
    bar(parts.less[name], parts.counts[name] <= 1);
  }
  markDead(state.procesos);
  customers(state);
  for (const element of parts.element.querySelectorAll("[data-offered]")) {
    element.hidden = !state.ofrece.includes(element.dataset.offered);
  }
  parts.missing.hidden = !state.faltan.length;
  setText(parts.missing, state.faltan.length ? `${words.missing}: ${state.faltan.join("; ")}.` : "");
  machine(state.maquina);
  broken(state.maquina);
  for (const one of parts.element.querySelectorAll("[data-experiment]")) bar(one, Boolean(state.corriendo));
  bar(parts.report, state.informando);
  setText(parts.report, parts.report.ariaDisabled ? words.reporting : words.report);
  setText(parts.running, state.corriendo ? `${words.running} ${state.corriendo}` : "");
  const reports = JSON.stringify(state.informes);
  if (parts.reports.dataset.key !== reports) {
    parts.reports.dataset.key = reports;
    parts.reports.replaceChildren(
      ...state.informes.map(({ archivo, correcto, veredicto }) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: `/laboratorio/informes/${archivo}?clave=${TOKEN}`, target: "_blank", rel: "noopener" },
            archivo,
          ),
          ` ${correcto === null ? words.undecided : correcto ? words.right : words.wrong}: ${veredicto}`,
        ),
      ),
    );
  }
  const log = JSON.stringify(state.hecho);
  if (parts.log.dataset.key !== log) {
    parts.log.dataset.key = log;
    parts.log.replaceChildren(...state.hecho.map(({ en, que }) => h("li", {}, `${en.toFixed(1)} s  ${que}`)));
  }
}

async function refresh() {
  const view = document.querySelector(".system");
  if (!view) return;
  if (!parts || !view.contains(parts.element)) {
    parts = make();
    view.querySelector(".heading")?.after(parts.element);
  }
  if (view.hidden) return;
  try {
    const answer = await ask("estado");
    if (answer.ok) draw(await answer.json());
  } catch {
    setText(parts.running, words.lost);
  }
}

if (TOKEN) setInterval(refresh, 500);
