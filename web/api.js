// The market's API as the page uses it. Each answer is told to `onAnswer`, which is what Sistema draws.

import { signal } from "./dom.js";
import { language } from "./text.js";

/** How long one request may take, ms: above a purchase's own deadline of 3 s and what the gateway adds. */
const TIMEOUT = 8000;

/** An answer that is no success. `status` is 0 where nobody answered; `codigo` is of docs/ERRORS.md. */
export class Failure extends Error {
  constructor(status, problem = {}, wait = 1000, pod = null) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    Object.assign(this, { status, wait, pod, codigo: problem.codigo ?? "", fields: problem.errores ?? [] });
  }
  /** Whether it may have happened all the same. */
  get uncertain() {
    return this.status === 0 || this.status >= 500;
  }
  /** Whether the same request may succeed later. */
  get passing() {
    return this.uncertain || this.status === 408 || this.status === 429;
  }
}

/** After each request: `{service, method, status, codigo, pod, ms, start, probe}`; `start` is of `performance.now`. */
export const onAnswer = signal();

/** Which service a path leads to. */
export function serviceOf(path) {
  const [, first] = path.split(/[/?]/);
  return first === "usuarios" || first === "transacciones" ? first : "tokens";
}

/**
 * Sends a request. Gives `{data, total, next, pod, ms}`; throws a `Failure`, or an `AbortError` where `abort` ended it.
 * `fresh` goes past the browser's cache; `probe` marks a request that only asks whether somebody is there.
 */
export async function request(path, { method = "GET", body, key, abort, fresh, probe = false, timeout = TIMEOUT } = {}) {
  const headers = { accept: "application/json", "accept-language": language };
  if (body) headers["content-type"] = "application/json";
  if (key) headers["idempotency-key"] = key;
  const ended = AbortSignal.timeout(timeout);
  const start = performance.now();
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
    return refuse(path, method, start, probe, new Failure(status));
  }
  const pod = response.headers.get("x-pod");
  if (!response.ok) {
    const wait = 1000 * (Number(response.headers.get("retry-after")) || 1);
    return refuse(path, method, start, probe, new Failure(response.status, data ?? {}, wait, pod));
  }
  const ms = performance.now() - start;
  onAnswer.call({ service: serviceOf(path), method, status: response.status, codigo: "", pod, ms, start, probe });
  const next = /<([^>]+)>;\s*rel="?next/.exec(response.headers.get("link") ?? "")?.[1];
  const total = response.headers.get("x-total-count");
  return { data, total: total === null ? null : Number(total), next, pod, ms };
}

function refuse(path, method, start, probe, failure) {
  const { status, codigo, pod } = failure;
  onAnswer.call({ service: serviceOf(path), method, status, codigo, pod, ms: performance.now() - start, start, probe });
  throw failure;
}

/** Every row of a list, at most so many pages of 1000. */
export async function pages(path, atMost = 20, options = {}) {
  const rows = [];
  let next = `${path}${path.includes("?") ? "&" : "?"}limite=1000`;
  for (let n = 0; next && n < atMost; n++) {
    const page = await request(next, options);
    rows.push(...page.data);
    next = page.next;
  }
  return { rows, more: Boolean(next) };
}

/** A key that nobody else makes. `crypto.randomUUID` is missing on plain http, which a node's port is. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
