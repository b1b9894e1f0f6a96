"""The page where people log in: who may do what is offered, and nothing else; and a session that ends while the page is open."""

import unittest

from k8s.tests.gateway.world import World

from .case import CARDS, HELD, PageCase
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

    def enter(self, browser, name, shown):
        browser.click("#buyer")
        self.log_in(browser, name)
        browser.until_text("#buyer", shown)
        browser.until("!document.querySelector('dialog')")

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

    def test_another_tab_logs_in_as_somebody_else(self):
        browser = self.shop(self.mercado)
        self.enter(browser, "ana", "Ana")
        self.buy(browser, 101)
        browser.until_text("#receipts", "Gato Cósmico")
        browser.until_text("#buyer", "50")
        self.assertEqual(browser.value("document.querySelector('#buyer').ariaLabel"), "Ana, 50 créditos. Mi cuenta")
        ana = browser.command("/window", method="GET")
        luis = browser.command("/window/new", {"type": "window"})["handle"]
        browser.command("/window", {"handle": luis})
        browser.open(self.mercado.url + "#/cuenta")
        browser.until("document.querySelector('.account .session button')")
        browser.click(".account .session button")
        browser.until_text("#buyer", "Iniciar sesión")
        self.assertEqual(browser.focused(), "Mi cuenta", "the focus did not fall to the body")
        self.enter(browser, "luis", "Luis")
        browser.command("/window", {"handle": ana})
        browser.until_text("#buyer", "Luis")
        self.assertEqual(browser.text("#receipts"), "", "what Ana was told is hers")
        self.clean(browser)

    def test_a_refusal_shows_that_the_session_is_another_one(self):
        """Its cookie was changed by a page that tells nobody."""
        browser = self.shop(self.mercado)
        self.enter(browser, "ana", "Ana")
        browser.run("""fetch('/sesiones', {method: 'POST', headers: {'content-type': 'application/json'},
            body: '{"nombre":"luis","contrasena":"demo-luis","cookie":true}'}).then(() => done(1))""")
        browser.value("location.hash = '#/cuenta'")
        browser.until_text("#buyer", "Luis")
        browser.until_text(".account .who-head", "Luis")
        self.clean(browser)

    def test_a_token_that_is_sold_is_not_said_to_be_held(self):
        browser = self.shop(self.mercado, script=HELD)
        self.enter(browser, "ana", "Ana")
        browser.until(f"{CARDS} === 16")
        others = Api(self.mercado.host, self.mercado.port)
        session = others.post("/sesiones", nombre="luis", contrasena="demo-luis")
        browser.value("window.holding = /tokens\\?/")
        headers = {"Authorization": f"Bearer {session['token']}"}
        self.assertEqual(others.client.request("POST", "/transacciones", {"tokenId": 102}, headers).status, 201)
        self.buy(browser, 102)
        browser.until_text(".receipt.bad", "Ana no pudo comprar Paisaje Lunar. El token ya no está libre.")
        browser.value("window.release()")
        self.clean(browser)

    def test_a_tesorero_adds_money_to_others_and_stays_who_it_is(self):
        browser = self.shop(self.mercado, path="#/cuenta", n=0)
        self.enter(browser, "tesorero", "tesorero")
        browser.click(".who-head button")
        browser.until_text("dialog h2", "¿Para quién es el dinero?")
        browser.until("document.querySelectorAll('.people li').length > 1")
        browser.write("dialog input", "ana")
        browser.press("enter")
        browser.until_text(".who-head", "Ana")
        self.assertEqual(browser.text("#buyer"), "tesorero")
        browser.click(".add-money button.primary")
        browser.until_text("#receipts", "Se agregaron 50 créditos a Ana.")
        browser.write(".new-user [name=nombre]", "Zoe")
        browser.click(".new-user button.primary")
        browser.until_text("#receipts", "Zoe ya está en el mercado")
        self.assertNotIn("Ahora compra", browser.text("#receipts"))
        self.clean(browser)

    def test_a_login_by_buy_keeps_the_focus_and_who_buys_nothing_is_told(self):
        browser = self.shop(self.mercado)
        self.buy(browser, 101)
        self.log_in(browser, "publicador")
        browser.until_text("#receipts", "publicador es una cuenta que no compra.")
        self.assertEqual(browser.focused(), "Tienda")
        self.clean(browser)

    def test_a_new_key_outlives_the_language_and_is_gone_for_another_person(self):
        browser = self.shop(self.mercado, path="#/cuenta", n=0, script=HELD)
        browser.click("#buyer")
        self.log_in(browser, "ana")
        browser.until("document.querySelector('.account .keys [name=nombre]')")
        browser.write(".account .keys [name=nombre]", "k6")
        browser.click(".account .keys button.primary")
        browser.until("document.querySelector('.account .keys code')")
        key = browser.text(".account .keys code")
        self.assertTrue(key.startswith("mdt_"))
        browser.click("#language")
        browser.until_text(".account .keys", f"Copy it now: it is not shown again. {key}")
        browser.click(".account .session button")
        browser.until("document.querySelector('#buyer').innerText.includes('Log in')")
        browser.click("#buyer")
        self.log_in(browser, "luis")
        browser.until("document.querySelector('.account .keys [name=nombre]')")
        self.assertNotIn(key, browser.text("body"))
        # one that is made while another person logs in is shown to neither
        browser.value("window.holding = /claves-api/")
        browser.write(".account .keys [name=nombre]", "k7")
        browser.click(".account .keys button.primary")
        browser.until("window.held.length > 0")
        browser.run("""fetch('/sesiones', {method: 'POST', headers: {'content-type': 'application/json'},
            body: '{"nombre":"ana","contrasena":"demo-ana","cookie":true}'}).then(() => done(1))""")
        browser.value("dispatchEvent(new Event('focus')), document.dispatchEvent(new Event('visibilitychange'))")
        browser.value("location.hash = '#/tienda'")
        browser.value("location.hash = '#/cuenta'")
        browser.until_text("#buyer", "Ana")
        browser.value("window.release()")
        browser.until("document.querySelector('.account .keys [name=nombre]')")
        browser.click("#language")
        browser.until_text(".account h1", "Mi cuenta")
        self.assertNotIn("mdt_", browser.text("body"))
        self.clean(browser)

    def test_a_key_is_revoked_by_a_second_press_and_no_name_widens_the_page(self):
        browser = self.shop(self.mercado, path="#/cuenta", n=0, size=(390, 844))
        browser.click("#buyer")
        self.log_in(browser, "ana")
        browser.until("document.querySelector('.account .keys [name=nombre]')")
        browser.write(".account .keys [name=nombre]", "W" * 100)
        browser.click(".account .keys button.primary")
        browser.until("document.querySelectorAll('ul.keys li').length === 1")
        self.assertLessEqual(browser.value("document.documentElement.scrollWidth"), 390)
        browser.value("document.querySelector('ul.keys button').focus()")
        browser.press("enter")
        browser.until_text("ul.keys button", "¿Revocar para siempre?")
        browser.press("enter")
        browser.until("document.querySelectorAll('ul.keys li').length === 0")
        browser.until("document.activeElement.name === 'nombre'")
        self.clean(browser)

    def test_who_is_no_auditor_is_told_that_others_purchases_are_not_known(self):
        browser = self.shop(self.mercado, path="#/sistema", n=0)
        browser.until_text(".readout", "Compras: no se sabe")
        browser.click("summary")
        browser.until("document.querySelector('.as-table tbody td:nth-child(6)')?.innerText === '–'")
        self.assertIn("Compras por segundo: no se sabe", browser.value("document.querySelector('.chart').textContent"))
        self.clean(browser)


