// The market's API as the page uses it. Each answer is told to `onAnswer`, which is what Sistema draws.

import { signal } from "./dom.js";
import { language } from "./text.js";

/** How long one request may take, ms: above a purchase's own deadline of 3 s and what the gateway adds. */
const TIMEOUT = 8000;

/** An answer that is no success. `status` is 0 where nobody answered; `codigo` is of docs/ERRORS.md. */
export class Failure extends Error {
  constructor(status, problem, wait = 1000, pod = null) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    Object.assign(this, { status, wait, pod, codigo: problem?.codigo ?? "", fields: problem?.errores ?? [] });
  }
  /** Whether it may have happened all the same: a full store (507) says surely that it did not. */
  get uncertain() {
    return this.status === 0 || (this.status >= 500 && this.status !== 507);
  }
  /** Whether the same request may succeed later. */
  get passing() {
    return this.uncertain || this.status === 408 || this.status === 429;
  }
}

/** After each request: `{service, method, status, codigo, pod, ms, start, probe}`; `start` is of `performance.now`. */
export const onAnswer = signal();

function serviceOf(path) {
  const [, first] = path.split(/[/?]/);
  if (first === "transacciones") return first;
  return ["usuarios", "cuenta", "cuentas", "sesiones"].includes(first) ? "usuarios" : "tokens";
}

/**
 * Sends a request; with a `body` it is a POST. Gives `{data, total, next, pod, replayed, ms}`, where `replayed` says that an
 * earlier request did it; throws a `Failure`, or an `AbortError` where `abort` ended it. `fresh` goes past the browser's cache;
 * `probe` marks one that only asks whether somebody is there.
 */
export async function request(path, options = {}) {
  const { body, method = body ? "POST" : "GET", key, abort, fresh, probe = false, timeout = TIMEOUT } = options;
  const headers = { accept: "application/json", "accept-language": language };
  if (body) headers["content-type"] = "application/json";
  if (key) headers["idempotency-key"] = key;
  const ended = AbortSignal.timeout(timeout);
  const start = performance.now();
  const tell = (status, pod, codigo = "") =>
    onAnswer.call({ service: serviceOf(path), method, status, codigo, pod, ms: performance.now() - start, start, probe });
  let response, data;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: fresh ? "no-store" : "no-cache",
      signal: abort ? AbortSignal.any([abort, ended]) : ended,
    });
    data = response.status === 204 ? null : await response.json();
  } catch (e) {
    if (abort?.aborted) throw e;
    // a page of somebody's proxy is an answer with a status; a success that is no JSON is none of ours
    const status = response && !response.ok ? response.status : 0;
    tell(status, null);
    throw new Failure(status);
  }
  const pod = response.headers.get("x-pod");
  tell(response.status, pod, response.ok ? "" : data?.codigo);
  if (!response.ok) throw new Failure(response.status, data, 1000 * (Number(response.headers.get("retry-after")) || 1), pod);
  const next = /<([^>]+)>;\s*rel="?next/.exec(response.headers.get("link") ?? "")?.[1];
  const total = response.headers.get("x-total-count");
  const replayed = response.headers.has("idempotency-replayed");
  return { data, total: total === null ? null : Number(total), next, pod, replayed, ms: performance.now() - start };
}

/** A part of what an answer says, or `otherwise` where there is no answer. */
export const ask = (path, part, otherwise = null) =>
  request(path).then(
    ({ data }) => part(data),
    () => otherwise,
  );

/** Every row of a list, at most so many pages of 1000. */
export async function pages(path, atMost = 20) {
  const rows = [];
  let next = `${path}${path.includes("?") ? "&" : "?"}limite=1000`;
  for (let n = 0; next && n < atMost; n++) {
    const page = await request(next);
    rows.push(...page.data);
    next = page.next;
  }
  return { rows, more: Boolean(next) };
}

/** A key that nobody else makes. `crypto.randomUUID` is missing on plain http, which a node's port is. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
