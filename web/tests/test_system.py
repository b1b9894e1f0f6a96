"""Sistema: deaths and returns, the audit in words, bursts, and what the page itself costs."""

import re
import shutil
import unittest

from .case import CALM, HELD, PageCase
from .market import ROOT

# bytes of all files of the page, without the pictures of tokens
LARGEST = 169_000
STATE = ".service[data-service={}] .state"
# All that was ever said of outstanding purchases
SAID = """
addEventListener("DOMContentLoaded", () => {
  window.said = ""; const all = document.getElementById("outstanding");
  new MutationObserver(() => (window.said += all.textContent)).observe(all, { subtree: true, childList: true, characterData: true });
});
"""


class Deaths(PageCase):
    expected = ["503", "eventos"]

    def test_a_service_that_dies_and_returns_under_the_open_page(self):
        market = self.services(tokens=2)
        browser = self.shop(market, path="#/sistema", n=0)
        for service in ("usuarios", "tokens", "transacciones"):
            browser.until_text(STATE.format(service), "responde")
        browser.until_text(".services", "Tres servicios")
        pods = "[...document.querySelectorAll('.service[data-service={}] tbody th')].map((e) => e.innerText).join()"
        browser.until(pods.format("tokens") + f" === '{','.join(sorted(p.name for p in market.pods('tokens')))}'")
        # each service has its own pods
        browser.until(pods.format("usuarios") + f" === '{market.pods('usuarios')[0].name}'")

        market.kill("transacciones")
        browser.until_text(STATE.format("transacciones"), "no responde desde hace")
        browser.until_text(".banner", "transacciones no responde desde hace")
        browser.until_text("#spoken", "transacciones no responde.")
        browser.until_text(".verdict", "No se sabe")
        browser.until("document.querySelector('.chart .mark.died') && document.querySelector('.lane.down')")
        state = f"document.querySelector('{STATE}').innerText"
        browser.until(f"/^no responde/.test({state.format('transacciones')}) && /^(responde|volvió)/.test({state.format('usuarios')})")
        # the audit's figures are not known: the last ones are not shown as if they were
        self.assertEqual(browser.text("[data-figure=transacciones]"), "–")
        market.start("transacciones")
        browser.until_text(STATE.format("transacciones"), "volvió hace")
        browser.until("document.querySelector('.banner').hidden")
        browser.until("document.querySelector('.chart .mark.returned')")
        browser.until_text(".verdict", "El dinero cuadra")

        # one pod of two: the others answer for it, and the page says which one is gone
        gone = market.pods("tokens")[1]
        gone.kill()
        browser.until(
            "[...document.querySelectorAll('.service[data-service=tokens] .gone')].map((e) => e.innerText)"
            f".some((text) => text.includes('{gone.name}') && text.includes('calla desde hace'))"
        )
        browser.until(f"/^(responde|volvió)/.test({state.format('tokens')})")
        browser.until(
            f"[...document.querySelectorAll('.pod-mark.went title')].some((e) => e.textContent.includes('{gone.name}'))"
        )
        market.start("tokens", 1)
        self.clean(browser)

    def test_loaded_while_usuarios_is_dead_it_knows_what_it_does_not_know(self):
        """It showed an empty buyer with balance 0, also 12 s after the return, and Buy said "usuarioId: debe ser un entero"."""
        market = self.services()
        market.kill("usuarios")
        browser = self.shop(market, buyer=(2, "Luis"))
        browser.until_text("#buyer", "no se sabe")
        browser.until_text(".banner", "usuarios no responde")
        self.assertIn("Luis", browser.text("#buyer"))
        self.buy(browser, 101)
        browser.until_text("#outstanding", "Luis compra Gato Cósmico por 50 créditos")
        market.start("usuarios")
        browser.until_text(".receipt.good", "Luis compró Gato Cósmico por 50 créditos.")
        browser.until_text("#buyer", "100")
        self.assertEqual(len(market.get("/transacciones")), 1)
        self.clean(browser)

    def test_a_purchase_outlives_its_service_and_a_reload(self):
        """It was given up after 8 s, and nothing of it was to be seen after a reload."""
        market = self.services()
        browser = self.shop(market, buyer=(1, "Ana"))
        market.kill("transacciones")
        self.buy(browser, 101)
        browser.until_text("#outstanding", "con la misma clave")
        key = browser.value("localStorage.getItem('mercado.compras')")
        browser.open(market.url + "?otra#/sistema")
        browser.until_text("#outstanding", "Ana compra Gato Cósmico por 50 créditos")
        browser.until_text("#outstanding", "con la misma clave")
        self.assertEqual(browser.value("localStorage.getItem('mercado.compras')"), key)
        self.assertEqual(
            browser.value("document.querySelectorAll('#outstanding button').length"),
            0,
            "it cannot be given up while it may have happened",
        )
        market.start("transacciones")
        browser.until_text(".receipt.good", "Ana compró Gato Cósmico")
        pod = market.pods("transacciones")[0].name
        self.assertRegex(browser.text(".receipt.good"), rf"Respondió {pod} .*envío número \d+")
        browser.until("document.querySelector('#outstanding').hidden")
        self.assertEqual(len(market.get("/transacciones")), 1)
        self.assertEqual(market.get("/usuarios/1")["saldo"], 50)
        self.clean(browser)

    def test_with_many_cards_what_happens_is_on_the_screen(self):
        """What happened was 3,500 px below."""
        market = self.services()
        for i in range(40):
            market.post("/tokens", nombre=f"Más {i}", precio=1)
        browser = self.shop(market, n=24)
        browser.value("scrollTo(0, 2000)")
        browser.until("document.querySelectorAll('.card').length >= 48")
        market.kill("tokens")
        browser.until_text(".banner", "tokens no responde")
        box = browser.value("(({top, bottom}) => [top, bottom])(document.querySelector('.banner').getBoundingClientRect())")
        self.assertTrue(0 <= box[0] and box[1] <= 900, box)
        self.assertGreaterEqual(browser.value("document.querySelectorAll('.card').length"), 48, "what is known stays")
        self.clean(browser)


