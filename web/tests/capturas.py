"""Pictures of every view for the READMEs, into docs/img/: `web/tests/capturas`. Look at each of them."""

import shutil
import subprocess
import sys

from .browser import Browser, Driver, eventually
from .case import CARDS
from .market import ROOT, Mercado, Services, seeds

OUT = ROOT / "docs/img"
PHONE, LAPTOP, PROJECTOR = (390, 844), (1280, 800), (1920, 1080)


class Studio:
    def __init__(self):
        self.driver = Driver()
        self.browser = None

    def at(self, market, path, size, dark=False, language="es", buyer=(3, "Sofía"), n=16):
        if self.browser:
            self.browser.close()
        self.browser = Browser(self.driver, language, size=size, dark=dark)
        browser = self.browser
        browser.media(dark)
        script = f"localStorage.setItem('mercado.comprador', JSON.stringify({{id: {buyer[0]}, nombre: '{buyer[1]}'}}));"
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
        browser.open(market.url + path)
        if n:
            browser.until(f"{CARDS} >= {n}")
        browser.until("document.querySelector('#pill').dataset.light !== 'unknown'")
        browser.until("[...document.images].filter((i) => i.getBoundingClientRect().top < innerHeight).every((i) => i.complete)")
        return browser

    def take(self, name):
        path = OUT / f"{name}.png"
        self.browser.picture(path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size >> 10} KB")

    def close(self):
        if self.browser:
            self.browser.close()
        self.driver.close()


def shop(studio, market):
    browser = studio.at(market, "", LAPTOP)
    for token in (103, 109):
        browser.click(f".card[data-key='{token}'] .buy")
        browser.until_text("#receipts", {103: "Colibrí de Jade", 109: "Zorro de Otoño"}[token])
    browser.value("scrollTo(0, 0)")
    browser.value("document.activeElement.blur()")
    browser.until("document.querySelector(\".card[data-key='109'].is-sold\")")
    studio.take("tienda")
    studio.at(market, "", PHONE)
    studio.take("tienda-telefono")
    studio.at(market, "", PROJECTOR, dark=True)
    studio.take("tienda-proyector-oscuro")
    studio.at(market, "#/tienda/101", LAPTOP, dark=True, n=0).until("document.querySelector('.token img')?.naturalWidth > 0")
    studio.take("token-oscuro")
    for name, size, dark in (("cuenta", LAPTOP, False), ("cuenta-telefono", PHONE, True)):
        studio.at(market, "#/cuenta", size, dark, n=0).until("document.querySelectorAll('.mine img').length >= 2")
        studio.browser.until("[...document.querySelectorAll('.mine img')].slice(0, 2).every((i) => i.naturalWidth > 0)")
        studio.take(name)


def burst(browser, kind, n, rate):
    browser.value(f"document.querySelector('.burst [value={kind}]').click()")
    browser.value(
        f"(({{ n, rate }}) => {{ [n.value, rate.value] = [{n}, {rate}]; }})(document.querySelector('.burst form').elements)"
    )
    browser.value("document.querySelector('.burst form').requestSubmit()")
    browser.until_text(".burst .said", f"Terminó. {n} de {n}", 120)


def system(studio, market):
    browser = studio.at(market, "#/sistema", PROJECTOR, n=0)
    browser.until_text(".services", "Tres servicios")
    burst(browser, "purchases", 40, 4)
    burst(browser, "reads", 300, 20)
    browser.value("scrollTo(0, 0)")
    studio.take("sistema-proyector")
    market.kill("transacciones")
    browser.until_text(".service[data-service=transacciones] .state", "desde hace 6 s")
    studio.take("sistema-pod-muerto")
    market.start("transacciones")
    browser.until_text(".service[data-service=transacciones] .state", "volvió hace 3 s")
    burst(browser, "reads", 100, 20)
    browser.value("scrollTo(0, 0)")
    browser.media(dark=True)
    studio.take("sistema-oscuro")
    browser.media()
    browser.size(*PHONE)
    browser.value("scrollTo(0, 0)")
    eventually(lambda: browser.value("innerWidth") == PHONE[0])
    studio.take("sistema-telefono")


def wrong(studio):
    market = Mercado()
    for usuario, token in ((4, 105), (2, 102)):
        market.buy(usuario, token)
    market.stop()
    # an old usuarios.json comes back: the charges are gone
    for file in [*(market.dir / "datos").glob("usuarios*"), *(market.dir / "datos").glob("movimientos*")]:
        file.unlink()
    shutil.copy(ROOT / "usuarios/usuarios.json", market.dir / "datos/usuarios.json")
    market.start()
    browser = studio.at(market, "#/sistema", LAPTOP, n=0)
    browser.until_text(".differences", "Mateo no se le cobraron")
    burst(browser, "reads", 100, 20)
    browser.value("scrollTo(0, 0)")
    studio.take("auditoria-roja")
    market.close()


def empty(studio):
    market = Mercado(seeds([], []))
    studio.at(market, "", LAPTOP, n=0, language="en-GB", buyer=(0.5, "")).until_text(".empty[data-what]", "nothing for sale")
    studio.take("vacio-ingles")
    market.close()


def main():
    OUT.mkdir(exist_ok=True)
    studio = Studio()
    try:
        market = Services(tokens=3)
        try:
            shop(studio, market)
            system(studio, market)
        finally:
            market.close()
        wrong(studio)
        empty(studio)
    finally:
        studio.close()
    # a palette of 256 colours: a third of the bytes
    if shutil.which("pngquant"):
        subprocess.run(
            ["pngquant", "--force", "--ext", ".png", "--skip-if-larger", "--quality", "60-95", *OUT.glob("*.png")], check=False
        )
    print(f"docs/img: {sum(f.stat().st_size for f in OUT.iterdir()) >> 10} KB")


if __name__ == "__main__":
    sys.exit(main())
