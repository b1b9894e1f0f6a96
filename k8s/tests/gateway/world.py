"""A cluster on loopback: pods are processes on addresses of 127.0.0.0/8, with the ports that they have in Kubernetes; a
DNS server of a few lines stands in for the cluster's; nginx runs the templates of k8s/base/gateway.

An nginx that is older than 1.27.4 cannot ask DNS by itself: it gets upstreams.conf with the addresses written in, and
everything else as it is.
"""

import errno
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .client import Client

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "k8s/base/gateway"
BINARIES = Path(os.environ.get("BINARIES") or ROOT / "target/debug")
NGINX = os.environ.get("GATEWAY_NGINX", "nginx")
SERVICES = ("usuarios", "tokens", "transacciones")
DOMAIN = ".mercado.svc.cluster.local"
TOKEN = "gateway-0123456789"
# far above what anything here takes
PATIENCE = 30
# what nginx.conf is filled in with, but for addresses: in the cluster the Deployment says it
OPTIONS = {
    "GATEWAY_CLIENT_WRITES": "10000",
    "GATEWAY_CLIENT_BURST": "10000",
    "GATEWAY_CLIENT_REQUESTS": "200",
    "GATEWAY_CLIENT_STREAMS": "200",
    "GATEWAY_LISTEN_IPV6": "",
    "GATEWAY_REAL_IP": "",
}


def nginx_version() -> tuple:
    said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(map(int, re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said).groups()))


ASKS_DNS = nginx_version() >= (1, 27, 4)


def eventually(what, patience=PATIENCE, every=0.02):
    """The first true result of `what`; an error after `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        if found := what():
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(every)


def promised(what, seconds, every=0.02):
    """The first true result of `what` within so many seconds in which this machine did not stand still."""
    had, last = 0.0, time.monotonic()
    while not (found := what()):
        if had > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
        now = time.monotonic()
        had, last = had + min(now - last, 0.1), now
    return found


def authority(host: str, port: int) -> str:
    """As in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Dns(threading.Thread):
    """Answers A and AAAA from a table that may change. Its answers may be kept for 30 s, as in many clusters."""

    def __init__(self, host: str):
        super().__init__(daemon=True)
        self.table: dict[str, list[str]] = {}
        self.silent, self.unanswered = False, 0
        self.socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        # whoever has this one has the network
        self.socket.bind((host, 5300))
        self.address = authority(host, 5300)
        self.start()

    def run(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(512)
                if self.silent:
                    self.unanswered += 1
                else:
                    self.socket.sendto(self.answer(query), peer)
            except OSError:
                return

    def answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        found = self.table.get(".".join(labels))
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        addresses = [socket.inet_pton(family, a) for a in found or [] if family == family_of(a)]
        flags = 0x8180 if found is not None else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0)
        rows = (struct.pack(">HHHIH", 0xC00C, kind, 1, 30, len(a)) + a for a in addresses)
        return head + query[12 : at + 5] + b"".join(rows)


class Pod:
    """A process of a service, with an address of its own."""

    def __init__(self, world: "World", service: str, address: str):
        self.address, self.name = address, f"{service}-{re.split('[.:]', address)[-1]}"
        environment = {
            "HOST": self.address,
            "INTERNAL_TOKEN": TOKEN,
            "CUENTAS": "si" if world.accounts else "no",
            "BEHIND_GATEWAY": "si",
            # pods of a Deployment share their volume
            "STORE": f"json:{world.dir}/{service}",
            "SEED_DIR": str(ROOT / service),
            "HOSTNAME": self.name,
            "WORKERS": "1",
            # nginx asks DNS anew within 2 s; in the cluster it is 8, since there DNS itself has old answers
            "DRAIN_SECONDS": "3",
            **({"FIRST_ACCOUNT": "tere:gato-cosmico-7"} if world.accounts and service == "usuarios" else {}),
            "USUARIOS_URL": f"http://{authority(world.internal['usuarios'], 9000)}",
            "TOKENS_URL": f"http://{authority(world.internal['tokens'], 9000)}",
        }
        with open(world.dir / f"{self.name}.log", "wb") as log:
            self.process = subprocess.Popen([BINARIES / service], env=environment, stdout=log, stderr=log)
        world.processes.append(self.process)

    def ready(self) -> "Pod":
        def answers():
            assert self.process.poll() is None, f"{self.name} ended"
            try:
                return Client(self.address, 8000).get("/readyz").status == 200
            except OSError:
                return False

        eventually(answers)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        """SIGTERM, as of `kubectl delete pod`."""
        self.process.send_signal(signal.SIGTERM)


