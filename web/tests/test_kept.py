"""What stays as it was while something around it changes, and what is read out."""

import unittest

from .case import CALM, CARDS, HELD, OPENED, PageCase
from .market import seeds, token, user

# Answers that never arrive, to what the test names
LOST = """
const answered = window.fetch; window.lost = null;
window.fetch = async (path, options) => {
  const answer = await answered(path, options);
  if (options?.method === "POST" && window.lost?.test(path)) throw new TypeError("lost");
  return answer;
};
"""
# How often a live region changed, by its class or id
READ_OUT = """
addEventListener("DOMContentLoaded", () => {
  window.read = {};
  new MutationObserver((all) => {
    for (const { target } of all) {
      const live = (target.nodeType === 1 ? target : target.parentElement)?.closest("[role=status], [aria-live], [role=alert]");
      if (live) window.read[live.id || live.className] = (window.read[live.id || live.className] ?? 0) + 1;
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
});
"""


class Language(PageCase):
    def test_what_was_typed_and_the_focus_stay(self):
        browser = self.shop(self.services(), path="#/cuenta?monto=40", n=0, buyer=(1, "Ana"))
        browser.until("document.activeElement.name === 'monto' && document.activeElement.value === '40'")
        browser.write(".add-money [name=monto]", "7")
        browser.write(".new-token [name=nombre]", "Mi dragón")
        browser.click("#language")
        browser.until_text(".account h1", "My account")
        self.assertEqual(browser.value("document.activeElement.id"), "language")
        self.assertEqual(browser.value("document.querySelector('.add-money [name=monto]').value"), "7")
        self.assertEqual(browser.value("document.querySelector('.new-token [name=nombre]').value"), "Mi dragón")
        self.clean(browser)

    def test_the_place_in_a_long_list_stays(self):
        market = self.services()
        for i in range(60):
            market.post("/tokens", nombre=f"Más {i}", precio=1)
        # after 3 s the view gives up the height that it had, whether or not its rows are back
        slow = "const later = window.setTimeout; window.setTimeout = (f, ms, ...all) => later(f, ms === 3000 ? 60000 : ms, ...all);"
        browser = self.shop(market, n=24, script=slow)
        browser.value("scrollTo(0, document.documentElement.scrollHeight)")
        browser.until(f"{CARDS} >= 48")
        browser.value("scrollTo(0, 2000)")
        browser.value("document.querySelector('#language').click()")
        browser.until_text(".shop h1", "Shop")
        browser.until(f"{CARDS} >= 48")
        self.assertEqual(browser.value("scrollY"), 2000)
        self.clean(browser)

    def test_a_burst_goes_on_in_the_other_language_and_can_be_stopped(self):
        browser = self.shop(self.services(), path="#/sistema", n=0, script=CALM + READ_OUT)
        browser.until("document.querySelector('.service[data-state=up]')")
        self.calm(browser)
        browser.write(".burst [name=rate]", "5")
        browser.click(".burst .primary")
        browser.until_text(".burst .said", "de 200, ")
        browser.click("#language")
        browser.until_text(".burst .said", "of 200, ")
        browser.until("document.querySelector('.visits strong').innerText !== '–'")
        browser.until("Number(/^\\d+/.exec(document.querySelector('.burst .said').innerText)) > 8")
        browser.value("window.read = {}")
        browser.until("Number(/^\\d+/.exec(document.querySelector('.burst .said').innerText)) > 12")
        self.assertEqual(browser.value("window.read"), {}, "each request is not read out")
        self.assertEqual(browser.text(".burst .primary"), "Stop")
        browser.click(".burst .primary")
        browser.until_text(".burst .said", "Stopped. ")
        browser.until_text("#spoken", "Stopped. ")
        self.clean(browser)


class Spoken(PageCase):
    def test_a_search_is_said_once_and_others_tokens_are_not(self):
        market = self.services()
        browser = self.shop(market, script=CALM + READ_OUT)
        self.calm(browser)
        browser.value("window.read = {}")
        market.post("/tokens", nombre="Otro", precio=5)
        browser.until_text(".count", "17 tokens")
        self.assertEqual(browser.value("window.read"), {})
        # in one piece: on a slow machine a search would begin between two keys
        browser.value("document.querySelector('[name=nombre]').focus()")
        browser.cdp("Input.insertText", text="luna")
        browser.until_text("#spoken", "1 token")
        self.assertEqual(browser.value("window.read"), {"spoken": 1})
        self.clean(browser)

    def test_the_chart_is_quiet_while_somebody_is_at_it(self):
        browser = self.shop(self.services(), path="#/sistema", n=0)
        browser.until_text(".readout", "petici")
        browser.value("document.querySelector('.chart').focus()")
        changes = """window.changes = { said: 0, read: 0 };
            const seen = (name, options, css) => new MutationObserver((all) => (window.changes[name] += all.length))
              .observe(document.querySelector(css), options);
            seen("said", { attributes: true, attributeFilter: ["aria-valuetext"] }, ".chart");
            seen("read", { childList: true }, ".readout");"""
        browser.run(changes + "done(1)")
        browser.until("window.changes.read > 2")
        self.assertEqual(browser.value("window.changes.said"), 0)
        browser.press("left")
        browser.until("document.querySelector('.chart').getAttribute('aria-valuetext').startsWith('Hace 1 s')")
        self.clean(browser)

    def test_a_name_from_right_to_left_turns_nothing_around_it(self):
        market = self.services()
        dana = market.post("/usuarios", nombre="דנה", saldo=100)
        browser = self.shop(market, buyer=(dana["id"], "דנה"))
        self.buy(browser, 101)
        browser.until_text(".receipt.good", "\u2068דנה\u2069 compró Gato Cósmico")
        browser.until("document.querySelector('.feed b')?.dir === 'auto'")
        browser.click("#buyer")
        browser.until("[...document.querySelectorAll('.people bdi')].some((e) => e.innerText === 'דנה')")
        self.assertEqual(browser.value("document.querySelector('#buyer bdi').innerText"), "דנה")
        # another view is not seen under a dialog
        browser.value("location.hash = '#/cuenta'")
        browser.until("!document.querySelector('dialog')")
        self.assertEqual(browser.focused(), "Mi cuenta")
        self.clean(browser)


