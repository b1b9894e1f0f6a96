"""`laboratorio aula`: the controls in Sistema, and who may use the control API."""

import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path

from .browser import PATIENCE, eventually
from .case import PageCase
from .market import BINARIES, Api, free_port

PROCESS = "[data-process='{}']"


class Classroom(Api):
    """The market in seven processes, with controls in its page."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="mercado-aula-"))
        port = free_port()
        command = [BINARIES / "laboratorio", "aula", "--sin-navegador", "--port", str(port), "--dir", self.dir / "run", "--idioma", "es"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        super().__init__("127.0.0.1", port)
        for line in self.process.stdout:
            if found := re.search(r"http://\S+laboratorio=(\w+)\S+", line):
                self.page, self.token = found[0], found[1]
                return
        raise AssertionError("the classroom did not start")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.process.stdout.close()
        assert str(self.dir) not in Path("/proc/mounts").read_text()
        shutil.rmtree(self.dir)
        return code

    def control(self, path, body=None, **headers):
        """The status of a request to the control API."""
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{self.url}laboratorio/{path}"]
        for name, value in headers.items():
            command += ["-H", f"{name.replace('_', '-')}: {value}"]
        if body is not None:
            command += ["-H", "content-type: application/json", "-d", json.dumps(body)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class Controls(PageCase):
    expected = ("503", "eventos", "409", "ERR_")

    @classmethod
    def setUpClass(cls):
        cls.aula = Classroom()

    @classmethod
    def tearDownClass(cls):
        assert cls.aula.close() == 0, "Ctrl-C ends it well"

    def test_a_process_is_killed_seen_started_and_scaled_and_a_report_is_taken(self):
        browser = self.browser(size=(1280, 1000))
        browser.open(self.aula.page)
        browser.until("document.querySelectorAll('.lab-processes [data-ready=true]').length === 7")

        # killed: the controls and the page's own view of the services say so, where it has seen the process at all
        browser.until_text(".service[data-service=tokens]", "tokens-2")
        browser.click("[data-order='matar tokens-2']")
        browser.until_text(PROCESS.format("tokens-2"), "muerto")
        seen = time.monotonic()
        browser.until(
            "[...document.querySelectorAll('.service[data-service=tokens] .gone')].some((e) => e.innerText.includes('tokens-2'))"
        )
        self.assertLess(time.monotonic() - seen, PATIENCE)
        browser.click("[data-order='iniciar tokens-2']")
        browser.until("document.querySelector(\"[data-process='tokens-2']\").dataset.ready === 'true'")
        browser.until_text(PROCESS.format("tokens-2"), "corre")

        # frozen by the keyboard, which stays at the process, and resumed
        browser.value("document.querySelector(\"[data-order='congelar transacciones-1']\").focus()")
        browser.press("enter")
        browser.until_text(PROCESS.format("transacciones-1"), "congelado")
        self.assertEqual(browser.value("document.activeElement.dataset.order"), "reanudar transacciones-1")
        browser.click("[data-order='reanudar transacciones-1']")
        browser.until_text(PROCESS.format("transacciones-1"), "corre")

        # all of a service, one by one
        browser.click("[aria-label='Reemplazar todo: usuarios']")
        browser.until_text(".lab-log", "todos los procesos de usuarios, reemplazados", 30)
        browser.until("document.querySelectorAll('[data-process^=usuarios][data-ready=true]').length === 2")

        # ended in order, and started again
        one = browser.value("document.querySelector('[data-process^=usuarios]').dataset.process")
        browser.click(f"[data-order='terminar {one}']")
        browser.until_text(PROCESS.format(one), "muerto")
        browser.click(f"[data-order='iniciar {one}']")
        browser.until(f"document.querySelector(\"[data-process='{one}']\").dataset.ready === 'true'")

        # one more, one less, and customers
        browser.click("[aria-label='Un proceso más: tokens']")
        browser.until("document.querySelectorAll('[data-process^=tokens]').length === 4", 20)
        browser.until_text(".service[data-service=tokens]", "tokens-4", 20)
        browser.click("[aria-label='Uno menos: tokens']")
        browser.until("document.querySelectorAll('[data-process^=tokens]').length === 3", 20)
        # the last one of a service stays
        browser.click("[aria-label='Uno menos: usuarios']")
        browser.until("document.querySelector(\"[aria-label='Uno menos: usuarios']\").ariaDisabled === 'true'", 20)
        browser.until_text(".lab-log", "1 proceso de usuarios")
        browser.click("[aria-label='Un proceso más: usuarios']")
        browser.until("document.querySelectorAll('[data-process^=usuarios][data-ready=true]').length === 2", 20)

        # who was taken away is quiet, who was killed is not
        colour = "getComputedStyle([...document.querySelectorAll('.gone')].find((e) => e.innerText.includes('tokens-4'))).color"
        browser.until("[...document.querySelectorAll('.gone')].some((e) => e.innerText.includes('tokens-4'))", 20)
        self.assertEqual(browser.value(colour), browser.value("getComputedStyle(document.querySelector('.lab > .quiet')).color"))
        browser.click(".lab-row:has(input[type=number]) button")
        browser.until_text(".lab-log", "carga: 20 lecturas y 5 compras por segundo", 30)
        browser.until_text(".lab", "Vienen 20 lecturas y 5 compras por segundo.")

        # a frozen process keeps customers, so that the report takes its time
        browser.click("[data-order='congelar transacciones-1']")
        # and without the other one it cannot end before it is looked at
        browser.click("[data-order='congelar transacciones-2']")
        browser.click("[data-order='informe']")
        browser.until("document.querySelector('[data-order=informe]').ariaDisabled === 'true'")
        browser.until_text(".lab", "Los clientes esperan mientras se saca el informe")
        self.assertEqual(browser.text("[data-order='informe']"), "Sacando un informe…")
        load = {"orden": "carga", "lecturas": 1, "compras": 1}
        self.assertEqual(self.aula.control("orden", load, x_laboratorio=self.aula.token), 409)
        browser.click("[data-order='reanudar transacciones-2']")
        browser.until_text(".lab-reports", "bien: El dinero cuadra", 60)
        browser.until_text("[data-order='informe']", "Sacar un informe")
        browser.click("[data-order='reanudar transacciones-1']")
        browser.until_text(".lab", "Vienen 20 lecturas y 5 compras por segundo.")
        link = browser.value("document.querySelector('.lab-reports a').href")
        browser.open(link)
        browser.until("document.querySelectorAll('svg').length === 5")
        browser.until_text("main", "kill -9 a tokens-2")
        self.clean(browser)

    def test_a_network_a_disk_and_a_clock_are_broken_and_mended(self):
        aula, browser = self.aula, self.browser(size=(1280, 1000))
        browser.open(aula.page)
        browser.until("document.querySelectorAll('.lab-processes [data-ready=true]').length >= 7")

        for order, word in (("demorar", "red lenta"), ("cortar", "sin red")):
            browser.value("window.freeze = document.querySelector(\"[data-order='congelar tokens-3']\")")
            browser.click(f"[data-order='{order} tokens-3']")
            browser.until_text(PROCESS.format("tokens-3"), word)
            # a button under a press is not made anew when its row says something else
            self.assertTrue(browser.value("window.freeze.isConnected"))
            browser.click("[data-order='sanar tokens-3']")
            browser.until("document.querySelector(\"[data-process='tokens-3']\").dataset.ready === 'true'")
            browser.until_text(PROCESS.format("tokens-3"), "corre")

        # a network is not the process: it stays as it is whatever becomes of it, is shown, and can be repaired
        for order, word in (("cortar", "sin red"), ("demorar", "red lenta")):
            browser.click(f"[data-order='{order} tokens-3']")
            # over a slow network a probe of a busy machine may come too late: then it is said to be starting still
            for change, states in (("matar", "muerto"), ("iniciar", "corre|arrancando"), ("congelar", "congelado")):
                browser.click(f"[data-order='{change} tokens-3']")
                browser.until(f"/({states}), {word}/.test(document.querySelector(\"{PROCESS.format('tokens-3')}\").innerText)")
            browser.click("[data-order='sanar tokens-3']")
            browser.until(f"!document.querySelector(\"[data-process='tokens-3']\").innerText.includes('{word}')")
            self.assertIn("congelado", browser.text(PROCESS.format("tokens-3")), "repaired, and still frozen")
            browser.click("[data-order='reanudar tokens-3']")
            browser.until("document.querySelector(\"[data-process='tokens-3']\").dataset.ready === 'true'")

        def status_of_a_write():
            return aula.client.post("/usuarios", {"nombre": "Zoe", "saldo": 0}).status

        # whatever is seen in between, the other tests have room
        self.addCleanup(aula.control, "orden", {"orden": "disco", "lleno": False}, x_laboratorio=aula.token)
        browser.click("[data-order='disco lleno']")
        browser.until_text(".lab-log", "disco lleno")
        browser.until_text(".lab", "El disco está lleno.")
        eventually(lambda: status_of_a_write() == 503, what="no write is refused for want of room")
        browser.click("[data-order='disco vacío']")
        browser.until_text(".lab-log", "disco con espacio")
        eventually(lambda: status_of_a_write() == 201, what="no write is taken again")
        browser.until("document.querySelectorAll('.lab-processes [data-ready=true]').length >= 7")

        def hours_ahead(token):
            made = datetime.fromisoformat(aula.buy(1, token)["fecha"])
            return round((made - datetime.now(timezone.utc)).total_seconds() / 3600, 1)

        browser.click("[data-order='reloj transacciones 3600']")
        browser.until_text(".lab-log", "el reloj de transacciones, una hora adelantado")
        browser.open(aula.page.replace("#", "&otra#"))
        browser.until_text(".lab", "El reloj de transacciones va 1 h 0 min adelantado.")
        self.assertEqual(hours_ahead(101), 1.0)
        browser.click("[data-order='reloj transacciones 0']")
        browser.until_text(".lab-log", "el reloj de transacciones, de nuevo en hora")
        self.assertEqual(hours_ahead(103), 0.0)
        self.clean(browser)

    def test_an_experiment_runs_on_a_market_of_its_own_and_leaves_its_report(self):
        browser = self.browser(size=(1280, 1000))
        browser.open(self.aula.page)
        browser.until("document.querySelectorAll('.lab-processes [data-ready=true]').length >= 7")
        browser.click("[data-order='despliegue']")
        browser.until_text(".lab", "Corre: despliegue")
        browser.until_text(".lab-reports", "despliegue-", 90)
        link = browser.value("[...document.querySelectorAll('.lab-reports a')].find((a) => a.innerText.includes('despliegue')).href")
        self.assertIn("bien", browser.text(".lab-reports"))
        browser.open(link)
        browser.until("document.querySelectorAll('svg').length === 5")
        self.clean(browser)

    def test_only_this_page_gives_orders(self):
        aula, right = self.aula, self.aula.token
        kill = {"orden": "matar", "proceso": "usuarios-1"}
        here = aula.url.rstrip("/")
        for headers in (
            {},
            {"x_laboratorio": right[:-1] + ("0" if right[-1] != "0" else "1")},
            {"x_laboratorio": right, "Host": f"evil.example:{aula.port}"},
            {"x_laboratorio": right, "Origin": "http://evil.example"},
            {"x_laboratorio": right, "Origin": here.replace("http:", "https:")},
        ):
            self.assertEqual(aula.control("orden", kill, **headers), 403, headers)
        self.assertEqual(aula.control("estado"), 403)
        self.assertEqual(aula.control("estado", x_laboratorio=right, Origin=here), 200)
        self.assertEqual(aula.control("orden", {"orden": "matar", "proceso": "nadie"}, x_laboratorio=right), 409)
        self.assertEqual(aula.control("orden", {"orden": "formatear"}, x_laboratorio=right), 400)
        for order in (
            {"orden": "carga", "lecturas": 99999, "compras": 5},
            {"orden": "replicas", "servicio": "usuarios", "n": 0},
            {"orden": "replicas", "servicio": "usuarios", "n": 9},
            {"orden": "reloj", "servicio": "tokens", "segundos": 90000},
            # what would change nothing
            {"orden": "iniciar", "proceso": "tokens-1"},
            {"orden": "reanudar", "proceso": "tokens-1"},
            {"orden": "sanar", "proceso": "tokens-1"},
            {"orden": "disco", "lleno": False},
            {"orden": "reloj", "servicio": "tokens", "segundos": 0},
        ):
            self.assertEqual(aula.control("orden", order, x_laboratorio=right), 409, order)
        self.assertEqual(aula.control("informes/..%2Fhistoria.jsonl?clave=" + right), 403)
        # an address of the machine that others could reach has no listener
        other = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
        for address in other[:1]:
            with socket.socket() as probe:
                probe.settimeout(1)
                self.assertNotEqual(probe.connect_ex((address, aula.port)), 0)


if __name__ == "__main__":
    unittest.main()
