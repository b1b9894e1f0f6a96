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

        # frozen, and resumed
        browser.click("[data-order='congelar transacciones-1']")
        browser.until_text(PROCESS.format("transacciones-1"), "congelado")
        browser.click("[data-order='reanudar transacciones-1']")
        browser.until_text(PROCESS.format("transacciones-1"), "corre")

        # all of a service, one by one
        browser.click("[aria-label='Reemplazar todo: usuarios']")
        browser.until_text(".lab-log", "todo usuarios reemplazado", 30)
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
        browser.click("[aria-label='Uno menos: tokens']")
        browser.until("document.querySelectorAll('[data-process^=tokens]').length === 3", 20)
        browser.click(".lab-row:has(input[type=number]) button")
        browser.until_text(".lab-log", "carga: 20 lecturas y 5 compras por segundo", 30)

        browser.click(".lab-row:has(+ .lab-reports) button")
        browser.until_text(".lab-reports", "bien: El dinero cuadra", 60)
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
            browser.click(f"[data-order='{order} tokens-3']")
            browser.until_text(PROCESS.format("tokens-3"), word)
            browser.click("[data-order='sanar tokens-3']")
            browser.until("document.querySelector(\"[data-process='tokens-3']\").dataset.ready === 'true'")
            browser.until_text(PROCESS.format("tokens-3"), "corre")

        def status_of_a_write():
            return aula.client.post("/usuarios", {"nombre": "Zoe", "saldo": 0}).status

        # whatever is seen in between, the other tests have room
        self.addCleanup(aula.control, "orden", {"orden": "disco", "lleno": False}, x_laboratorio=aula.token)
        browser.click("[data-order='disco lleno']")
        browser.until_text(".lab-log", "disco lleno")
        eventually(lambda: status_of_a_write() == 503, what="no write is refused for want of room")
        browser.click("[data-order='disco vacío']")
        browser.until_text(".lab-log", "disco con espacio")
        eventually(lambda: status_of_a_write() == 201, what="no write is taken again")
        browser.until("document.querySelectorAll('.lab-processes [data-ready=true]').length >= 7")

        def hours_ahead(token):
            made = datetime.fromisoformat(aula.buy(1, token)["fecha"])
            return round((made - datetime.now(timezone.utc)).total_seconds() / 3600, 1)

        browser.click("[data-order='reloj transacciones 3600']")
        browser.until_text(".lab-log", "reloj de transacciones a +3600 s")
        self.assertEqual(hours_ahead(101), 1.0)
        browser.click("[data-order='reloj transacciones 0']")
        browser.until_text(".lab-log", "reloj de transacciones a +0 s")
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
        self.assertEqual(aula.control("informes/..%2Fhistoria.jsonl?clave=" + right), 403)
        # an address of the machine that others could reach has no listener
        other = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
        for address in other[:1]:
            with socket.socket() as probe:
                probe.settimeout(1)
                self.assertNotEqual(probe.connect_ex((address, aula.port)), 0)


if __name__ == "__main__":
    unittest.main()