class Lists(PageCase):
    def test_more_comes_also_while_the_list_is_looked_at(self):
        market = self.services()
        for i in range(90):
            market.post("/tokens", nombre=f"Más {i}", precio=1)
        browser = self.shop(market, n=24, script=HELD)
        browser.value("window.holding = /tokens.*limite=\\d\\d/")
        browser.until("window.held.length === 1")
        browser.value("scrollTo(0, document.documentElement.scrollHeight)")
        browser.until("window.held.length === 2")
        browser.value("window.release()")
        browser.until(f"{CARDS} >= 48")
        browser.value("scrollTo(0, 0)")
        browser.value("window.holding = /tokens.*limite=\\d\\d/")
        browser.until("window.held.length === 1")
        before = browser.value(CARDS)
        browser.value("document.querySelector('.more').click()")
        browser.until("window.held.length === 2")
        browser.value("window.release()")
        browser.until(f"{CARDS} > {before}")
        browser.until(f"document.activeElement.closest('.card') === document.querySelector('#cards').children[{before}]")
        self.clean(browser)

    def test_a_list_that_is_all_there_offers_no_more(self):
        market = self.market(seeds([user(1, "Ana", 9)], [token(i, f"Token {i}", 1) for i in range(1, 1101)]))
        browser = self.shop(market, n=24, script=HELD)
        scroll = f"(scrollTo(0, document.documentElement.scrollHeight), {CARDS} === 1100)"
        browser.until(scroll)
        browser.until("document.querySelector('.more').hidden")
        browser.value("window.counted.length = 0")
        browser.until("window.counted.filter((c) => c.path.includes('limite=1000') && c.path.startsWith('/tokens')).length >= 3")
        self.assertTrue(browser.value("document.querySelector('.more').hidden"))
        self.clean(browser)

    def test_the_shop_is_left_and_found_again_with_its_search(self):
        browser = self.shop(self.services())
        browser.write("[name=nombre]", "luna")
        browser.until(f"{CARDS} === 1 && location.hash.includes('luna')")
        browser.click(".card h3 a")
        browser.until_text(".token h1", "Paisaje Lunar")
        browser.click(".back a")
        browser.until("location.hash === '#/tienda?nombre=luna'")
        self.assertEqual(browser.value(CARDS), 1)
        # a link in the moment after a key: the search takes nobody's address
        browser.value("""(() => { const field = document.querySelector('[name=nombre]'); field.value = 'lu';
            field.dispatchEvent(new Event('input', { bubbles: true })); document.querySelector('.card h3 a').click(); })()""")
        browser.until_text(".token h1", "Paisaje Lunar")
        browser.run("setTimeout(() => done(1), 300)")
        self.assertEqual(browser.value("location.hash"), "#/tienda/102")
        self.clean(browser)

    def test_the_line_on_a_phone_is_the_newest_purchase(self):
        market = self.market()
        self.expected = ["503", "eventos", "ERR_", "404", "Failed to load"]
        market.buy(2, 102)
        script = HELD + OPENED + "window.holding = /transacciones\\?limite/;"
        browser = self.shop(market, size=(390, 844), script=script)
        browser.until("window.opened && window.held.length > 0")
        market.buy(4, 105)
        browser.until_text("#ticker", "Mateo → Ajolote Rosa")
        browser.value("window.release()")
        browser.until("document.querySelectorAll('.feed li').length === 2")
        browser.until_text("#ticker", "Mateo → Ajolote Rosa")
        self.assertIn("Mateo", browser.text(".feed li"))
        market.kill()
        browser.until_text(".banner", "no responden")
        market.forget()
        market.start()
        browser.until_text("#receipts", "El mercado empezó de nuevo")
        browser.until("document.querySelector('#ticker').innerText === ''")
        self.clean(browser)


class Money(PageCase):
    def test_an_answer_that_was_lost_is_told_of_after_a_reload(self):
        market = self.services()
        browser = self.shop(market, path="#/cuenta", n=0, buyer=(1, "Ana"), script=LOST)
        browser.until_text(".who-head", "100")
        browser.value("window.lost = /abonos/")
        browser.click(".add-money button.primary")
        browser.until_text(".add-money .problem", "Sin respuesta")
        browser.open(market.url + "?otra#/cuenta")
        browser.until_text(".add-money .problem", "Sin respuesta")
        browser.click(".add-money button.primary")
        browser.until_text("#receipts", "50 créditos ya se le habían agregado a Ana")
        self.assertEqual(market.get("/usuarios/1")["saldo"], 150)
        browser.click(".add-money button.primary")
        browser.until_text("#receipts", "Se agregaron 50 créditos a Ana.")
        self.assertEqual(market.get("/usuarios/1")["saldo"], 200)
        self.clean(browser)


if __name__ == "__main__":
    unittest.main()
