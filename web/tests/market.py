"""Markets for the page's tests: `mercado`, which is one process, and three services behind the gateway's nginx."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from k8s.tests.gateway.client import Client
from k8s.tests.gateway.world import BINARIES, ROOT, World

from .browser import eventually


def seeds(users, tokens):
    """A directory of seeds."""
    directory = Path(tempfile.mkdtemp(prefix="mercado-seed-"))
    for name, rows in (("usuarios", users), ("tokens", tokens), ("transacciones", [])):
        (directory / f"{name}.json").write_text(json.dumps(rows))
    return directory


def user(i, nombre, saldo):
    return {"id": i, "nombre": nombre, "saldo": saldo}


def token(i, nombre, precio):
    return {"id": i, "nombre": nombre, "imagen": f"{i}.svg", "precio": precio, "vendido": False}


class Api:
    """What other people do."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.client = Client(host, port)
        self.url = f"http://{host}:{port}/"

    def get(self, path):
        return self.client.get(path).json()

    def post(self, path, **body):
        answer = self.client.post(path, body)
        assert answer.status == 201, answer.body
        return answer.json()

    def buy(self, usuario, tokenId):
        """Under a key until it is known: where the machine stands still for the deadline of a purchase, the answer is 503."""
        body, key = {"usuarioId": usuario, "tokenId": tokenId}, os.urandom(16).hex()

        def bought():
            answer = self.client.post("/transacciones", body, Idempotency_Key=key)
            assert answer.status in (201, 503), answer.body
            return answer.status == 201 and answer.json()

        return eventually(bought, what="a purchase")


def free_port():
    """Below those that Linux gives to connections: the market comes back on it after its death."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class Mercado(Api):
    """One process, on the sample market unless seeds are given. It can be killed, and started again on its port."""

    def __init__(self, seed=None, options=()):
        self.dir, self.seed, self.options = Path(tempfile.mkdtemp(prefix="mercado-page-")), seed, options
        super().__init__("127.0.0.1", free_port())
        self.start()

    def start(self):
        command = [
            BINARIES / "mercado",
            f"--port={self.port}",
            f"--store=json:{self.dir}/datos",
            "--drain-seconds=0",
            "--workers=2",
            # no test is about them, and a busy machine may stand still for three seconds
            "--purchase-deadline-ms=20000",
            "--orphan-age-ms=30000",
            *self.options,
        ]
        if self.seed:
            command.append(f"--seed-dir={self.seed}")
        environment = {"PATH": os.environ["PATH"], "HOSTNAME": "solo"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.ready, what="mercado is ready")

    def ready(self):
        assert self.process.poll() is None, "mercado ended"
        try:
            return self.client.get("/readyz").status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def forget(self):
        """Its data are gone."""
        shutil.rmtree(self.dir / "datos")

    def close(self):
        self.kill()
        shutil.rmtree(self.dir)
        if self.seed:
            shutil.rmtree(self.seed)


class Services(Api):
    """Three services, in so many pods each, behind the gateway, which may have other options than those of the tests."""

    def __init__(self, gateway=None, **replicas):
        self.world = World().market(**replicas).open(**(gateway or {}))
        super().__init__(self.world.client.host, self.world.client.port)

    def pods(self, service):
        return self.world.pods[service]

    def kill(self, service, n=0):
        self.world.pods[service][n].kill()

    def start(self, service, n=0):
        """The pod again, at its address."""
        old = self.world.pods[service][n]
        self.world.pods[service][n] = self.world.start(service, address=old.address).ready()

    def close(self):
        self.world.close()


__all__ = ["ROOT", "Mercado", "Services", "seeds", "token", "user"]
