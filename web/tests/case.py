"""What the page's tests share: one driver, and a browser and a market that end with their test."""

import atexit
import json
import unittest

from .browser import Browser, Driver
from .market import Mercado, Services

CARDS = "document.querySelectorAll('.card:not(.skeleton)').length"
_driver = None


def driver():
    global _driver
    if _driver is None:
        _driver = Driver()
        atexit.register(_driver.close)
    return _driver


# Requests that the test holds back until it lets them go, and a count of all
HELD = """
window.counted = []; window.holding = null; window.held = [];
const real = window.fetch;
window.fetch = async (path, options) => {
  window.counted.push({ path: String(path), at: performance.now(), method: options?.method ?? "GET" });
  if (window.holding?.test(String(path))) await new Promise((go) => window.held.push(go));
  return real(path, options);
};
window.release = () => { window.holding = null; for (const go of window.held.splice(0)) go(); };
"""


# Whether purchases arrive: one before that is known of by the list alone
OPENED = """
const Stream = EventSource; window.opened = false;
window.EventSource = class extends Stream {
  constructor(...all) { super(...all); this.addEventListener("open", () => (window.opened = true)); }
};
"""


# Once `calm` is called, probes are answered at once with what was answered before: a machine that stands still is no dead
# service. Stands before HELD, which then counts these too
CALM = """
const probed = window.fetch; window.calm = false; window.known = new Map();
window.fetch = async (path, options) => {
  const probe = /^.\\w+.limite=1$/.test(path);
  if (probe && window.calm) return new Response(...window.known.get(path));
  const answer = await probed(path, options);
  // not a clone: its body would end with the time of the first request
  if (probe && answer.ok) window.known.set(path, [await answer.clone().text(), { headers: answer.headers }]);
  return answer;
};
"""


# The page opens after 700 ms without knowing who it is for, and is made anew when it knows. Not on a busy machine
PATIENT = "const soon = window.setTimeout; window.setTimeout = (f, ms, ...all) => soon(f, ms === 700 ? 60000 : ms, ...all);"


# Answers of the store that is full, to what the test names
FULL = """
const sent = window.fetch;
window.fullFor = null; window.refused = 0;
window.fetch = async (path, options) => {
  if (options?.method !== "POST" || !window.fullFor?.test(path)) return sent(path, options);
  window.refused++;
  const problem = { status: 507, codigo: "almacen-lleno", title: "x", detail: "y" };
  return new Response(JSON.stringify(problem), { status: 507, headers: { "content-type": "application/problem+json" } });
};
"""


class PageCase(unittest.TestCase):
    """A test; `errors` that it expects are parts of log lines."""

    expected = ()

    def setUp(self):
        self.browsers = []
        self.expected = list(type(self).expected)

    def market(self, seed=None, options=()):
        market = Mercado(seed, options)
        self.addCleanup(market.close)
        return market

    def services(self, **replicas):
        services = Services(**replicas)
        self.addCleanup(services.close)
        return services

    def browser(self, *args, script="", patient=True, **options):
        browser = Browser(driver(), *args, **options)
        self.addCleanup(browser.close)
        self.browsers.append(browser)
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=(PATIENT if patient else "") + script)
        return browser

    def shop(self, market, *args, buyer=None, path="", n=16, **options):
        """A browser that sees the shop, as somebody who buys."""
        script = options.pop("script", "")
        if buyer:
            script += (
                f"localStorage.setItem('mercado.comprador', {json.dumps(json.dumps({'id': buyer[0], 'nombre': buyer[1]}))});"
            )
        browser = self.browser(*args, script=script, **options)
        browser.open(market.url + path)
        if n:
            browser.until(f"{CARDS} === {n}")
        return browser

    def calm(self, browser):
        """From now on the page calls no service dead (CALM)."""
        browser.until("window.known.size === 3")
        browser.value("window.calm = true")
        browser.until("document.querySelector('.banner').hidden")

    def buy(self, browser, token):
        browser.click(f".card[data-key='{token}'] .buy")

    def log_in(self, browser, name, password=None):
        browser.until("document.querySelector('dialog.login [name=nombre]')")
        browser.write("dialog.login [name=nombre]", name)
        browser.write("dialog.login [name=contrasena]", password or f"demo-{name}")
        browser.click("dialog.login button.primary")

    def clean(self, browser):
        """Nothing went wrong in the page but what the test expects."""
        errors = [line for line in browser.errors() if not any(part in line for part in self.expected)]
        self.assertEqual(errors, [])
