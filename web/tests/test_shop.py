"""Tienda: looking, searching, buying, and what is said after it."""

import unittest

from .case import CARDS, FULL, HELD, OPENED, PageCase
from .market import seeds, token, user


class Buying(PageCase):
    def test_a_person_says_who_they_are_buys_and_is_told_all_about_it(self):
        market = self.market()
        browser = self.shop(market)
        self.assertEqual(browser.value("document.documentElement.lang"), "es")
        self.buy(browser, 101)
        browser.until_text("dialog .reason", "Gato Cósmico por 50 créditos")
        browser.write("dialog input", "ána")
        browser.until("document.querySelectorAll('.people li').length === 1")
        browser.press("enter")
        browser.until_text(".receipt.good", "Ana compró Gato Cósmico por 50 créditos.")
        # the balance follows
        browser.until_text(".receipt.good", "A Ana le quedan 50 créditos.")
        self.assertRegex(browser.text(".receipt.good"), r"Respondió solo en [\d,.]+ m?s\.")
        browser.until_text("#spoken", "A Ana le quedan 50 créditos.")
        browser.until_text("#buyer", "50")
        self.assertEqual(browser.focused(), "Vendido: Gato Cósmico", "the focus did not fall to the body")
        browser.until_text("#pill", "Cuadra")
        self.assertIsNone(browser.value("localStorage.getItem('mercado.compras')"), "the key is done with")
        browser.click(".receipt a")
        browser.until_text(".sale", "Ana")
        self.assertIn("solo", browser.text(".sale"))
        self.assertEqual(market.get("/transacciones")[0]["usuarioId"], 1)
        self.clean(browser)

    def test_refusals_are_said_with_names_and_figures(self):
        market = self.market()
        self.expected = ["409"]
        browser = self.shop(market, buyer=(1, "Ana"), script=HELD)
        self.buy(browser, 101)
        browser.until("document.querySelector('.receipt.good')")
        self.buy(browser, 102)
        browser.until_text(".receipt.bad", "A Ana le faltan 20 créditos para Paisaje Lunar.")
        self.assertIn("No se cobró nada.", browser.text(".receipt.bad"))
        browser.click(".receipt.bad .actions a")
        browser.until("document.activeElement.name === 'monto' && document.activeElement.value === '20'")
        browser.press("enter")
        browser.until_text(".receipt.good", "A Ana le quedan 70 créditos.")
        browser.value("history.back()")
        # somebody else is a moment faster: the page does not know it yet when it asks
        script = """fetch('/transacciones', {method: 'POST', headers: {'content-type': 'application/json'},
            body: '{"usuarioId":2,"tokenId":102}'})
            .then(() => { document.querySelector(".card[data-key='102'] .buy").setAttribute('aria-disabled', 'false');
            document.querySelector(".card[data-key='102'] .buy").click(); done(1); })"""
        browser.run(script)
        browser.until_text("#receipts", "Paisaje Lunar ya se vendió: lo tiene Luis.")
        # and a price that is not the one that was seen
        browser.value("window.holding = /tokens\\?/")
        market.client.request("PATCH", "/tokens/105", {"precio": 26})
        self.buy(browser, 105)
        browser.until_text("#receipts", "Ajolote Rosa ahora cuesta 26 créditos, no 25.")
        browser.value("window.release()")
        self.clean(browser)

    def test_a_full_market_is_said_in_plain_words_and_not_asked_again(self):
        market = self.market()
        browser = self.shop(market, buyer=(1, "Ana"), script=FULL)
        browser.value("window.fullFor = /^.transacciones$/")
        self.buy(browser, 101)
        browser.until_text(".receipt.bad", "Ana no pudo comprar Gato Cósmico. El mercado no tiene sitio para más")
        self.assertIn("No se cobró nada.", browser.text(".receipt.bad"))
        browser.until("document.querySelector('#outstanding').hidden")
        self.assertEqual(browser.value("window.refused"), 1)
        browser.value("window.fullFor = /^.tokens$/")
        browser.value("location.hash = '#/cuenta?publicar'")
        browser.until("document.activeElement.name === 'nombre'")
        browser.press(*"Uno", "enter")
        browser.until_text(".new-token .problem", "está lleno")
        self.clean(browser)

    def test_what_others_do_is_seen(self):
        market = self.market()
        browser = self.shop(market, script=HELD)
        market.buy(2, 102)
        browser.until("document.querySelector(\".card[data-key='102']\").matches('.is-sold')")
        browser.until_text(".feed", "Luis → Paisaje Lunar")
        browser.write("[name=nombre]", "COSMICO")
        browser.until(f"{CARDS} === 1")
        market.post("/tokens", nombre="Perro cósmico", precio=5)
        browser.until(f"{CARDS} === 2")
        browser.until_text("#cards", "Perro cósmico")
        # what is bought while it is looked at stays where it is
        browser.click("[name=vendido][value=false]")
        browser.until("location.hash.includes('vendido=false') && document.querySelector('.catalogue').ariaBusy === 'false'")
        self.assertEqual(browser.value(CARDS), 2)
        # the next look comes after the purchase is known here
        browser.value("window.holding = /tokens.nombre=/")
        browser.until("window.held.length > 0")
        market.buy(1, 101)
        browser.until("document.querySelector(\".card[data-key='101']\").matches('.is-sold')")
        browser.value("window.release()")
        browser.until_text(".count", "1 token")
        self.assertEqual(browser.value(CARDS), 2)
        self.clean(browser)

    def test_a_slow_first_load_misses_no_purchase(self):
        """Purchases that arrive before the list were put below it, and cut."""
        market = self.market(seeds([user(1, "Ana", 1000)], [token(i, f"T{i}", 1) for i in range(1, 41)]))
        for i in range(1, 26):
            market.buy(1, i)
        browser = self.shop(market, n=24, script=HELD + OPENED + "window.holding = /transacciones\\?/;")
        browser.until("window.opened")
        for i in range(26, 29):
            market.buy(1, i)
        browser.until("document.querySelectorAll('.feed li').length > 0")
        browser.value("window.release()")
        browser.until("document.querySelectorAll('.feed li').length === 12")
        ids = "[...document.querySelectorAll('.shop .feed li')].map((li) => Number(li.dataset.key))"
        browser.until(f"JSON.stringify({ids}) === JSON.stringify([28,27,26,25,24,23,22,21,20,19,18,17])")
        self.clean(browser)


