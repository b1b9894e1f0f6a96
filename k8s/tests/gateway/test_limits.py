"""What a client costs the gateway, whatever it does: the limits of k8s/base/gateway/limits.conf.template."""

import itertools
import resource
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

from .client import Answer, Client
from .world import TEMPLATES, World, eventually

# of the pod (k8s/base/gateway-deployment.yaml), less what the kernel keeps for its sockets
MEMORY = 112 << 20
MANY = 1900


def setUpModule():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


class SlowPod(threading.Thread):
    """A pod that answers 408 once a body has taken its time, as the services do, but sooner."""

    DEADLINE = 1

    def __init__(self, world: World):
        super().__init__(daemon=True)
        self.address = world.address()
        # what has come of each body
        self.begun: list[bytes] = []
        self.socket = socket.create_server((self.address, 8000))
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket):
        head = b""
        with connection:
            while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                head += more
            head, _, body = head.partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
                return
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            end = time.monotonic() + self.DEADLINE
            self.begun.append(body)
            while len(body) < length and (left := end - time.monotonic()) > 0:
                connection.settimeout(left)
                try:
                    body += connection.recv(65536)
                except TimeoutError:
                    break
                self.begun[-1] = body
            status = b"408 Request Timeout" if len(body) < length else b"201 Created"
            connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Attack:
    """Connections that send what they are told and read nothing, until the block ends."""

    def __init__(self, world: World, hosts: int = 1):
        self.world, self.target = world, (world.client.host, world.client.port)
        self.sources = [world.host(200 + n) for n in range(hosts)]
        self.sockets: list[socket.socket] = []

    def open(self, sent: bytes, connections: int = MANY):
        for n in range(connections):
            s = socket.socket()
            # or the kernel would read what the client does not
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.bind((self.sources[n % len(self.sources)], 0))
            s.connect(self.target)
            s.setblocking(False)
            self.sockets.append(s)
            self.send(s, sent)

    @staticmethod
    def send(s: socket.socket, data: bytes):
        try:
            s.send(data)
        except OSError:
            # refused already, or the kernel's buffers are full: both are what the attack is about
            pass

    def drip(self):
        for s in self.sockets:
            self.send(s, b"x")

    def __enter__(self) -> "Attack":
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()


