"""First paint on loopback, beside that of two words without a page around them: `web/tests/pintura`. What those take is the
browser's own."""

import statistics
import sys

from .browser import Browser, Driver
from .case import CARDS
from .market import Mercado

# an address, and what there is once it is whole
PAGES = {
    "words": ("livez", "document.body.textContent.length"),
    "tienda": ("#/tienda", f"{CARDS} >= 16"),
    "sistema": ("#/sistema", "document.querySelector('.service[data-state=up]')"),
}
PAINTS = """(() => { const at = (name) => performance.getEntriesByName(name)[0]?.startTime ?? null;
    const [page] = performance.getEntriesByType("navigation");
    return { first: at("first-paint"), content: at("first-contentful-paint"), files: performance.getEntriesByType("resource").length,
      html: page.responseEnd, modules: page.domContentLoadedEventStart }; })()"""


def load(driver, market, path, ready):
    """One load in a fresh profile; milliseconds since the navigation began."""
    browser = Browser(driver)
    try:
        browser.open(f"{market.url}{path}")
        browser.until(ready)
        browser.until("performance.getEntriesByName('first-contentful-paint').length")
        return browser.value(PAINTS)
    finally:
        browser.close()


def main(loads=5):
    driver, market = Driver(), Mercado()
    try:
        # by turns, so that a noisy minute hits all of them
        rounds = [{page: load(driver, market, *PAGES[page]) for page in PAGES} for _ in range(loads)]
        for page in PAGES:
            for name in ("html", "first", "content", "modules"):
                all_of = sorted(round(one[page][name], 1) for one in rounds)
                print(f"{page:8} {name:8} median {statistics.median(all_of):6.1f} ms   {all_of}")
    finally:
        market.close()
        driver.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