class Unknown(PageCase):
    expected = ("401", "403", "503", "502", "eventos")

    def world(self):
        world = World(accounts=True).market().open()
        self.addCleanup(world.close)
        return world, f"http://{world.client.host}:{world.client.port}/"

    def test_whether_people_log_in_is_not_known_until_somebody_says_it(self):
        world, url = self.world()
        old = world.pods["usuarios"][0]
        old.kill()
        # nobody says that a visitor is one
        browser = self.browser(script=HELD + "window.holding = /transacciones/;")
        browser.open(url)
        browser.until(f"{CARDS} === 16")
        self.assertEqual(browser.text("#buyer"), "no se sabe")
        self.buy(browser, 101)
        browser.until_text("#receipts", "El mercado no responde.")
        self.assertFalse(browser.value("Boolean(document.querySelector('dialog'))"))
        browser.value("location.hash = '#/cuenta'")
        browser.until_text(".account", "No se sabe ahora")
        for word in ("Crear un usuario", "Publicar", "Elegir"):
            self.assertNotIn(word, browser.text(".account"))
        world.pods["usuarios"][0] = world.start("usuarios", address=old.address).ready()
        browser.until_text("#buyer", "Iniciar sesión")
        self.clean(browser)

    def test_a_service_that_stands_still_does_not_keep_the_page_from_opening(self):
        _, url = self.world()
        browser = self.browser(script=HELD + "window.holding = /^.cuenta$/;", patient=False)
        browser.open(url)
        browser.until(f"{CARDS} === 16")
        browser.value("window.release()")
        browser.until_text("#buyer", "Iniciar sesión")
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