class Limits(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def open(self, **options: str) -> Client:
        return self.world.market().open(**options).client

    def workers(self) -> set[str]:
        pid = self.world.gateway.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def memory(self) -> int:
        """Bytes of nginx that no file stands behind."""
        pids = {str(self.world.gateway.pid), *self.workers()}
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in pids)
        kilobytes = [int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "RssShmem"))]
        return sum(kilobytes) << 10

    def stands(self, attack: Attack, workers: set[str]):
        """nginx is alive, small, and answers others, also on the address of the attack."""
        self.assertEqual(self.workers(), workers)
        self.assertLess(self.memory(), MEMORY)
        for source in ("", attack.sources[0]):
            client = Client(*attack.target, address=source)
            self.assertEqual(client.get("/livez").status, 200)
        other = Client(*attack.target)
        # requests that end take their turn first, where there are more of them than all may have at once
        eventually(lambda: other.get("/tokens").status == 200)
        made = other.post("/tokens", {"nombre": "T", "precio": 1})
        self.assertEqual(made.status, 201, made.body)

    def request(self, length: int) -> bytes:
        return f"POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8192, "needs 8192 open files")
    def test_bodies_that_do_not_end(self):
        client = self.open()
        workers = self.workers()
        for length, sent in ((60_100, 60_000), (8_100, 8_000)):
            with Attack(self.world) as attack:
                attack.open(self.request(length) + b"x" * sent)
                self.stands(attack, workers)
                attack.drip()
                self.stands(attack, workers)
                # reads have slots of their own
                self.assertEqual(Client(*attack.target, address=attack.sources[0]).get("/tokens").status, 200)
        eventually(lambda: client.get("/tokens").status == 200)

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8192, "needs 8192 open files")
    def test_heads_that_do_not_end(self):
        self.open()
        workers = self.workers()
        with Attack(self.world, hosts=8) as attack:
            lines = b"".join(b"X-%d: " % n + b"x" * 7_000 + b"\r\n" for n in range(2))
            attack.open(b"GET /tokens HTTP/1.1\r\nHost: localhost\r\n" + lines)
            self.stands(attack, workers)

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8192, "needs 8192 open files")
    def test_answers_that_nobody_reads(self):
        client = self.open()
        for n in range(1000):
            self.assertEqual(client.post("/tokens", {"nombre": f"Token {n}", "precio": 1}).status, 201)
        workers = self.workers()
        for path in ("/tokens?limite=1000", "/transacciones/eventos", "/web/mercado.js"):
            with Attack(self.world, hosts=8) as attack:
                attack.open(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode())
                self.stands(attack, workers)

    def refused(self, answer: Answer):
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (429, "application/problem+json"))
        self.assertEqual((answer.json()["codigo"], answer.json()["status"]), ("demasiadas-peticiones", 429))
        self.assertEqual(answer.headers["Retry-After"], "1")

    def test_writes_of_one_client(self):
        client = self.open(GATEWAY_CLIENT_WRITES="2", GATEWAY_CLIENT_BURST="3")

        def write(method="POST", path="/usuarios", who=client, **headers) -> Answer:
            return who.request(method, path, {"nombre": "Eva", "saldo": 1}, headers)

        begun, taken = time.monotonic(), []

        def one_too_many():
            answer = write()
            if answer.status == 201:
                return taken.append(answer)
            return answer

        self.refused(eventually(one_too_many, every=0))
        # four at once, and after that two a second at most, however long it took
        self.assertGreaterEqual(len(taken), 4)
        self.assertLessEqual(len(taken), 5 + 2 * (time.monotonic() - begun))
        # whatever writes counts, also where a key says that it may be sent again
        for method, path in (("PATCH", "/tokens/101"), ("DELETE", "/tokens/101"), ("POST", "/transacciones")):
            eventually(lambda m=method, p=path: write(m, p, Idempotency_Key="k").status == 429)
        for _ in range(20):
            self.assertEqual(client.get("/usuarios").status, 200)
        other = Client(client.host, client.port, address=self.world.host(200))
        self.assertEqual(write(who=other).status, 201)
        eventually(lambda: write().status == 201)

    def test_streams_of_one_client(self):
        client = self.open(GATEWAY_CLIENT_STREAMS="2", GATEWAY_CLIENT_REQUESTS="2")
        with Attack(self.world) as attack:
            heads = []
            for _ in range(3):
                attack.open(b"GET /transacciones/eventos HTTP/1.1\r\nHost: localhost\r\n\r\n", 1)
                attack.sockets[-1].settimeout(30)
                heads.append(attack.sockets[-1].recv(4096))
            here = Client(client.host, client.port, address=attack.sources[0])
            self.assertEqual([h.split()[1] for h in heads], [b"200", b"200", b"429"])
            self.assertIn(b"Retry-After: 1\r\n", heads[2])
            # they are no requests that end
            self.assertEqual(here.get("/tokens").status, 200)

    def test_a_client_behind_a_proxy_counts_by_itself(self):
        proxies = addresses(GATEWAY_LISTEN="8080", GATEWAY_PROXIES="10.0.0.0/8 127.0.0.1")["GATEWAY_REAL_IP"]
        client = self.open(GATEWAY_CLIENT_WRITES="1", GATEWAY_CLIENT_BURST="1", GATEWAY_REAL_IP=proxies)

        def write(origin: str, who=client) -> int:
            return who.post("/usuarios", {"nombre": "Eva", "saldo": 1}, X_Forwarded_For=origin).status

        def is_one_client(origins, who=client):
            """Two at once, and soon no more, though each writes itself in another way: if each counted by itself, none would be refused."""
            self.assertEqual([write(next(origins), who), write(next(origins), who)], [201, 201])
            eventually(lambda: write(next(origins), who) == 429, every=0)

        # the others come by proxies that are believed themselves
        hops = (f"192.0.2.1, 10.1.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1))
        is_one_client(itertools.chain(["192.0.2.1"], hops))
        self.assertEqual(write("192.0.2.2"), 201)
        # all of a network of 64 bits is one client, however it is written
        is_one_client(f"2001:db8:0:7:{n:x}::1" for n in itertools.count(1))
        self.assertEqual(write("2001:db8:0:8::1"), 201)
        # what somebody says who is no proxy is nothing
        liar = Client(client.host, client.port, address=self.world.host(200))
        is_one_client((f"172.16.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1)), liar)

    def test_a_body_that_comes_byte_by_byte_ends_when_the_pod_says_so(self):
        pod = SlowPod(self.world)
        self.addCleanup(pod.close)
        for pods in self.world.pods.values():
            pods.append(pod)
        client = self.world.open().client
        with socket.create_connection((client.host, client.port)) as s:
            s.sendall(self.request(8_000))
            s.settimeout(0.1)
            answer = b""

            def answered() -> bytes:
                nonlocal answer
                s.sendall(b"x")
                try:
                    answer += s.recv(4096)
                except TimeoutError:
                    pass
                return answer

            self.assertIn(b" 408 ", eventually(answered).split(b"\r\n")[0])
        # one whose second piece is in time
        pod.DEADLINE = 30
        with socket.create_connection((client.host, client.port)) as s:
            s.sendall(self.request(6) + b"abc")
            eventually(lambda: b"abc" in pod.begun)
            s.sendall(b"def")
            self.assertIn(b" 201 ", s.recv(4096).split(b"\r\n")[0])


def addresses(**environment: str) -> dict:
    """What addresses.envsh exports."""
    script = '. "$0" && printf "%s\\n" "$GATEWAY_LISTEN_IPV6" "$GATEWAY_REAL_IP"'
    command = ["sh", "-euc", script, TEMPLATES / "addresses.envsh"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return dict(zip(("GATEWAY_LISTEN_IPV6", "GATEWAY_REAL_IP"), said.split("\n")))


class Addresses(unittest.TestCase):
    def test_both_families_where_there_are_both(self):
        there = Path("/proc/net/if_inet6").exists()
        found = addresses(GATEWAY_LISTEN="8080")
        self.assertEqual(found, {"GATEWAY_LISTEN_IPV6": "listen [::]:8080 reuseport;" if there else "", "GATEWAY_REAL_IP": ""})
