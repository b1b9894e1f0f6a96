"""First paint on loopback: `web/tests/pintura`."""

import statistics
import sys

from .browser import Browser, Driver
from .case import CARDS
from .market import Mercado

READY = {
    "tienda": f"{CARDS} >= 16",
    "sistema": "document.querySelector('.service[data-state=up]')",
}
PAINTS = """(() => { const at = (name) => performance.getEntriesByName(name)[0]?.startTime ?? null;
    const [page] = performance.getEntriesByType("navigation");
    return { first: at("first-paint"), content: at("first-contentful-paint"), files: performance.getEntriesByType("resource").length,
      html: page.responseEnd, modules: page.domContentLoadedEventStart }; })()"""


def load(driver, market, view):
    """One load in a fresh profile; milliseconds since the navigation began."""
    browser = Browser(driver)
    try:
        browser.open(f"{market.url}#/{view}")
        browser.until(READY[view])
        browser.until("performance.getEntriesByName('first-contentful-paint').length")
        return browser.value(PAINTS)
    finally:
        browser.close()


def main(loads=5):
    driver, market = Driver(), Mercado()
    try:
        for view in READY:
            seen = [load(driver, market, view) for _ in range(loads)]
            for name in ("html", "first", "content", "modules"):
                all_of = sorted(round(one[name], 1) for one in seen)
                print(f"{view:8} {name:8} median {statistics.median(all_of):6.1f} ms   {all_of}")
    finally:
        market.close()
        driver.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
