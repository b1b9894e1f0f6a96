"""Requests as bytes on a socket: `http.client` changes no path."""

import http.client
import json
import threading
import time
from collections import Counter, deque


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def pod(self) -> str:
        return self.headers.get("X-Pod", "")

    def json(self):
        return json.loads(self.body)


class Connection(http.client.HTTPConnection):
    """Sends the head and the body of a request together, as browsers, curl and k6 do; `http.client` makes two segments of
    them. What becomes of a body that comes later: test_limits."""

    held: list[bytes] | None = None

    def request(self, *args, **kwargs):
        self.held = []
        super().request(*args, **kwargs)
        parts, self.held = self.held, None
        self.send(b"".join(parts))

    def send(self, data):
        if self.held is None:
            super().send(data)
        else:
            self.held.append(data)


class Client:
    """One connection for each request, unless it is told to keep one. `address` is its own, where that matters."""

    def __init__(self, host: str, port: int, keep: bool = False, address: str = ""):
        self.host, self.port, self.keep, self.address = host, port, keep, address
        self.connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body=None, headers=None) -> Answer:
        connection = self.connection or Connection(
            self.host, self.port, timeout=30, source_address=(self.address, 0) if self.address else None
        )
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            answer = Answer(connection.getresponse())
        except BaseException:
            self.connection = None
            connection.close()
            raise
        if self.keep and answer.headers.get("Connection") != "close":
            self.connection = connection
        else:
            self.connection = None
            connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body=None, **headers: str) -> Answer:
        return self.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})


class Load:
    """Readers on connections that they keep, until the block ends, or with `stay` until the server closes one politely. What
    they met is in `failed` and `share`."""

    def __init__(self, client: Client, path: str = "/tokens", readers: int = 8, stay: bool = False):
        self.client, self.path, self.stay = client, path, stay
        self.failed: list[str] = []
        self.answers: deque = deque(maxlen=200_000)
        self.over = threading.Event()
        # the readers that have a connection
        self.begun: set[int] = set()
        self.threads = [threading.Thread(target=self.read, daemon=True) for _ in range(readers)]

    def read(self):
        client = Client(self.client.host, self.client.port, keep=True)
        while not self.over.is_set():
            try:
                answer = client.get(self.path)
                if answer.status != 200:
                    self.failed.append(f"{answer.status} {answer.body!r}")
                self.answers.append((time.monotonic(), answer.pod))
                self.begun.add(threading.get_ident())
                if self.stay and not client.connection:
                    return
            except OSError as e:
                self.failed.append(repr(e))
            except http.client.HTTPException as e:
                self.failed.append(repr(e))

    def share(self, seconds: float) -> Counter:
        """Answers of each pod in the last seconds."""
        since = time.monotonic() - seconds
        return Counter(pod for at, pod in list(self.answers) if at >= since)

    @property
    def all_begun(self) -> bool:
        return len(self.begun) == len(self.threads)

    @property
    def reading(self) -> bool:
        return any(t.is_alive() for t in self.threads)

    def __enter__(self) -> "Load":
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()
