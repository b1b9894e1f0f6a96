"""What the gateway routes, what it refuses, and in which words."""

import http.client
import json
import re
import socket
import threading
import unittest
from urllib.parse import unquote

from .client import Client
from .world import SERVICES, TOKEN, World, eventually

INTERNAL = [
    "/interno",
    "/interno/",
    "/interno/reservas",
    "//interno/reservas",
    "/./interno/reservas",
    "/%69nterno/reservas",
    "/%69%6e%74%65%72%6e%6f/reservas",
    "/tokens/../interno/reservas",
    "/tokens/..%2finterno/reservas",
    "/tokens/%2e%2e/interno/reservas",
    "/tokens/%2e%2e%2finterno%2freservas",
    "/tokens/101/../../interno/reservas",
    "/tokens//..//interno/reservas",
    "/web/../interno/reservas",
    "/docs/../interno/reservas",
    "/INTERNO/reservas",
    "/interno/reservas?x=/tokens/101",
    "/%2finterno/reservas",
    "http://tokens:9000/interno/reservas",
]
# these reach a service, on its public port, as the odd path that they are
ODD = ["/tokens/%252e%252e/interno/reservas", "/tokens/..;/interno/reservas", "/tokens/x/interno/reservas"]


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        cls.world.market().open()
        cls.client = cls.world.client

    def problem(self, answer, status: int, codigo: str) -> dict:
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = answer.json()
        self.assertEqual((problem["status"], problem["codigo"]), (status, codigo))
        self.assertEqual(problem["type"], f"urn:mercado:error:{codigo}")
        self.assertEqual(problem["solicitud"], answer.headers["X-Request-Id"])
        self.assertTrue(problem["title"] and problem["detail"])
        self.assertTrue(answer.pod)
        return problem

    def test_each_path_goes_to_its_service(self):
        for path in ("/usuarios", "/usuarios/1", "/usuarios/1/movimientos", "/tokens", "/tokens/101", "/tokens/101/imagen"):
            self.routed(path, path.split("/")[1])
        for path in ("/transacciones", "/transacciones?usuarioId=1", "/transacciones/auditoria"):
            self.routed(path, "transacciones")
        self.routed("/cuenta", "usuarios")
        self.routed("/hits", "tokens")
        self.routed("/docs/", "tokens")

    def routed(self, path: str, service: str):
        answer = self.client.get(path)
        self.assertEqual(answer.status, 200, path)
        self.assertRegex(answer.pod, rf"^{service}-\d+$", path)

    def test_a_name_that_only_begins_like_one_is_none(self):
        for path in ("/usuariosos", "/token", "/metrics", "/web", "/web/", "/web/none.js", "/openapi", "/favicon.ico"):
            self.problem(self.client.get(path), 404, "ruta-no-encontrada")

    def test_the_internal_api_is_refused_in_every_spelling(self):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for path in INTERNAL:
            for method in ("GET", "PUT", "DELETE", "POST"):
                with self.subTest(path=path, method=method):
                    self.problem(self.client.request(method, path, None, headers), 404, "ruta-no-encontrada")
        # above the root there is nothing
        self.assertEqual(self.client.get("/tokens//..//../interno/reservas", **headers).status, 400)
        for path in ODD:
            with self.subTest(path=path):
                answer = self.client.request("GET", path, None, headers)
                self.assertIn(answer.status, (404, 422))
        # and the right way shows that the credential would have opened it
        inside = Client(self.world.pods["tokens"][0].address, 9000)
        pending = inside.request("GET", "/interno/reservas?pendientes&antes=2100-01-01T00:00:00Z", None, headers)
        self.assertNotIn(pending.status, (401, 404), pending.body)

    def test_browsers_get_the_page_and_curl_gets_json(self):
        chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
        page = self.client.get("/", Accept=chrome)
        self.assertTrue(page.headers["Content-Type"].startswith("text/html"))
        self.assertIn(b"<html", page.body)
        self.assertIn("default-src 'self'", page.headers["Content-Security-Policy"])
        for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", ""):
            answer = self.client.get("/", Accept=accept)
            self.assertEqual(answer.json()["servicio"], "tokens", accept)
            self.assertEqual(answer.headers["Vary"].lower(), "accept")
        for asset in page.body.decode().split('"'):
            if asset.startswith("/web/"):
                self.assertEqual(self.client.get(asset).status, 200, asset)
        self.assertIn("javascript", self.client.get("/web/main.js").headers["Content-Type"])
        posted = self.client.post("/web/main.js", {})
        self.problem(posted, 405, "metodo-no-permitido")
        self.assertEqual(posted.headers["Allow"], "GET, HEAD")

    def test_the_description_leads_to_all_operations(self):
        paths = self.client.get("/openapi.json").json()["paths"]
        described = {s: self.client.get(f"/openapi/{s}.json").json() for s in SERVICES}
        for path, item in paths.items():
            file, _, pointer = item["$ref"].partition("#")
            found = self.client.get(file).json()
            for part in unquote(pointer).split("/")[1:]:
                found = found[part.replace("~1", "/").replace("~0", "~")]
            self.assertTrue(found, path)
        own = {p for d in described.values() for p in d["paths"] if p.split("/")[1] in SERVICES}
        self.assertEqual(own | {"/", "/hits"}, set(paths))
        self.assertEqual(self.client.get("/docs").headers["Location"], "/docs/")
        chooser = self.client.get("/docs/swagger-initializer.js").body.decode()
        offered = set(re.findall(r'url: "([^"]+)"', chooser))
        self.assertEqual(offered, {f"/openapi/{s}.json" for s in SERVICES})

    def protected(self, headers, what):
        self.assertEqual(headers.get_all("X-Content-Type-Options"), ["nosniff"], what)
        self.assertEqual(headers.get_all("Referrer-Policy"), ["same-origin"], what)
        (policy,) = headers.get_all("Content-Security-Policy")
        self.assertIn("frame-ancestors 'none'", policy, what)

    def test_every_answer_says_what_a_browser_may_do_with_it(self):
        own = ("/web/index.html", "/web/mercado.js", "/openapi.json", "/docs", "/docs/swagger-initializer.js")
        for path in (*own, "/livez", "/readyz", "/nada", "/web/nada"):
            self.protected(self.client.get(path).headers, path)
        # those of a service come through as they are
        for path in ("/tokens", "/docs/", "/tokens/none", "/tokens/101/imagen"):
            direct = Client(self.world.pods["tokens"][0].address, 8000).get(path).headers
            through = self.client.get(path).headers
            for name in ("X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"):
                self.assertEqual(through.get_all(name), direct.get_all(name), path)

    def test_it_lives_by_itself(self):
        for path in ("/livez", "/readyz"):
            self.assertEqual(self.client.get(path).json(), {"estado": "ok"})

    def test_bodies_end_at_8_kib(self):
        at_most = self.client.post("/tokens", b"x" * 8192, Content_Type="application/json")
        self.problem(at_most, 400, "json-invalido")
        over = self.client.post("/tokens", b"x" * 8193, Content_Type="application/json")
        self.problem(over, 413, "cuerpo-demasiado-grande")

    def test_errors_speak_the_readers_language(self):
        es = self.problem(self.client.get("/nada"), 404, "ruta-no-encontrada")
        answer = self.client.get("/nada", Accept_Language="en-GB,en;q=0.9,es;q=0.8")
        en = self.problem(answer, 404, "ruta-no-encontrada")
        self.assertEqual(answer.headers["Content-Language"], "en")
        self.assertNotEqual(es["title"], en["title"])

    def test_the_request_id_is_the_clients_where_it_is_sane(self):
        for path in ("/tokens", "/nada"):
            self.assertEqual(self.client.get(path, X_Request_Id="pedido-7").headers["X-Request-Id"], "pedido-7")
            other = self.client.get(path, X_Request_Id='"},{"').headers["X-Request-Id"]
            self.assertRegex(other, r"^[A-Za-z0-9-]{8,}$")

    def test_what_is_no_http_gets_no_body(self):
        answer = self.client.get("/" + "x" * 100_000)
        self.assertEqual((answer.status, answer.body), (400, b""))

    def test_what_nginx_does_not_do_is_no_page_of_its_own(self):
        for head in ("GET /web/style.css HTTP/3.0", "GET /web/style.css HTTP/1.1\r\nTransfer-Encoding: gzip"):
            with self.subTest(head=head), socket.create_connection((self.client.host, self.client.port)) as raw:
                raw.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = http.client.HTTPResponse(raw)
                answer.begin()
                self.assertIn(answer.status, (501, 505))
                self.assertEqual(answer.read(), b"")
                self.protected(answer.headers, head)
        whole = self.client.get("/web/style.css")
        for name, value in (("Range", "bytes=9999999-"), ("Range", "bytes=0-9"), ("If-Match", '"x"')):
            answer = self.client.request("GET", "/web/style.css", None, {name: value})
            self.protected(answer.headers, value)
            self.assertNotIn(b"<html", answer.body)
            if name == "Range":
                self.assertEqual((answer.status, answer.body), (200, whole.body))

    def test_a_purchase_and_its_event(self):
        events = Client(self.client.host, self.client.port)
        heard, line = [], threading.Event()

        def listen():
            connection = http.client.HTTPConnection(events.host, events.port, timeout=30)
            connection.request("GET", "/transacciones/eventos", headers={"Accept": "text/event-stream"})
            response = connection.getresponse()
            heard.append(response)
            while text := response.readline():
                if text.startswith(b"data:"):
                    heard.append(json.loads(text[5:]))
                    line.set()
                    return

        threading.Thread(target=listen, daemon=True).start()
        # the headers come before any event: nothing gathers them
        eventually(lambda: heard)
        self.assertEqual(heard[0].headers["Content-Type"], "text/event-stream")
        self.assertEqual(heard[0].headers["X-Accel-Buffering"], "no")
        body = {"usuarioId": 1, "tokenId": 101}
        bought = self.client.post("/transacciones", body, Idempotency_Key="compra-1")
        self.assertEqual(bought.status, 201, bought.body)
        self.assertTrue(line.wait(10), "the stream is still open, and its event did not come")
        self.assertEqual(heard[1]["tokenId"], 101)
        again = self.client.post("/transacciones", body, Idempotency_Key="compra-1")
        self.assertEqual((again.status, again.json()["id"]), (201, bought.json()["id"]))
        self.assertEqual(self.client.get(bought.headers["Location"]).json()["tokenId"], 101)
        self.assertTrue(self.client.get("/tokens/101").json()["vendido"])
        self.assertEqual(self.client.get("/usuarios/1").json()["saldo"], 50)
        self.assertIs(self.client.get("/transacciones/auditoria").json()["correcto"], True)
        self.problem(self.client.post("/transacciones", body), 409, "token-no-disponible")
