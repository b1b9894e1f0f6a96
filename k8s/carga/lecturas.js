// Readers of the catalogue on connections that they keep: what to watch `kubectl scale` and `rollout restart` with.
// No read may fail. URL (default http://localhost:8080), LECTORES (50), SEGUNDOS (60), P95 (1000: milliseconds in which 95 of
// 100 are answered).
import { check } from "k6";
import http from "k6/http";

const URL = __ENV.URL || "http://localhost:8080";
const seen = {};

export const options = {
  discardResponseBodies: true,
  scenarios: {
    lecturas: { executor: "constant-vus", vus: Number(__ENV.LECTORES || 50), duration: `${__ENV.SEGUNDOS || 60}s` },
  },
  thresholds: {
    checks: ["rate==1"],
    http_req_failed: ["rate==0"],
    http_req_duration: [`p(95)<${__ENV.P95 || 1000}`],
  },
};

export default function () {
  const answer = http.get(`${URL}/tokens`);
  check(answer, { "200": (r) => r.status === 200 });
  const pod = answer.headers["X-Pod"];
  // one reader tells for all
  if (__VU === 1 && pod && !seen[pod]) {
    seen[pod] = true;
    console.log(`first answer of ${pod}`);
  }
}
