"""The page where people log in: who may do what is offered, and nothing else; and a session that ends while the page is open."""

import unittest

from .case import CARDS, PageCase
from .market import Api

LOGGED_IN = "document.querySelector('#buyer .name, #buyer span')?.innerText"


class Accounts(PageCase):
    # a visitor's probes, and refusals
    expected = ("401", "403", "409")

    def setUp(self):
        super().setUp()
        self.mercado = self.market(options=("--cuentas=si",))

    def account(self, browser):
        browser.value("location.hash = '#/cuenta'")
        browser.until("document.querySelector('.account .session')")

    def shown(self, browser, css):
        return browser.value(f"Boolean(document.querySelector('{css}')?.offsetParent)")

    def test_a_visitor_looks_logs_in_buys_is_refused_and_logs_out(self):
        browser = self.shop(self.mercado)
        browser.until_text("#buyer", "Iniciar sesión")
        self.assertFalse(self.shown(browser, "#pill"), "the audit is not a visitor's")
        self.buy(browser, 101)
        self.log_in(browser, "ana", "no es")
        browser.until_text("dialog.login .problem", "no valen")
        self.log_in(browser, "ana")
        browser.until_text("#receipts", "Gato Cósmico")
        browser.until_text("#buyer", "Ana")
        self.assertFalse(browser.value("document.cookie"), "no script sees the session")
        browser.until(f"{CARDS} === 16")
        self.buy(browser, 113)
        browser.until_text("#receipts", "faltan")
        self.account(browser)
        self.assertTrue(self.shown(browser, ".account .keys") and self.shown(browser, ".account .password"))
        browser.until_text("#ledger, .account", "Ana")
        offered = browser.text(".account")
        for word in ("Publicar", "Crear un usuario", "Agregar"):
            self.assertNotIn(word, offered, "what a comprador may not do")
        browser.click(".account .session button")
        browser.until_text("#buyer", "Iniciar sesión")
        self.assertIsNone(browser.value("document.querySelector('.account .session')"))
        self.clean(browser)

    def test_who_publishes_sees_that_and_buys_nothing(self):
        browser = self.shop(self.mercado)
        browser.click("#buyer")
        self.log_in(browser, "publicador")
        browser.until_text("#buyer", "publicador")
        browser.until(f"{CARDS} === 16")
        self.assertFalse(self.shown(browser, ".card .buy"))
        self.account(browser)
        self.assertIn("Publicar", browser.text(".account"))
        self.clean(browser)

    def test_a_session_that_ends_while_the_page_is_open_is_told_and_another_goes_on(self):
        browser = self.shop(self.mercado)
        browser.click("#buyer")
        self.log_in(browser, "ana")
        browser.until_text("#buyer", "Ana")
        others = Api(self.mercado.host, self.mercado.port)
        session = others.post("/sesiones", nombre="ana", contrasena="demo-ana")
        change = {"actual": "demo-ana", "nueva": "gato-cosmico"}
        headers = {"Authorization": f"Bearer {session['token']}"}
        answer = others.client.request("PUT", "/cuenta/contrasena", change, headers)
        self.assertEqual(answer.status, 201, answer.body)
        self.buy(browser, 101)
        browser.until_text("#receipts", "La sesión ha terminado")
        browser.until_text("#buyer", "Iniciar sesión")
        browser.click("#buyer")
        self.log_in(browser, "ana", "gato-cosmico")
        # what was under way goes on under its key
        browser.until_text("#receipts", "Gato Cósmico")
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
