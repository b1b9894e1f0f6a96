"""A real browser: Chromium by its WebDriver (Debian's chromium-driver; W3C WebDriver)."""

import base64
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 30
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
]
KEYS = {
    "tab": "\ue004",
    "enter": "\ue007",
    "escape": "\ue00c",
    "left": "\ue012",
    "right": "\ue014",
    "space": " ",
    "down": "\ue015",
    "home": "\ue011",
    "end": "\ue010",
}
SHIFT = "\ue008"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def eventually(condition, patience=PATIENCE, what=""):
    """Waits until a condition holds, and gives what it gave."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.05)


class Driver:
    """chromedriver: one process for all browsers of a run."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        for line in self.process.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found.group(1)}"
                return
        raise AssertionError("chromedriver ended")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        ask = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with OPENER.open(ask, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            value = json.load(e)["value"]
            raise AssertionError(f"{path}: {value['error']}: {value['message'].splitlines()[0]}") from None

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Browser:
    """One window in a fresh profile; `language` as in `navigator.language`."""

    def __init__(self, driver, language="es", size=(1280, 900), dark=False, more=(), preferences=None):
        self.driver = driver
        self.profile = tempfile.TemporaryDirectory(prefix="mercado-browser-", ignore_cleanup_errors=True)
        arguments = [
            *FLAGS,
            f"--lang={language}",
            f"--accept-lang={language}",
            f"--window-size={size[0]},{size[1]}",
            f"--user-data-dir={self.profile.name}",
            *more,
        ]
        options = {"args": arguments, "prefs": preferences or {}}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = driver.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"
        self.size(*size)
        if dark:
            self.media(dark=True)

    def command(self, path, body=None, method="POST"):
        return self.driver.call(method, self.session + path, {} if body is None and method == "POST" else body)

    def cdp(self, name, **params):
        return self.command("/goog/cdp/execute", {"cmd": name, "params": params})

    def size(self, width, height, touch=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)

    def media(self, dark=False, calm=True):
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"},
        ]
        self.cdp("Emulation.setEmulatedMedia", features=features)

    def open(self, url):
        self.command("/url", {"url": url})

    def value(self, expression, *args):
        return self.command("/execute/sync", {"script": f"return {expression}", "args": list(args)})

    def run(self, script):
        """A script that ends with `done(value)`."""
        return self.command("/execute/async", {"script": f"const done = arguments[0]; {script}", "args": []})

    def until(self, expression, patience=PATIENCE):
        """Waits until an expression is true."""
        try:
            return eventually(lambda: self.value(f"({expression})"), patience, expression)
        except AssertionError as e:
            raise AssertionError(f"{e}; the page logged {self.errors()[-3:]}") from None

    def text(self, css):
        return self.value("document.querySelector(arguments[0])?.innerText ?? null", css)

    def until_text(self, css, part, patience=PATIENCE):
        """Waits until an element says something."""

        def says():
            text = self.text(css)
            return text is not None and part in text

        try:
            eventually(says, patience)
        except AssertionError:
            raise AssertionError(f"{css} does not say {part!r} but {self.text(css)!r}") from None

    def find(self, css):
        return self.command("/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        """As a person does: scrolls to it; then it must be there, visible and not behind another."""
        self.value("document.querySelector(arguments[0])?.scrollIntoView({ block: 'center' })", css)

        def clicked():
            try:
                self.command(f"/element/{self.find(css)}/click")
            except AssertionError as e:
                # it was drawn anew after it was found: a person clicks on what is there now
                if "stale element reference" in str(e):
                    return False
                raise
            return True

        eventually(clicked, what=f"{css} can be clicked")

    def write(self, css, text):
        element = self.find(css)
        self.command(f"/element/{element}/clear")
        self.command(f"/element/{element}/value", {"text": text})

    def press(self, *names, shift=False):
        """Keys, to whatever has the focus."""
        keys = [KEYS.get(name, name) for name in names]
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        if shift:
            actions = [{"type": "keyDown", "value": SHIFT}, *actions, {"type": "keyUp", "value": SHIFT}]
        self.command("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def focused(self):
        """What has the focus, by what it is called."""
        return self.value(
            "(({ ariaLabel, innerText, name, localName }) => ariaLabel || innerText || name || localName)(document.activeElement)"
        )

    def picture(self, path, full=False):
        params = {"captureBeyondViewport": True} if full else {}
        Path(path).write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", format="png", **params)["data"]))

    def errors(self):
        """What the page logged: a script that failed, a file that is missing, what its policy refused."""
        log = self.command("/se/log", {"type": "browser"})
        return [line["message"] for line in log if line["level"] == "SEVERE"]

    def close(self):
        self.command("", method="DELETE")
        self.profile.cleanup()
