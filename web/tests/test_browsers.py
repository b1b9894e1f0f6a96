"""What browsers, people's settings and other tabs do to the page."""

import unittest

from .case import CARDS, PageCase
from .market import seeds, token, user


class Settings(PageCase):
    def test_a_browser_that_blocks_storage_can_buy(self):
        market = self.market()
        browser = self.browser(preferences={"profile.default_content_setting_values.cookies": 2})
        browser.open(market.url)
        browser.until(f"{CARDS} === 16")
        self.assertEqual(
            browser.value("(() => { try { return localStorage.length; } catch (e) { return e.name; } })()"), "SecurityError"
        )
        self.buy(browser, 101)
        browser.write("dialog input", "ana")
        browser.until("document.querySelectorAll('.people li').length === 1")
        browser.press("enter")
        browser.until_text(".receipt.good", "Ana compró Gato Cósmico")
        self.clean(browser)

    def test_numbers_are_those_of_the_reader_s_country(self):
        market = self.market(seeds([user(1, "Ana", 984398), user(2, "Luis", 1098)], [token(101, "Gato", 1098)]))
        for language, expected in (
            ("es-MX", ("984,398", "1,098")),
            ("es-ES", ("984.398", "1.098")),
            ("en-GB", ("984,398", "1,098")),
        ):
            browser = self.shop(market, language, buyer=(1, "Ana"), n=1)
            browser.until_text("#buyer", expected[0])
            self.assertIn(expected[1], browser.text(".card .price"))
            self.clean(browser)

    def test_both_languages_say_everything_and_a_change_loses_nothing(self):
        market = self.market()
        browser = self.shop(market, "en-GB", buyer=(1, "Ana"))
        self.assertEqual(browser.value("document.documentElement.lang"), "en")
        for view, heading in (
            ("tienda", "Shop"),
            ("cuenta", "My account"),
            ("sistema", "System"),
            ("tienda/101", "Gato Cósmico"),
        ):
            browser.value(f"location.hash = '#/{view}'")
            browser.until(f"document.querySelector('main > :not([hidden]) h1')?.innerText === '{heading}'")
            self.assertNotRegex(browser.text("body"), r"undefined|NaN|\[object|Comprar|Vendido|Cargando")
        browser.click("#language")
        browser.until("document.documentElement.lang === 'es'")
        browser.until_text(".token .buy", "Comprar")
        browser.value("location.hash = '#/sistema'")
        browser.until_text(".system h1", "Sistema")
        self.assertEqual(browser.text("#views"), "Tienda\nMi cuenta\nSistema")
        browser.open(market.url + "?otra")
        browser.until_text("h1", "Tienda")
        self.clean(browser)

    def test_no_name_makes_the_page_wider_than_a_phone(self):
        wide = "W" * 100
        market = self.market(seeds([user(1, wide, 100)], [token(101, wide, 50), token(102, "Luna", 2**53 - 1)]))
        browser = self.shop(market, buyer=(1, wide), n=2, size=(390, 844))
        self.buy(browser, 101)
        browser.until("document.querySelector('.receipt.good')")
        for view in ("tienda", "tienda/101", "tienda/102", "cuenta", "sistema"):
            browser.value(f"location.hash = '#/{view}'")
            browser.until("document.querySelector('main > :not([hidden]) h1, main > :not([hidden]) .price.large')?.innerText")
            self.assertLessEqual(browser.value("document.documentElement.scrollWidth"), 390, view)
        browser.click("#buyer")
        browser.until("document.querySelector('.people li')")
        self.assertLessEqual(browser.value("document.querySelector('dialog').scrollWidth"), 390)
        browser.press("escape")
        # on the smallest phone nothing lies upon another
        browser.size(320, 700)
        browser.value("location.hash = '#/sistema'")
        browser.until("document.querySelector('.pods tbody td.figure')?.innerText")
        outside = """[...document.querySelectorAll('.buyer > *, .pods thead th, .pods td')].filter((e) => e.offsetParent)
            .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflow === 'visible' && e.clientWidth
              || e.getBoundingClientRect().left < e.parentElement.getBoundingClientRect().left)
            .map((e) => e.outerHTML)"""
        self.assertEqual(browser.value(outside), [])
        self.clean(browser)

    def test_a_clock_that_is_wrong_changes_no_age(self):
        market = self.market()
        wrong = "const now = Date.now; Date.now = () => now() + 400 * 864e5;"
        browser = self.shop(market, path="#/sistema", n=0, script=wrong)
        browser.until_text(".audit", "Revisado hace")
        self.assertRegex(browser.text(".audit"), r"Revisado hace \d+ s\b")
        self.clean(browser)


