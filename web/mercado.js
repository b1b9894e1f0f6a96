// The page: who buys, what is for sale, what was bought, and whether the books are right.

import { Fallo, alResponder, pedir, pedirUnaVez } from "./api.js";
import { idioma, numero, textos, traducir } from "./textos.js";

const $ = (id) => document.getElementById(id);
const fecha = new Intl.DateTimeFormat(idioma, { dateStyle: "short", timeStyle: "medium" });
/** Rows of the purchases' table. */
const COMPRAS = 20;
/** Between two looks at the audit, ms. */
const AUDITORIA = 5000;

let siguiente = "";
/** Only the newest search may fill the list. */
let busqueda = 0;

function avisar(e) {
  const texto = e instanceof Fallo ? e.message : String(e);
  $("aviso").textContent = texto;
  $("aviso").hidden = false;
  clearTimeout(avisar.reloj);
  avisar.reloj = setTimeout(() => { $("aviso").hidden = true; }, 8000);
}

const comprador = () => Number($("usuarios").value);

async function verUsuarios(elegido = comprador()) {
  const { datos } = await pedir("/usuarios?limite=1000");
  $("usuarios").replaceChildren(...datos.map((u) => new Option(u.nombre, u.id)));
  if (datos.some((u) => u.id === elegido)) $("usuarios").value = elegido;
  await verSaldo();
}

async function verSaldo() {
  const id = comprador();
  if (!id) return;
  const { datos } = await pedir(`/usuarios/${id}`);
  if (id === comprador()) $("saldo").textContent = numero(datos.saldo);
}

function marcar(li, vendido) {
  const boton = li.querySelector("button");
  li.classList.toggle("vendido", vendido);
  boton.disabled = vendido;
  boton.textContent = vendido ? textos.vendido : textos.comprar;
}

function ficha(token) {
  const li = $("ficha").content.firstElementChild.cloneNode(true);
  li.dataset.id = token.id;
  li.querySelector("img").src = `/tokens/${token.id}/imagen`;
  li.querySelector("h3").textContent = token.nombre;
  li.querySelector(".precio").textContent = `#${token.id} · ${textos.creditos(token.precio)}`;
  li.querySelector("button").addEventListener("click", () => comprar(li, token));
  marcar(li, token.vendido);
  return li;
}

async function comprar(li, token) {
  const boton = li.querySelector("button");
  boton.disabled = true;
  boton.textContent = textos.comprando;
  const cuerpo = { usuarioId: comprador(), tokenId: token.id, precio: token.precio };
  try {
    await pedirUnaVez("/transacciones", cuerpo, (n) => { boton.textContent = textos.reintento(n); });
  } catch (e) {
    avisar(e.incierto ? new Fallo(textos.seguira) : e);
  }
  await pedir(`/tokens/${token.id}`).then(({ datos }) => {
    li.replaceWith(ficha(datos));
  }).catch(() => marcar(li, false));
  await Promise.allSettled([verSaldo(), auditar()]);
}

async function buscar(ruta) {
  const esta = ++busqueda;
  const { datos, total, siguiente: resto } = await pedir(ruta ?? `/tokens?${consulta()}`);
  if (esta !== busqueda) return;
  if (!ruta) $("tokens").replaceChildren();
  $("tokens").append(...datos.map(ficha));
  $("cuantos").textContent = textos.cuantos(total);
  siguiente = resto;
  $("mas").hidden = !resto;
}

function consulta() {
  const campos = [...new FormData($("filtro"))].filter(([, valor]) => valor !== "");
  return new URLSearchParams([...campos, ["limite", "48"]]);
}

function anotar(t) {
  const fila = document.createElement("tr");
  const quien = $("usuarios").querySelector(`option[value="${t.usuarioId}"]`)?.textContent ?? `#${t.usuarioId}`;
  for (const dato of [t.id, fecha.format(new Date(t.fecha)), quien, `#${t.tokenId}`, numero(t.precio)]) {
    fila.insertCell().textContent = dato;
  }
  $("compras").prepend(fila);
  while ($("compras").rows.length > COMPRAS) $("compras").lastElementChild.remove();
  const li = $("tokens").querySelector(`li[data-id="${t.tokenId}"]`);
  if (li) marcar(li, true);
}

/** The last purchases, then each as it commits; the browser comes back by itself with the last id that it saw. */
function seguir() {
  const eventos = new EventSource("/transacciones/eventos");
  const vistas = new Set();
  const una = (t) => {
    if (vistas.has(t.id)) return;
    vistas.add(t.id);
    anotar(t);
  };
  eventos.addEventListener("transaccion", (e) => {
    const t = JSON.parse(e.data);
    una(t);
    if (t.usuarioId === comprador()) verSaldo().catch(() => {});
  });
  eventos.addEventListener("open", () => verCompras(una).catch(avisar), { once: true });
}

/** The last purchases. Ids may have gaps, so this begins at or before them, and goes on to the end. */
async function verCompras(una) {
  const { total } = await pedir("/transacciones?limite=1");
  const despues = total > COMPRAS ? `&despues=${total - COMPRAS}` : "";
  let ruta = `/transacciones?limite=1000${despues}`;
  while (ruta) {
    const { datos, siguiente: resto } = await pedir(ruta);
    datos.slice(-COMPRAS).forEach(una);
    ruta = resto;
  }
}

async function auditar() {
  const lugar = $("auditoria");
  try {
    const { datos } = await pedir("/transacciones/auditoria");
    lugar.className = `auditoria ${datos.correcto ? "bien" : "mal"}`;
    lugar.textContent = datos.correcto
      ? textos.bien(datos.transacciones)
      : textos.mal(datos.diferencias.length);
  } catch {
    lugar.className = "auditoria";
    lugar.textContent = textos.sinAuditoria;
  }
}

/** A form's fields go to `enviar`; what is wrong with them is told, and they are kept. */
function alEnviar(id, enviar) {
  $(id).addEventListener("submit", async (e) => {
    e.preventDefault();
    const campos = Object.fromEntries(new FormData(e.target));
    try {
      await enviar(campos);
      e.target.reset();
    } catch (error) {
      avisar(error);
    }
  });
}

alEnviar("abonar", async ({ monto }) => {
  await pedirUnaVez(`/usuarios/${comprador()}/abonos`, { monto: Number(monto) });
  await verSaldo();
});
alEnviar("nuevo-usuario", async ({ nombre, saldo }) => {
  const { datos } = await pedir("/usuarios", { metodo: "POST", cuerpo: { nombre, saldo: Number(saldo) } });
  await verUsuarios(datos.id);
});
alEnviar("nuevo-token", async ({ nombre, precio }) => {
  await pedir("/tokens", { metodo: "POST", cuerpo: { nombre, precio: Number(precio) } });
  await buscar();
});
$("filtro").addEventListener("submit", (e) => e.preventDefault());
$("filtro").addEventListener("input", () => {
  clearTimeout(buscar.reloj);
  buscar.reloj = setTimeout(() => buscar().catch(avisar), 200);
});
$("mas").addEventListener("click", () => buscar(siguiente).catch(avisar));
$("usuarios").addEventListener("change", () => verSaldo().catch(avisar));
alResponder((pod) => { $("pod").textContent = pod; });

traducir();
await Promise.allSettled([verUsuarios(), buscar()]).then((todos) => {
  for (const { reason } of todos) if (reason) avisar(reason);
});
seguir();
await auditar();
setInterval(() => { if (!document.hidden) auditar(); }, AUDITORIA);
