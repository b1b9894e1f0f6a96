// The classroom's controls, in the page's Sistema. `laboratorio aula` puts this module into the page; nothing else has it.

import { h, setText } from "/web/dom.js";
import { announce, tell } from "/web/notice.js";
import { language } from "/web/text.js";

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
    states: { corre: "corre", congelado: "congelado", "sin-red": "sin red", "red-lenta": "red lenta", muerto: "muerto", "se-va": "se va" },
    starting: "arrancando",
    roll: "Reemplazar todo",
    missing: "El clúster no le permite",
    more: "Un proceso más",
    less: "Uno menos",
    load: "Clientes",
    reads: "Lecturas por segundo",
    purchases: "Compras por segundo",
    apply: "Aplicar",
    fill: "Llenar el disco",
    empty: "Vaciar el disco",
    clock: "Adelantar una hora el reloj de",
    clockBack: "Poner en hora el reloj de",
    experiments: "Experimentos (20 s, en un mercado aparte)",
    naive: "Contra la tienda ingenua",
    running: "Corre:",
    report: "Sacar un informe",
    reports: "Informes",
    right: "bien",
    wrong: "mal",
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
    states: { corre: "runs", congelado: "frozen", "sin-red": "no network", "red-lenta": "slow network", muerto: "dead", "se-va": "leaving" },
    starting: "starting",
    roll: "Replace all",
    missing: "The cluster does not let you",
    more: "One process more",
    less: "One less",
    load: "Customers",
    reads: "Reads a second",
    purchases: "Purchases a second",
    apply: "Apply",
    fill: "Fill the disk",
    empty: "Empty the disk",
    clock: "Put the clock an hour ahead of",
    clockBack: "Put the clock right of",
    experiments: "Experiments (20 s, on a market of their own)",
    naive: "Against the naive shop",
    running: "Running:",
    report: "Take a report",
    reports: "Reports",
    right: "right",
    wrong: "wrong",
    done: "What was done",
    failed: "It could not be done",
    lost: "The laboratory does not answer.",
  },
};
/** What can be done to a process in each state. */
const ACTIONS = {
  corre: ["matar", "terminar", "congelar", "cortar", "demorar"],
  congelado: ["reanudar", "matar"],
  "sin-red": ["sanar", "matar"],
  "red-lenta": ["sanar", "matar"],
  muerto: ["iniciar"],
};

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
    else tell({ kind: "error", text: `${words.failed}: ${(await answer.json().catch(() => ({}))).title ?? answer.status}` });
  } catch {
    tell({ kind: "error", text: words.lost });
  }
  refresh();
}

const button = (text, body, props = {}) =>
  h("button", { type: "button", ...props, onclick: () => order(typeof body === "function" ? body() : body, text) }, text);

function field(label, value) {
  const input = h("input", { type: "number", min: "0", max: "500", step: "1", value });
  return { input, element: h("label", {}, h("span", {}, label), input) };
}

/** Shown where the market under it offers this order. */
const offered = (orden, element) => {
  element.dataset.offered = orden;
  return element;
};

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
    machine: h("div", { class: "lab-row" }),
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
        h(
          "div",
          { class: "lab-row" },
          h("h3", {}, name),
          offered(
            "replicas",
            button(words.more, () => ({ orden: "replicas", servicio: name, n: made.counts[name] + 1 }), {
              "aria-label": `${words.more}: ${name}`,
            }),
          ),
          offered(
            "replicas",
            button(words.less, () => ({ orden: "replicas", servicio: name, n: Math.max(1, made.counts[name] - 1) }), {
              "aria-label": `${words.less}: ${name}`,
            }),
          ),
          offered(
            "reemplazar",
            button(words.roll, { orden: "reemplazar", servicio: name }, { "aria-label": `${words.roll}: ${name}` }),
          ),
        ),
        lists[name],
      ),
    ),
    h("h3", {}, words.load),
    h(
      "div",
      { class: "lab-row" },
      reads.element,
      purchases.element,
      button(words.apply, () => ({
        orden: "carga",
        lecturas: Number(reads.input.value),
        compras: Number(purchases.input.value),
      })),
    ),
    made.machine,
    made.missing,
    offered("experimento", h("h3", {}, words.experiments)),
    offered(
      "experimento",
      h(
        "div",
        { class: "lab-row" },
        EXPERIMENTS.map((nombre) =>
          button(nombre, () => ({ orden: "experimento", nombre, ingenuo: naive.checked }), { "data-order": nombre }),
        ),
        h("label", { class: "lab-check" }, naive, h("span", {}, words.naive)),
      ),
    ),
    made.running,
    h("div", { class: "lab-row" }, h("h3", {}, words.reports), button(words.report, { orden: "informe" })),
    made.reports,
    h("h3", {}, words.done),
    made.log,
  );
  return made;
}

function processes(list, some, offers) {
  const key = JSON.stringify([some, offers]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  // whoever is at a button stays at it
  const focused = document.activeElement?.dataset?.order;
  list.replaceChildren(
    ...some.map(({ nombre, estado, listo }) =>
      h(
        "li",
        { class: "lab-row", "data-process": nombre, "data-state": estado, "data-ready": String(listo) },
        h("strong", {}, nombre),
        h("span", { class: "quiet" }, estado === "corre" && !listo ? words.starting : words.states[estado]),
        (ACTIONS[estado] ?? []).filter((orden) => offers.includes(orden)).map((orden) =>
          button(words[orden], { orden, proceso: nombre }, {
            "aria-label": `${words[orden]}: ${nombre}`,
            "data-order": `${orden} ${nombre}`,
          }),
        ),
      ),
    ),
  );
  if (focused) list.querySelector(`[data-order="${focused}"]`)?.focus();
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
  }
  for (const element of parts.element.querySelectorAll("[data-offered]")) {
    element.hidden = !state.ofrece.includes(element.dataset.offered);
  }
  parts.missing.hidden = !state.faltan.length;
  setText(parts.missing, state.faltan.length ? `${words.missing}: ${state.faltan.join("; ")}.` : "");
  machine(state);
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
          ` ${correcto ? words.right : words.wrong}: ${veredicto}`,
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
