// Buyers who send a purchase again, under its key, until they know how it ended: what to kill pods with. A purchase may
// answer 201, or 503 with Retry-After, or not at all; sent again it must end with 201, and the audit must agree. 429 is the
// gateway's limit for one address, which docs/KUBERNETES.md says how to lift.
// With accounts: CLAVE_API, the API key of an account that is comprador, publicador, tesorero and auditor at once.
// URL (default http://localhost:8080), COMPRADORES (20), SEGUNDOS (60), PACIENCIA (seconds for one purchase, 60).
import { check, sleep } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

const URL = __ENV.URL || "http://localhost:8080";
const PACIENCIA = Number(__ENV.PACIENCIA || 60) * 1000;
const CLAVE_API = __ENV.CLAVE_API || "";
// ms after which another session is begun; one lasts 15 minutes
const SESSION = 600_000;
const again = new Counter("compras_repetidas");
const took = new Trend("compra", true);

// 429, 503 and no answer are part of the game; anything else that is no success is not
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 429, 503, 0));

export const options = {
  scenarios: {
    compras: {
      executor: "constant-vus",
      vus: Number(__ENV.COMPRADORES || 20),
      duration: `${__ENV.SEGUNDOS || 60}s`,
      gracefulStop: `${PACIENCIA / 1000 + 10}s`,
    },
  },
  thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] },
};

let session = null;

// The headers of a request with a body, in a session where there are accounts. Each buyer logs in by itself.
function headers() {
  const plain = { "Content-Type": "application/json" };
  if (!CLAVE_API) return plain;
  if (!session || Date.now() - session.since > SESSION) {
    const answer = insist("POST", "/sesiones", { claveApi: CLAVE_API }, plain, Date.now() + PACIENCIA);
    if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.body}`);
    session = { since: Date.now(), token: answer.json("token"), usuarioId: answer.json("usuarioId") };
  }
  return { ...plain, Authorization: `Bearer ${session.token}` };
}

// Sends until there is an answer that says something.
function insist(method, path, body, headers, until) {
  for (let attempt = 0; ; attempt++) {
    const answer = http.request(method, URL + path, body && JSON.stringify(body), { headers, timeout: "15s" });
    if (![0, 429, 503].includes(answer.status)) return answer;
    check(answer, { "429 and 503 have Retry-After": (r) => r.status === 0 || Number(r.headers["Retry-After"]) > 0 });
    if (Date.now() > until) return answer;
    again.add(1);
    sleep((Number(answer.headers["Retry-After"]) || 1) * (0.5 + Math.random()));
  }
}

export function setup() {
  const until = Date.now() + PACIENCIA;
  if (CLAVE_API) {
    const mine = headers();
    const abono = insist("POST", `/usuarios/${session.usuarioId}/abonos`, { monto: 1000000000 }, mine, until);
    if (abono.status !== 201) throw new Error(`no money: ${abono.status} ${abono.body}`);
    return { usuarioId: session.usuarioId };
  }
  const usuario = insist("POST", "/usuarios", { nombre: "Carga k6", saldo: 1000000000 }, headers(), until);
  if (usuario.status !== 201) throw new Error(`no buyer: ${usuario.status} ${usuario.body}`);
  return { usuarioId: usuario.json("id") };
}

export default function ({ usuarioId }) {
  const until = Date.now() + PACIENCIA;
  const token = insist("POST", "/tokens", { nombre: `Ensayo k6 ${exec.scenario.iterationInTest + 1}`, precio: 1 }, headers(), until);
  if (!check(token, { "there is something to buy": (r) => r.status === 201 })) return;
  const tokenId = token.json("id");
  const clave = { ...headers(), "Idempotency-Key": `k6-${usuarioId}-${tokenId}` };
  const start = Date.now();
  const compra = insist("POST", "/transacciones", { usuarioId, tokenId }, clave, until);
  took.add(Date.now() - start);
  if (!check(compra, { "bought": (r) => r.status === 201 })) {
    console.error(`purchase of ${tokenId}: ${compra.status} ${compra.body}`);
    return;
  }
  const read = insist("GET", `/tokens/${tokenId}`, null, {}, until);
  check(read, { "the next read sees it sold": (r) => r.status === 200 && r.json("vendido") === true });
}

export function teardown() {
  const verdict = insist("GET", "/transacciones/auditoria", null, headers(), Date.now() + PACIENCIA);
  console.log(`audit: ${verdict.body}`);
  check(verdict, { "the money is right": (r) => r.status === 200 && r.json("correcto") === true });
}