def own_network(ipv6: bool) -> tuple[str, Dns]:
    """One where nobody else is: not another run, and not the gateway that a run which was killed left behind. That one would
    answer in place of ours."""
    while True:
        # of IPv6, loopback has one address only, unless it is given more: test_ipv6
        network = "fd12::" if ipv6 else f"127.{random.randint(1, 250)}.{random.randint(0, 250)}."
        try:
            host = f"{network}254"
            socket.create_server((host, 8080), family=family_of(host)).close()
            return network, Dns(f"{network}253")
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise


class World:
    """Pods, DNS and nginx; everything ends with `close`."""

    def __init__(self, ipv6: bool = False, accounts: bool = False):
        self.accounts = accounts
        self.dir = Path(tempfile.mkdtemp(prefix="mercado-gateway-"))
        self.processes: list[subprocess.Popen] = []
        self.network, self.dns = own_network(ipv6)
        self.last = 0
        # where transacciones finds the others: the first pod of each
        self.internal = {s: self.host(n) for n, s in enumerate(SERVICES, 1)}
        self.pods: dict[str, list] = {s: [] for s in SERVICES}
        self.gateway: subprocess.Popen | None = None
        self.client: Client | None = None

    def host(self, n: int) -> str:
        """The address with this number: pods have the first ones, clients may have those from 200 on."""
        return f"{self.network}{n}"

    def address(self) -> str:
        self.last += 1
        return self.host(self.last)

    def start(self, service: str, address: str | None = None) -> Pod:
        """A pod that nobody knows yet."""
        address = address or self.address()
        return Pod(self, service, address)

    def publish(self):
        """Tells DNS of the pods that there are."""
        for service, pods in self.pods.items():
            self.dns.table[f"{service}-pods{DOMAIN}"] = [p.address for p in pods]
            self.dns.table[f"{service}{DOMAIN}"] = [p.address for p in pods]

    def market(self, **replicas: int) -> "World":
        """So many ready pods of each service, one where nothing is said."""
        # the first of each has the address that `internal` promises
        order = [*SERVICES, *(s for s in SERVICES for _ in range(1, replicas.get(s, 1)))]
        for service in order:
            self.pods[service].append(self.start(service))
        for pods in self.pods.values():
            for pod in pods:
                pod.ready()
        return self

    def upstreams(self) -> str:
        text = (TEMPLATES / "upstreams.conf.template").read_text()
        if ASKS_DNS:
            return text
        text = re.sub(r"^(resolver|resolver_timeout|keepalive_min_timeout) .*;$", "", text, flags=re.M)

        def written_in(match: re.Match) -> str:
            service = match.group(1).removesuffix("-pods")
            return "\n".join(f"    server {authority(p.address, 8000)} {match.group(2)};" for p in self.pods[service])

        return re.sub(r"^ *server ([\w-]+)\$\{GATEWAY_DOMAIN\}:8000 resolve (.*);$", written_in, text, flags=re.M)

    def open(self, ready: bool = True, **options: str) -> "World":
        """Starts nginx, with other options than those above where it is told to, and waits until it knows the way to every
        service: to pods that are `ready`."""
        self.publish()
        conf = self.dir / "nginx"
        conf.mkdir()
        shutil.copytree(ROOT / "web", conf / "web")
        address = self.host(254)
        addresses = {
            "GATEWAY_LISTEN": authority(address, 8080),
            "GATEWAY_DOMAIN": DOMAIN,
            "NGINX_LOCAL_RESOLVERS": self.dns.address,
        }
        given = OPTIONS | addresses | options
        for template in TEMPLATES.glob("*.template"):
            text = self.upstreams() if template.name.startswith("upstreams") else template.read_text()
            text = re.sub(r"\$\{(\w+)\}", lambda m: given[m.group(1)], text)
            (conf / template.stem).write_text(text)
        # as root, nginx would let its workers be nobody, who may not read here
        globals_ = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        command = [NGINX, "-e", "stderr", "-p", conf, "-c", conf / "nginx.conf", "-g", globals_]
        with open(self.dir / "nginx.log", "wb") as log:
            self.gateway = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(self.gateway)
        self.client = Client(address, 8080)

        def routes():
            assert self.gateway.poll() is None, (self.dir / "nginx.log").read_text()
            try:
                paths = [f"/{s}" for s in SERVICES if self.pods[s]] if ready else ["/livez"]
                # 401 is a service that asks who that is
                return all(self.client.get(path).status in (200, 401) for path in paths)
            except OSError:
                return False

        eventually(routes)
        return self

    def close(self):
        if self.gateway and self.gateway.poll() is None:
            # killed, it would leave its workers behind
            self.gateway.terminate()
            self.gateway.wait(10)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.dns.socket.close()
        shutil.rmtree(self.dir, ignore_errors=True)