class Gateway(PageCase):
    # a purchase on a machine that stands still is sent once more
    expected = ["429", "503"]

    def test_too_many_requests_are_waited_for_and_are_no_death(self):
        market = self.services(gateway={"GATEWAY_CLIENT_WRITES": "1", "GATEWAY_CLIENT_BURST": "1"})
        browser = self.shop(market, path="#/sistema", n=0, buyer=(3, "Sofía"), script=CALM + SAID)
        browser.until_text(STATE.format("transacciones"), "responde")
        self.calm(browser)
        browser.value("""(window.deaths = 0, new MutationObserver(([{ target }]) => (window.deaths += !target.hidden))
            .observe(document.querySelector('.banner'), { attributes: true, attributeFilter: ['hidden'] }))""")
        browser.value("location.hash = '#/tienda'")
        browser.until("document.querySelectorAll('.card:not(.skeleton)').length === 16")
        browser.value("[101, 103, 105, 106].forEach((id) => document.querySelector(`.card[data-key='${id}'] .buy`).click())")
        browser.until("window.said.includes('El mercado pide esperar')")
        browser.until("document.querySelector('#outstanding').hidden")
        self.assertEqual(sorted(t["tokenId"] for t in market.get("/transacciones")), [101, 103, 105, 106])
        self.assertEqual(browser.value("window.deaths"), 0, "nobody was called dead")
        browser.value("location.hash = '#/sistema'")
        names = "[...document.querySelectorAll('.service[data-service=transacciones] tbody th')].map((e) => e.innerText)"
        browser.until(f"{names}.length > 0")
        self.assertEqual(browser.value(names), [market.pods("transacciones")[0].name], "the gateway is no pod")
        self.clean(browser)

    def test_purchases_of_others_say_which_pod_made_them(self):
        market = self.services(transacciones=2)
        browser = self.shop(market, path="#/sistema", n=0)
        browser.until_text(".system .feed ~ *, .recent", "Nadie ha comprado todavía.")
        made = {}
        for token in (101, 103, 105, 106, 108, 109):
            answer = market.client.post("/transacciones", {"usuarioId": 3, "tokenId": token})
            if answer.status == 201:
                made[answer.json()["id"]] = answer.pod
        self.assertEqual(len(set(made.values())), 2, "both pods bought")
        for id, pod in made.items():
            browser.until_text(f".system .feed li[data-key='{id}']", pod)
        self.clean(browser)


class Audit(PageCase):
    def test_what_is_wrong_is_said_with_names_and_the_token(self):
        market = self.market()
        market.buy(4, 105)
        market.stop()
        # somebody restores an old usuarios.json: Mateo's charge is gone
        for file in (market.dir / "datos").glob("usuarios*"):
            file.unlink()
        for file in (market.dir / "datos").glob("movimientos*"):
            file.unlink()
        shutil.copy(ROOT / "usuarios/usuarios.json", market.dir / "datos/usuarios.json")
        market.start()
        browser = self.shop(market, path="#/sistema", n=0)
        browser.until_text(".verdict", "El dinero no cuadra")
        browser.until_text(
            ".differences", "La compra #1 de Ajolote Rosa está anotada, pero a Mateo no se le cobraron los 25 créditos."
        )
        browser.until_text("#pill", "No cuadra")
        browser.click("#language")
        browser.until_text(".differences", "Purchase #1 of Ajolote Rosa is recorded, but Mateo was not charged the 25 credits.")
        self.clean(browser)