class Finding(PageCase):
    def test_search_filters_and_addresses(self):
        market = self.market()
        browser = self.shop(market, path="#/tienda?orden=-precio&precioMax=100", n=14)
        self.assertEqual(browser.value("document.querySelector('#cards h3').innerText"), "Robot Jardinero")
        self.assertEqual(browser.value("document.querySelector('[name=orden]').value"), "-precio")
        browser.write("[name=nombre]", "nada de nada")
        browser.until_text(".empty[data-what]", "Ningún token coincide")
        browser.click(".empty[data-what] button")
        browser.until(f"{CARDS} === 16")
        browser.click(".card[data-key='103'] h3 a")
        browser.until_text(".token h1", "Colibrí de Jade")
        browser.value("history.back()")
        browser.until("document.querySelector('.shop').offsetHeight > 0")
        browser.value("history.forward()")
        browser.until_text(".token h1", "Colibrí de Jade")
        browser.until("document.title.startsWith('Colibrí de Jade')")
        browser.open(market.url + "#/tienda/999")
        browser.until_text(".token", "Ese token no existe.")
        self.expected = ["404"]
        self.clean(browser)

    def test_an_empty_market_says_so(self):
        market = self.market(seeds([], []))
        browser = self.shop(market, n=0)
        browser.until_text(".empty[data-what]", "Todavía no hay nada a la venta.")
        browser.until_text(".recent", "Nadie ha comprado todavía.")
        browser.click("#buyer")
        browser.until_text("dialog .state", "Todavía no hay usuarios.")
        browser.click("dialog a")
        browser.until("document.activeElement.name === 'nombre'")
        browser.press(*"Eva", "enter")
        browser.until_text(".receipt", "Ahora compra Eva.")
        browser.until_text("#buyer", "Eva")
        self.clean(browser)

    def test_more_comes_as_one_scrolls_and_nothing_jumps(self):
        market = self.market(seeds([user(1, "Ana", 9)], [token(i, f"Token {i}", 1) for i in range(1, 1001)]))
        browser = self.shop(market, n=24)
        browser.until_text(".count", "1.000 tokens")
        for n in (48, 72, 96):
            browser.value("scrollTo(0, document.documentElement.scrollHeight)")
            browser.until(f"{CARDS} >= {n}")
        # a new look at the list, with somebody's purchase in it, leaves what is seen where it is
        browser.value("document.querySelector(\".card[data-key='40']\").scrollIntoView()")
        before = browser.value("[scrollY, document.querySelector(\".card[data-key='40']\").getBoundingClientRect().top]")
        market.buy(1, 3)
        browser.until("document.querySelector(\".card[data-key='3']\").matches('.is-sold')")
        after = browser.value("[scrollY, document.querySelector(\".card[data-key='40']\").getBoundingClientRect().top]")
        self.assertEqual(before, after)
        self.clean(browser)

    def test_a_name_is_text_whatever_is_in_it(self):
        market = self.market()
        name = "<img src=x onerror=document.title='roto'>"
        made = market.post("/tokens", nombre=name, precio=5)
        browser = self.shop(market, n=17)
        self.assertEqual(browser.text(f".card[data-key='{made['id']}'] h3"), name)
        browser.open(market.url + f"#/tienda/{made['id']}")
        browser.until("document.querySelector('.token h1')?.innerText.startsWith('<img')")
        self.assertIn("Mercado de Tokens", browser.value("document.title"))
        self.clean(browser)


