"""People who log in through the gateway."""

import unittest

from .client import Answer
from .test_limits import addresses
from .world import World, eventually

PROXY = addresses(GATEWAY_LISTEN="8080", GATEWAY_PROXIES="127.0.0.1")["GATEWAY_REAL_IP"]


class Accounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(accounts=True)
        cls.addClassCleanup(cls.world.close)
        cls.world.market().open(GATEWAY_REAL_IP=PROXY)
        cls.client = cls.world.client

    def log_in(self, password: str = "gato-cosmico-7", **headers: str) -> Answer:
        body = {"nombre": "tere", "contrasena": password}
        return self.client.post("/sesiones", {**body, "cookie": True} if "Origin" in headers else body, **headers)

    def test_a_session_counts_in_every_service(self):
        session = self.log_in()
        self.assertEqual((session.status, session.pod), (201, self.world.pods["usuarios"][0].name), session.body)
        bearer = {"Authorization": f"Bearer {session.json()['token']}"}
        self.assertEqual(self.client.get("/.well-known/jwks.json").status, 200)
        self.assertEqual(self.client.get("/cuentas", **bearer).json()[0]["nombre"], "tere")
        self.assertEqual(self.client.get("/tokens").status, 200)
        # a tesorero publishes nothing: tokens knows the key that signed by now, and says so
        token = {"nombre": "Roca", "precio": 1}
        eventually(lambda: self.client.post("/tokens", token, **bearer).json()["codigo"] == "prohibido")
        self.assertEqual(self.client.post("/tokens", token).status, 401)
        eventually(lambda: self.client.get("/transacciones", **bearer).status == 403)
        self.assertEqual(self.client.post("/sesiones/renovacion", **bearer).status, 201)

    def test_a_cookie_is_secure_where_a_proxy_of_ours_says_tls(self):
        origin = f"http://{self.client.host}"
        self.assertNotIn("Secure", self.log_in(Origin=origin).headers["Set-Cookie"])
        # without an address of the client that it puts before its own, nobody knows it for a proxy
        liar = self.log_in(Origin=origin, X_Forwarded_Proto="https")
        self.assertNotIn("Secure", liar.headers["Set-Cookie"])
        proxied = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}
        cookie = self.log_in(Origin=origin, **proxied).headers["Set-Cookie"]
        self.assertTrue(cookie.startswith("__Host-sesion=") and "; Secure" in cookie, cookie)

    def test_who_guesses_is_stopped_and_others_are_not(self):
        guesses = []

        def stopped() -> bool:
            guesses.append(self.log_in("guess", X_Forwarded_For="192.0.2.7"))
            return guesses[-1].json()["codigo"] == "demasiadas-peticiones"

        # sixty at once, and one a second more
        eventually(stopped, every=0)
        self.assertGreater(len(guesses), 60)
        codes = {answer.json()["codigo"] for answer in guesses}
        self.assertLessEqual(codes, {"no-autenticado", "demasiados-intentos", "demasiadas-peticiones"})
        self.assertIn("demasiadas-peticiones", codes, "the gateway's own limit")
        self.assertTrue(all(int(a.headers["Retry-After"]) > 0 for a in guesses if a.status == 429))
        self.assertEqual(self.client.get("/tokens", X_Forwarded_For="192.0.2.7").status, 200)


if __name__ == "__main__":
    unittest.main()