class Tabs(PageCase):
    def test_six_tabs_share_one_stream(self):
        """A browser opens six connections to a host: the sixth tab got nothing."""
        market = self.market()
        count = """window.streams = 0; const Real = EventSource;
            window.EventSource = class extends Real { constructor(...a) { super(...a); window.streams++; } };"""
        first = self.shop(market, script=count)
        tabs = [first.command("/window", method="GET")]
        for _ in range(5):
            tab = first.command("/window/new", {"type": "window"})["handle"]
            first.command("/window", {"handle": tab})
            first.cdp("Page.addScriptToEvaluateOnNewDocument", source=count)
            first.open(market.url)
            first.until(f"{CARDS} === 16")
            tabs.append(tab)
        market.buy(2, 102)
        streams = 0
        for tab in tabs:
            first.command("/window", {"handle": tab})
            if not first.value("document.hidden"):
                first.until("document.querySelector(\".card[data-key='102']\").matches('.is-sold')")
                first.until_text(".feed", "Luis → Paisaje Lunar")
            streams += first.value("window.streams")
        self.assertLessEqual(streams, 6 if first.value("!navigator.locks") else 2, "streams were opened")

    def test_a_market_that_was_reset_under_the_page(self):
        """It heard nothing any more, showed old purchases, and a sold token as free."""
        market = self.market()
        self.expected = ["503", "eventos", "ERR_", "404", "Failed to load"]
        browser = self.shop(market, buyer=(3, "Sofía"))
        self.buy(browser, 101)
        browser.until_text("#buyer", "150")
        market.buy(2, 102)
        browser.until("document.querySelectorAll('.feed li').length === 2")
        market.kill()
        browser.until_text(".banner", "no responden")
        market.forget()
        market.start()
        browser.until_text("#receipts", "El mercado empezó de nuevo")
        browser.until("!document.querySelector(\".card[data-key='101']\").matches('.is-sold')")
        browser.until("document.querySelectorAll('.feed li').length === 0")
        browser.until_text("#buyer", "200")
        market.buy(1, 103)
        browser.until_text(".feed", "Ana → Colibrí de Jade")
        browser.until("document.querySelector(\".card[data-key='103']\").matches('.is-sold')")
        self.clean(browser)

    def test_the_stream_says_that_the_market_is_another_one(self):
        market = self.market()
        kept = """window.sources = []; const Real = EventSource;
            window.EventSource = class extends Real { constructor(...a) { super(...a); window.sources.push(this); } };"""
        browser = self.shop(market, script=kept)
        market.buy(2, 102)
        browser.until_text(".feed", "Luis → Paisaje Lunar")
        browser.value("window.sources.at(-1).dispatchEvent(new MessageEvent('otro-almacen', { data: '{}' }))")
        browser.until_text("#receipts", "El mercado empezó de nuevo")
        browser.until("window.sources.length === 2 && window.sources[0].readyState === 2")
        market.buy(1, 103)
        browser.until_text(".feed", "Ana → Colibrí de Jade")
        self.assertEqual(browser.value("document.querySelectorAll('.receipt').length"), 1)
        self.clean(browser)

    def test_a_buyer_who_is_gone_is_said_to_be_and_not_replaced(self):
        market = self.market()
        self.expected = ["404"]
        browser = self.shop(market, buyer=(77, "Zoe"))
        browser.until("document.querySelector('#buyer').getAttribute('aria-label').includes('Zoe ya no existe')")
        self.buy(browser, 101)
        browser.until("document.querySelector('dialog')?.open")
        browser.press("escape")
        self.assertEqual(market.get("/transacciones"), [])
        self.assertIn("Zoe", browser.text("#buyer"))
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
