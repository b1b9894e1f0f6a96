"""WCAG 2.2 AA: axe-core in every view and theme, the keyboard alone, and what axe does not look at."""

import os
import unittest
from pathlib import Path

from .case import CARDS, PageCase
from .market import ROOT

AXE = Path(os.environ.get("AXE") or ROOT / "target/axe-core/package/axe.min.js")
VIEWS = ("tienda", "tienda/101", "tienda/103", "tienda?nombre=nada+de+nada", "cuenta", "sistema")
RULES = """axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
    .then(({ violations }) => done(
        violations.map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map((n) => n.html.slice(0, 160))].join(" | "))))"""
SHOWN = "document.querySelector('main > :not([hidden]) h1')?.innerText"
BUSY = "document.querySelector('main > :not([hidden]) [aria-busy=true]')"


class Axe(PageCase):
    def look(self, browser, where):
        browser.command("/execute/sync", {"script": AXE.read_text(), "args": []})
        self.assertEqual(browser.run(RULES), [], where)

    def test_axe_finds_nothing_in_any_view_and_theme(self):
        market = self.market()
        market.buy(2, 101)
        for dark, size in ((False, (1280, 900)), (True, (1280, 900)), (False, (390, 844))):
            browser = self.shop(market, dark=dark, size=size, buyer=(1, "Ana"))
            for view in VIEWS:
                browser.value(f"location.hash = '#/{view}'")
                browser.until(f"{SHOWN} && !{BUSY}")
                self.look(browser, (view, dark, size))
            browser.click("#buyer")
            browser.until("document.querySelector('.people li')")
            self.look(browser, ("dialog", dark, size))
            browser.press("escape")
        # with a receipt, a refusal and somebody's absence on the screen
        self.expected = ["409", "ERR_", "eventos", "Failed to load"]
        browser.value("location.hash = '#/tienda'")
        browser.until(f"{CARDS} === 16")
        self.buy(browser, 113)
        browser.until_text("#receipts", "faltan 20 créditos")
        market.kill()
        browser.until("!document.querySelector('.banner').hidden")
        self.buy(browser, 103)
        browser.until("!document.querySelector('#outstanding').hidden")
        for view in ("tienda", "cuenta", "sistema"):
            browser.value(f"location.hash = '#/{view}'")
            browser.until("document.querySelector('main > :not([hidden]) h1')?.innerText")
            self.look(browser, (view, "dead"))

    def test_axe_finds_nothing_where_people_log_in(self):
        self.expected = ["401", "403", "422"]
        market = self.market(options=("--cuentas=si",))
        for dark, size in ((False, (1280, 900)), (True, (1280, 900)), (False, (390, 844))):
            browser = self.shop(market, dark=dark, size=size)
            browser.value("location.hash = '#/cuenta'")
            browser.until(f"{SHOWN} && !{BUSY}")
            self.look(browser, ("a visitor's account", dark, size))
            browser.click("#buyer")
            browser.until("document.querySelector('dialog.login')?.open")
            self.look(browser, ("logging in", dark, size))
            self.log_in(browser, "ana", "no es")
            browser.until_text("dialog.login .problem", "no valen")
            self.look(browser, ("refused", dark, size))
            self.log_in(browser, "ana")
            browser.until("document.querySelector('.account .session')")
            browser.write(".account .keys [name=nombre]", f"mi programa {len(self.browsers)}")
            browser.click(".account .keys button.primary")
            browser.until(f"document.querySelectorAll('.account ul.keys li').length === {len(self.browsers)}")
            browser.write(".account .password [name=actual]", "no es")
            browser.write(".account .password [name=nueva]", "gato-cosmico")
            browser.click(".account .password button.primary")
            browser.until_text(".account .password .problem", "no")
            self.look(browser, ("keys, and another password", dark, size))
            self.clean(browser)

    def test_targets_are_44_pixels_and_edges_can_be_seen(self):
        market = self.market()
        for dark in (False, True):
            browser = self.shop(market, buyer=(1, "Ana"), dark=dark, size=(390, 844))
            self.buy(browser, 113)
            browser.until("document.querySelector('.actions a')")
            for view in ("tienda", "cuenta", "sistema"):
                browser.value(f"location.hash = '#/{view}'")
                browser.until("document.querySelector('main > :not([hidden]) h1')?.innerText")
                small = browser.value("""[...document.querySelectorAll('button, input, select, summary, nav a, .pill, .actions a, footer a')]
                    .filter((e) => e.offsetParent).map((e) => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
                    .filter(([, r]) => r.height < 43.5 || r.width < 43.5).map(([t]) => t)""")
                self.assertEqual(small, [], view)
            contrast = browser.value("""(() => {
                const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
                const light = (css) => { const c = css.match(/[\\d.]+/g).slice(0, 3).map((v) => linear(v / 255));
                  return .2126 * c[0] + .7152 * c[1] + .0722 * c[2]; };
                const { borderTopColor, backgroundColor } = getComputedStyle(document.querySelector('.burst [name=n]'));
                const [a, b] = [light(borderTopColor), light(backgroundColor)].sort((x, y) => y - x);
                return (a + .05) / (b + .05); })()""")
            self.assertGreaterEqual(contrast, 3)

    def test_names_of_controls_and_pictures(self):
        browser = self.shop(self.market())
        names = browser.value("[...document.querySelectorAll('.card .buy')].map((e) => e.getAttribute('aria-label'))")
        self.assertEqual(len(set(names)), 16)
        self.assertEqual(names[0], "Comprar Gato Cósmico por 50 créditos")
        self.assertEqual(browser.value("document.querySelector('.card img').alt"), "Imagen de Gato Cósmico")
        self.assertEqual(browser.value("[...document.querySelectorAll('main img')].filter((e) => !e.alt).length"), 0)