class Bursts(PageCase):
    expected = ["503"]

    def test_reads_spread_over_the_pods_and_purchases_touch_nobody_s_balance(self):
        market = self.services(tokens=2)
        people = market.get("/usuarios")
        browser = self.shop(market, path="#/sistema", n=0, script=HELD)
        browser.until("document.querySelector('.burst form')?.elements.n.value === '200'")
        browser.write(".burst [name=rate]", "200")
        browser.click(".burst .primary")
        browser.until_text(".burst .said", "Terminó. 200 de 200")
        for pod in market.pods("tokens"):
            self.assertIn(pod.name, browser.text(".burst tbody"))
        self.assertIn("200 bien, 0 rechazadas", browser.text(".burst .said"))

        browser.click(".burst [value=purchases]")
        self.assertEqual(browser.value("document.querySelector('.burst form').elements.n.value"), "50")
        browser.write(".burst [name=n]", "20")
        browser.click(".burst .primary")
        browser.until_text(".burst .said", "Terminó. 20 de 20")
        self.assertIn("20 bien", browser.text(".burst .said"))
        browser.until_text("[data-figure=transacciones]", "20")
        browser.until_text(".verdict", "El dinero cuadra")
        browser.until_text(".system .feed", "Ensayo de carga → Ensayo 0")
        browser.until_text(".system .feed", market.pods("transacciones")[0].name)
        self.assertEqual(market.get("/usuarios")[: len(people)], people)
        # never above the bound, whatever is typed
        browser.value("document.querySelector('.burst form').elements.n.removeAttribute('max')")
        self.assertEqual(browser.value("document.querySelector('.burst form').elements.rate.max"), "200")
        self.clean(browser)


class Cost(PageCase):
    def test_one_process_is_said_to_be_one_and_visits_are_counted(self):
        market = self.market()
        browser = self.shop(market, path="#/sistema", n=0)
        browser.until_text(".services", "Un solo proceso")
        browser.until_text(".visits", "Cada pod cuenta por su lado. Contó solo.")
        self.assertEqual(browser.text(".visits strong"), "1")
        browser.click(".visits button")
        browser.until("document.querySelector('.visits strong').innerText === '2'")
        self.clean(browser)

    def test_probes_are_few_and_end_while_the_page_is_hidden(self):
        market = self.market()
        browser = self.shop(market, path="#/sistema", n=0, script=CALM + HELD)
        browser.until("document.querySelector('.service[data-state=up]')")
        self.calm(browser)
        browser.value("window.counted.length = 0")
        # what a view asks for once, at its start, is no probe
        browser.until("window.counted.length >= 45")
        asked = browser.value("window.counted.slice(15, 45)")
        self.assertLessEqual(29 / ((asked[-1]["at"] - asked[0]["at"]) / 1000), 5, [(c["path"], c["at"]) for c in asked])
        hide = (
            "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }}),"
            " document.dispatchEvent(new Event('visibilitychange'))"
        )
        browser.value(hide.format("true"))
        # another page's look goes on: by then this one would have asked many times
        other = self.shop(market, path="#/sistema", n=0, script=HELD)
        browser.value("window.counted.length = 0")
        other.until("window.counted.filter((c) => c.path.includes('limite=1')).length > 12")
        self.assertEqual(browser.value("window.counted"), [])
        # nor does it ask for an audit when a probe that was under way tells of a death
        browser.run("import('/web/monitor.js').then((m) => { m.onHealth.call({ name: 'tokens', down: 1 }); done(1); })")
        self.assertEqual(browser.value("window.counted"), [])
        browser.value(hide.format("false"))
        browser.until("window.counted.length > 3")
        browser.until("document.querySelector('.chart rect.blind')")
        self.clean(browser)

    def test_the_page_is_small_and_has_nothing_inline(self):
        files = [f for f in (ROOT / "web").iterdir() if f.is_file() and f.name != "kustomization.yaml"]
        self.assertLess(sum(f.stat().st_size for f in files), LARGEST, "docs/adr/0012-page.md says what it is made of")
        market = self.market()
        for file in files:
            self.assertEqual(market.client.get(f"/web/{file.name}").body, file.read_bytes(), "mercado/src/web.rs has it")
        self.assertLess(
            sum(len(market.client.get(f"/web/{f.name}", Accept_Encoding="gzip").body) for f in files), 120_000, "on the wire"
        )
        html = (ROOT / "web/index.html").read_text()
        self.assertIsNone(re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)|https?://", html))
        for file in files:
            if file.suffix == ".js":
                text = file.read_text()
                self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|style=", file.name)
                self.assertLess(len(text.splitlines()), 300, file.name)


if __name__ == "__main__":
    unittest.main()