class Buyer(PageCase):
    def test_among_a_thousand_people_the_choice_is_the_person_s(self):
        """Zoe was not in the list, the buyer silently became Ana, and Ana paid."""
        people = [user(1, "Ana", 100), user(2, "Luis", 150)] + [user(i, f"Persona {i}", 10) for i in range(3, 1103)]
        market = self.market(seeds(people, [token(101, "Gato", 50), token(102, "Luna", 70)]))
        browser = self.shop(market, n=2)
        browser.click("#buyer")
        browser.until("document.querySelectorAll('.people li').length === 40")
        browser.until_text("dialog .state", "Hay 1.062 más")
        browser.write("dialog input", "luis")
        browser.press("enter")
        browser.until_text("#buyer", "Luis")
        zoe = market.post("/usuarios", nombre="Zoe", saldo=60)
        browser.open(market.url + "?otra")
        browser.until(f"{CARDS} === 2")
        browser.until_text("#buyer", "150")
        self.buy(browser, 101)
        browser.until_text(".receipt.good", "Luis compró Gato")
        browser.click("#buyer")
        browser.until("document.querySelectorAll('.people li').length === 40")
        browser.write("dialog input", "zoe")
        browser.press("enter")
        browser.until_text("#buyer", "Zoe")
        self.expected = ["409"]
        self.buy(browser, 102)
        browser.until_text("#receipts", "A Zoe le faltan 10 créditos para Luna.")
        self.assertEqual([market.get(f"/usuarios/{i}")["saldo"] for i in (1, 2, zoe["id"])], [100, 100, 60])
        self.clean(browser)

    def test_a_form_is_sent_once_however_often_it_is_pressed(self):
        market = self.market()
        browser = self.shop(market, buyer=(1, "Ana"), script=HELD)
        browser.open(market.url + "#/cuenta?publicar")
        browser.until("document.activeElement.name === 'nombre'")
        browser.press(*"Doble")
        browser.value("window.holding = /^.tokens$/")
        browser.value("[1, 2, 3].forEach(() => document.activeElement.form.requestSubmit())")
        browser.until("window.held.length === 1")
        browser.value("window.release()")
        browser.until_text(".receipt.good", "Doble está a la venta por 50 créditos.")
        self.assertEqual(len([t for t in market.get("/tokens") if t["nombre"] == "Doble"]), 1)
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
