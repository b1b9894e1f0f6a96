"""Pods that come, leave and die under load, behind the gateway."""

import http.client
import select
import signal
import socket
import threading
import time
import unittest

from .client import Answer, Client, Load
from .world import ASKS_DNS, DOMAIN, World, eventually, promised


class Deaf(threading.Thread):
    """A pod that reads a request and dies before it answers, every time."""

    def __init__(self, world: World):
        super().__init__(daemon=True)
        self.address = world.address()
        self.heard: list[bytes] = []
        self.socket = socket.create_server((self.address, 8000))
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                self.heard.append(head.split(b"\r\n")[0])

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Pods(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def open(self, **replicas: int) -> Client:
        return self.world.market(**replicas).open().client

    def add(self, client: Client, path: str, body: dict) -> int:
        made = client.post(path, body)
        self.assertEqual(made.status, 201, made.body)
        return made.json()["id"]

    def test_a_killed_pod_fails_no_read(self):
        client = self.open(tokens=2)
        one, two = self.world.pods["tokens"]
        with Load(client) as load:
            eventually(lambda: {one.name, two.name} <= set(load.share(1)))
            one.kill()
            at = time.monotonic()
            eventually(lambda: time.monotonic() - at > 1 and set(load.share(0.5)) == {two.name})
        self.assertEqual(load.failed, [])

    def test_a_pod_that_leaves_fails_no_read(self):
        client = self.open(tokens=2)
        one, two = self.world.pods["tokens"]
        with Load(client) as load:
            eventually(lambda: {one.name, two.name} <= set(load.share(1)))
            one.terminate()
            if ASKS_DNS:
                self.world.pods["tokens"].remove(one)
                self.world.publish()
            eventually(lambda: one.process.poll() is not None)
            self.assertEqual(one.process.returncode, 0)
            eventually(lambda: set(load.share(0.5)) == {two.name})
        self.assertEqual(load.failed, [])

    def test_what_is_sent_again_and_what_is_not(self):
        world = self.world.market()
        client = Client(world.pods["tokens"][0].address, 8000)
        tokens = [self.add(client, "/tokens", {"nombre": f"T{n}", "precio": 1}) for n in range(40)]
        deaf = {s: Deaf(world) for s in world.pods}
        for service, pod in deaf.items():
            self.addCleanup(pod.close)
            world.pods[service].append(pod)
        client = world.open().client

        def until_deaf(service: str, send):
            """Sends until the deaf pod has heard one; what that one was answered. It is soon left out for 2 s."""
            before = len(deaf[service].heard)

            def once():
                answer = send()
                return len(deaf[service].heard) > before and answer

            return eventually(once)

        for service in deaf:
            self.assertEqual(until_deaf(service, lambda s=service: client.get(f"/{s}")).status, 200)

        def buy(**key):
            token = tokens.pop()
            answer = client.post("/transacciones", {"usuarioId": 1, "tokenId": token}, **key)
            if key:
                self.assertEqual(answer.status, 201, answer.body)
            return answer, token

        until_deaf("transacciones", lambda: buy(Idempotency_Key=f"clave-{len(tokens)}")[0])
        refused, token = until_deaf("transacciones", buy)
        self.assertEqual((refused.status, refused.json()["codigo"]), (503, "servicio-no-disponible"))
        self.assertEqual(refused.headers["Retry-After"], "1")
        self.assertEqual(client.get(f"/transacciones?tokenId={token}").json(), [])

        def abonar(**key):
            return client.post("/usuarios/2/abonos", {"monto": 1}, **key)

        key = iter(range(1000))
        self.assertEqual(until_deaf("usuarios", lambda: abonar(Idempotency_Key=f"abono-{next(key)}")).status, 201)
        self.assertEqual(until_deaf("usuarios", abonar).status, 503)
        # a key means nothing here: sent again, there would be two
        nuevo = {"nombre": "Eco", "precio": 1}
        self.assertEqual(until_deaf("tokens", lambda: client.post("/tokens", nuevo, Idempotency_Key="k")).status, 503)
        self.assertIs(client.get("/transacciones/auditoria").json()["correcto"], True)

    def test_a_body_that_comes_in_pieces_is_sent_once(self):
        deaf = Deaf(self.world)
        self.addCleanup(deaf.close)
        for pods in self.world.pods.values():
            pods.append(deaf)
        self.world.open(ready=False)
        client = self.world.client
        head = b"POST /transacciones HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 9\r\n\r\n"

        def once():
            """The answer, if the pod has heard of the request: as long as nginx knows no pod, it says so at once."""
            with socket.create_connection((client.host, client.port), 30) as s:
                s.sendall(head + b"{half")
                eventually(lambda: deaf.heard or select.select([s], [], [], 0)[0])
                if deaf.heard:
                    s.sendall(b" it}")
                    answer = http.client.HTTPResponse(s)
                    answer.begin()
                    return Answer(answer)

        answer = eventually(once)
        problem = answer.json()
        self.assertEqual((problem["status"], problem["codigo"]), (503, "servicio-no-disponible"))
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertEqual(deaf.heard, [b"POST /transacciones HTTP/1.1"])

    def test_without_pods_it_says_so_and_comes_back(self):
        client = self.open()
        pod = self.world.pods["tokens"][0]
        pod.kill()
        gone = client.get("/tokens", Accept_Language="en")
        self.assertEqual((gone.status, gone.headers["Retry-After"]), (503, "1"))
        self.assertEqual(gone.headers["Content-Type"], "application/problem+json")
        self.assertEqual(gone.json()["codigo"], "servicio-no-disponible")
        self.assertEqual(gone.json()["status"], 503)
        bought = client.post("/transacciones", {"usuarioId": 1, "tokenId": 101}, Idempotency_Key="k")
        self.assertEqual((bought.status, bought.json()["codigo"]), (503, "servicio-no-disponible"))
        self.assertEqual(bought.headers["Retry-After"], "1")
        # what does not need tokens goes on
        self.assertEqual(client.get("/usuarios").status, 200)
        self.assertEqual(client.get("/livez").status, 200)
        # on the address that it had, as a container that kubelet starts again; nginx tries it after 2 s
        again = self.world.start("tokens", address=pod.address)
        again.ready()
        eventually(lambda: client.get("/tokens").status == 200)
        bought = client.post("/transacciones", {"usuarioId": 1, "tokenId": 101}, Idempotency_Key="k")
        self.assertEqual(bought.status, 201, bought.body)


@unittest.skipUnless(ASKS_DNS, "this nginx cannot ask DNS by itself: needs 1.27.4")
class Discovery(unittest.TestCase):
    """What the headless Services and `resolve` are for. In seconds: 5 is the promise, the rest is patience."""

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.client = self.world.market().open().client

    def grow(self, by: int) -> list:
        pods = [self.world.start("tokens") for _ in range(by)]
        for pod in pods:
            pod.ready()
        self.world.pods["tokens"] += pods
        return pods

    def fair(self, load: Load, pods: list, seconds: float) -> bool:
        """Whether each had at least half of its part of the last answers, and nobody else had any."""
        share = load.share(seconds)
        least = share.total() / len(pods) / 2
        return set(share) == {p.name for p in pods} and min(share.values()) >= least

    def test_new_pods_take_their_share_within_five_seconds(self):
        with Load(self.client) as load:
            eventually(lambda: load.share(1))
            self.grow(3)
            self.world.publish()
            promised(lambda: self.fair(load, self.world.pods["tokens"], 0.5), 5)
        self.assertEqual(load.failed, [])

    def test_a_rolling_update_fails_no_read(self):
        self.grow(2)
        self.world.publish()
        first = list(self.world.pods["tokens"])
        with Load(self.client) as load:
            for old in first:
                (new,) = self.grow(1)
                self.world.pods["tokens"].remove(old)
                self.world.publish()
                old.terminate()
                eventually(lambda: load.share(0.5)[new.name])
            eventually(lambda: all(old.process.poll() is not None for old in first))
            eventually(lambda: self.fair(load, self.world.pods["tokens"], 0.5))
        self.assertEqual(load.failed, [])

    def test_a_gateway_that_leaves_fails_no_read(self):
        with Load(self.client, stay=True) as load:
            eventually(lambda: load.all_begun)
            # as kubelet does after preStop, when load balancers send nothing new
            self.world.gateway.send_signal(signal.SIGQUIT)
            eventually(lambda: not load.reading)
        self.assertEqual(load.failed, [])
        eventually(lambda: self.world.gateway.poll() is not None)
        self.assertEqual(self.world.gateway.returncode, 0)

    def test_without_dns_it_goes_on_with_the_pods_that_it_knows(self):
        self.world.dns.silent = True
        eventually(lambda: self.world.dns.unanswered >= 12)
        self.assertEqual(self.client.get("/tokens").status, 200)

    def test_pods_that_dns_does_not_know_yet_are_found_by_the_services_own_address(self):
        old = self.world.pods["tokens"][0]
        with Load(self.client) as load:
            (new,) = self.grow(1)
            # the cluster routes the Service's address at once; its DNS goes on about the old pod
            self.world.dns.table[f"tokens{DOMAIN}"] = [new.address]
            promised(lambda: load.share(0.5)[new.name], 5)
            old.terminate()
            eventually(lambda: old.process.poll() is not None)
            eventually(lambda: set(load.share(0.5)) == {new.name})
        self.assertEqual(load.failed, [])
