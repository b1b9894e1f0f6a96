"""What could not be read while a service was gone is read when it is back."""

import unittest

from .case import CARDS, HELD, PageCase


class Back(PageCase):
    expected = ("503", "502", "eventos", "Failed to load", "ERR_")

    def test_names_come_when_their_service_is_back(self):
        market = self.services()
        market.buy(1, 101)
        market.kill("usuarios")
        system = self.shop(market, path="#/sistema", n=0)
        token = self.shop(market, path="#/tienda/101", n=0)
        system.until_text(".system .feed", "#1 → Gato Cósmico")
        token.until_text(".token .sale", "#1")
        for browser in (system, token):
            browser.until_text(".banner", "usuarios no responde")
        market.start("usuarios")
        system.until_text(".system .feed", "Ana → Gato Cósmico")
        token.until_text(".token .sale", "Ana")
        self.clean(system)

    def test_names_and_pictures_of_tokens_come_when_tokens_is_back(self):
        market = self.services()
        market.buy(1, 101)
        market.kill("tokens")
        browser = self.shop(market, path="#/cuenta", n=0, buyer=(1, "Ana"))
        browser.until_text(".mine", "#101")
        browser.until("document.querySelector('.mine img').complete")
        browser.until_text(".banner", "tokens no responde")
        market.start("tokens")
        browser.until_text(".mine", "Gato Cósmico")
        browser.until_text(".purchases tbody", "Gato Cósmico")
        browser.until("document.querySelector('.mine img').naturalWidth > 0")
        self.clean(browser)

    def test_signs_are_drawn_also_when_nobody_answers(self):
        market = self.services()
        browser = self.shop(market)
        for service in ("usuarios", "tokens", "transacciones"):
            market.kill(service)
        market.world.close()
        browser.until("!document.querySelector('.banner').hidden")
        drawn = "[...document.querySelectorAll('.banner use, .top use')].filter((e) => e.getBBox().width)"
        browser.until("document.querySelectorAll('.banner use').length === 1")
        browser.until(f"{drawn}.length === document.querySelectorAll('.banner use, .top use').length")
        self.clean(browser)

    def test_another_person_s_account_shows_nothing_of_the_one_before(self):
        market = self.services()
        market.buy(1, 101)
        browser = self.shop(market, path="#/cuenta", n=0, buyer=(1, "Ana"))
        browser.until_text(".mine", "Gato Cósmico")
        market.kill("transacciones")
        browser.until_text(".banner", "transacciones no responde")
        browser.click(".who-head button")
        browser.until("document.querySelectorAll('.people li').length > 1")
        browser.write("dialog input", "luis")
        browser.press("enter")
        browser.until_text(".own", "No se sabe ahora")
        self.assertNotIn("Gato", browser.text(".own"))
        market.start("transacciones")
        browser.until_text(".own", "Todavía ninguno.")
        self.clean(browser)

    def test_a_search_that_nobody_answers_shows_nothing_as_if_it_matched(self):
        market = self.services()
        browser = self.shop(market)
        market.kill("tokens")
        browser.until_text(".banner", "tokens no responde")
        browser.write("[name=nombre]", "luna")
        browser.until_text(".empty[data-what]", "Esta página sigue preguntando")
        self.assertEqual(browser.value(CARDS), 0)
        self.assertEqual(browser.text(".count"), "")
        market.start("tokens")
        browser.until(f"{CARDS} === 1")
        browser.until_text(".count", "1 token")
        # words of the form, and not of the API
        browser.write("[name=nombre]", "")
        browser.write("[name=precioMin]", "100")
        browser.write("[name=precioMax]", "50")
        browser.until_text(".empty[data-what]", "Precio desde: no puede pasar de «Precio hasta».")
        self.expected = [*self.expected, "422"]
        self.assertEqual(browser.text(".count"), "")
        self.clean(browser)

    def test_the_audit_is_not_known_from_the_moment_of_the_death(self):
        market = self.services()
        browser = self.shop(market, path="#/sistema", n=0, script=HELD)
        browser.until_text(".verdict", "El dinero cuadra")
        # a process that stands still: what is asked of it is not answered, and the audit's own wait has not ended
        browser.value("window.holding = /transacciones/")
        browser.until_text(".banner", "transacciones no responde")
        browser.until("window.held.length > 1")
        self.assertEqual(browser.text(".verdict"), "No se sabe")
        self.assertIn("No se sabe", browser.text("#pill"))
        # from the death on, as the banner counts; what was asked of the audit itself is still held
        ages = "['.audit', '.banner'].map((css) => Number(/desde hace (\\d+) s/.exec(document.querySelector(css).innerText)?.[1]))"
        browser.until(f"(([audit, banner]) => audit > 0 && Math.abs(audit - banner) < 2)({ages})")
        browser.value("window.release()")
        browser.until_text(".verdict", "El dinero cuadra")
        self.clean(browser)


class Receipts(PageCase):
    # a purchase on a machine that stands still is sent once more
    expected = ("503",)

    def test_a_purchase_is_told_before_its_balance_is_known(self):
        browser = self.shop(self.services(), buyer=(1, "Ana"), script=HELD)
        browser.until_text("#buyer", "100")
        browser.value("window.holding = /^.usuarios.1$/")
        self.buy(browser, 101)
        browser.until_text(".receipt.good", "Ana compró Gato Cósmico por 50 créditos.")
        self.assertNotIn("saldo", browser.text(".receipt.good"))
        browser.value("window.release()")
        browser.until_text(".receipt.good", "A Ana le quedan 50 créditos.")
        browser.until_text("#spoken", "A Ana le quedan 50 créditos.")
        # a receipt is in the reader's language, whenever it came
        browser.click("#language")
        browser.until_text(".receipt.good", "Ana bought Gato Cósmico for 50 credits.")
        self.assertEqual(browser.text(".receipt.good .actions"), "See purchase #1")
        self.assertEqual(browser.value("document.querySelector('.receipt .close').ariaLabel"), "Close")
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