class Keyboard(PageCase):
    def tab_to(self, browser, wanted, most=60):
        for _ in range(most):
            if wanted in (browser.focused() or ""):
                return
            browser.press("tab")
        self.fail(f"the keyboard does not reach {wanted}; it is at {browser.focused()}")

    def test_a_person_without_a_mouse_buys_and_looks_at_the_system(self):
        market = self.market()
        browser = self.shop(market)
        browser.press("tab")
        self.assertEqual(browser.focused(), "Ir al contenido")
        browser.press("enter")
        self.assertEqual(browser.focused(), "Tienda")
        self.tab_to(browser, "Comprar Paisaje Lunar")
        seen = browser.value("getComputedStyle(document.activeElement).outlineStyle")
        self.assertEqual(seen, "solid", "the focus can be seen")
        browser.press("enter")
        browser.until("document.querySelector('dialog')?.open && document.querySelectorAll('.people li').length > 0")
        browser.press(*"luis", "enter")
        browser.until_text(".receipt.good", "Luis compró Paisaje Lunar")
        self.assertIn("Paisaje Lunar", browser.focused())
        self.tab_to(browser, "Cerrar")
        browser.press("enter")
        browser.until("!document.querySelector('.receipt')")
        self.assertNotEqual(browser.value("document.activeElement.localName"), "body")
        # the dialog gives the focus back
        browser.value("document.querySelector('#buyer').focus()")
        browser.press("enter")
        browser.until("document.querySelector('dialog')?.open")
        browser.press("escape")
        browser.until("document.activeElement.id === 'buyer'")

        browser.value("document.querySelector('#views [data-view=sistema]').focus()")
        browser.press("enter")
        browser.until("document.activeElement.innerText === 'Sistema'")
        self.tab_to(browser, "Los últimos cinco minutos")
        browser.until("document.querySelector('.readout').innerText.includes('petici')")
        browser.press("left", "left", "left")
        browser.until("document.activeElement.getAttribute('aria-valuetext').startsWith('Hace 3 s')")
        browser.press("home")
        browser.until("document.activeElement.getAttribute('aria-valuetext').includes('No se miraba')")
        browser.press("tab", "enter")
        browser.until("document.querySelectorAll('.as-table tbody tr').length >= 30")
        self.clean(browser)

    def test_what_has_the_focus_is_not_under_the_receipts(self):
        market = self.market()
        browser = self.shop(market, buyer=(3, "Sofía"), size=(600, 700))
        self.buy(browser, 101)
        # whole: it grows when the balance comes
        browser.until_text(".receipt.good", "A Sofía le quedan")
        for _ in range(14):
            browser.press("tab")
            covered = browser.value("""(() => { const e = document.activeElement, r = e.getBoundingClientRect();
                if (e.closest('.tray') || !r.width) return null;
                const top = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
                return top?.closest('.tray, .top') && !e.closest('.top') ? e.outerHTML.slice(0, 80) : null; })()""")
            self.assertIsNone(covered)

    def test_the_footers_links_are_not_under_the_receipts(self):
        self.expected.append("409")
        browser = self.shop(self.market(), buyer=(1, "Ana"), size=(1280, 900))
        for n, token in enumerate((101, 102, 103), 1):
            self.buy(browser, token)
            browser.until(f"document.querySelectorAll('.receipt').length === {n}")
        browser.value("scrollTo(0, document.documentElement.scrollHeight)")
        browser.until("""[...document.querySelectorAll('footer a')].every((e) => {
            const r = e.getBoundingClientRect();
            return document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2) === e; })""")
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
