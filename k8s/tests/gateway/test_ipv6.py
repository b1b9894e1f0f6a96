"""A cluster that has IPv6 only, and what takes both."""

import os
import random
import socket
import subprocess
import sys
import tempfile
import unittest

from .client import Client
from .world import BINARIES, ROOT, SERVICES, TOKEN, World, eventually

# a network namespace whose loopback has no IPv4, and any address that begins with fd
NAMESPACE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
NETWORK = (
    "ip link set lo up && ip -4 address flush dev lo && ip -6 route add local fd00::/8 dev lo"
    " && echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind"
)
INSIDE = "GATEWAY_TESTS_IPV6"


def can_separate() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "sh", "-c", NETWORK], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@unittest.skipIf(INSIDE in os.environ, "is inside already")
class Outside(unittest.TestCase):
    @unittest.skipUnless(can_separate(), "needs unshare, ip and the right to make a network namespace")
    def test_the_market_lives_without_ipv4(self):
        again = f"{NETWORK} && exec '{sys.executable}' -W ignore::ResourceWarning -m unittest tests.gateway.test_ipv6.Market"
        run = subprocess.run(
            [*NAMESPACE, "sh", "-c", again], env={**os.environ, INSIDE: "1"}, capture_output=True, text=True, check=False
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("skipped", run.stderr)

    def test_a_service_on_every_address_takes_both_families(self):
        ports = []
        while len(ports) < 2:
            # below those that Linux gives to connections
            port = random.randrange(10_000, 30_000)
            try:
                socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True).close()
            except OSError:
                continue
            if port not in ports:
                ports.append(port)
        with tempfile.TemporaryDirectory() as directory:
            environment = {
                "HOST": "::",
                "PORT": str(ports[0]),
                "INTERNAL_PORT": str(ports[1]),
                "INTERNAL_TOKEN": TOKEN,
                "STORE": f"json:{directory}",
                "SEED_DIR": str(ROOT / "usuarios"),
                "DRAIN_SECONDS": "0",
                "CUENTAS": "no",
            }
            process = subprocess.Popen([BINARIES / "usuarios"], env=environment, stderr=subprocess.DEVNULL)
            try:
                for host in ("127.0.0.1", "::1"):
                    for port in ports:
                        eventually(lambda h=host, p=port: answers(h, p))
            finally:
                process.terminate()
                process.wait()


def answers(host: str, port: int) -> bool:
    try:
        return Client(host, port).get("/readyz").status == 200
    except OSError:
        return False


@unittest.skipUnless(INSIDE in os.environ, "runs in a network namespace of its own")
class Market(unittest.TestCase):
    def test_a_purchase(self):
        world = World(ipv6=True)
        self.addCleanup(world.close)
        client = world.market(tokens=2).open().client
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", 8080), 5)
        for service in SERVICES:
            self.assertEqual(client.get(f"/{service}").status, 200)
        eventually(lambda: {client.get("/").pod for _ in range(20)} == {p.name for p in world.pods["tokens"]})
        bought = client.post("/transacciones", {"usuarioId": 1, "tokenId": 101}, Idempotency_Key="k")
        self.assertEqual(bought.status, 201, bought.body)
        self.assertIs(client.get("/transacciones/auditoria").json()["correcto"], True)
