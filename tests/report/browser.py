"""Headless Chromium over the pipe of its DevTools protocol: no port, no driver, no package."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

PATIENCE = 60  # seconds
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe")


def find() -> str:
    """The browser's path; without one the test is skipped, or fails where WEFT_BROWSER=1 demands it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        assert os.environ.get("WEFT_BROWSER") != "1", f"WEFT_BROWSER=1, but there is none of {', '.join(NAMES)}"
        pytest.skip("no Chromium: pictures are looked at by their data only (WEFT_BROWSER=1 demands it)")
    return path


class Browser:
    """One page. `with Browser(width, height) as page: page.open(path)`."""

    def __init__(self, width: int = 1200, height: int = 900, dark: bool = False, touch: bool = False):
        self.profile = tempfile.TemporaryDirectory()
        self.write_end, self.read_end, self.process = self._start([find(), *FLAGS, f"--user-data-dir={self.profile.name}",
                                                                   f"--window-size={width},{height}", "about:blank"])
        self.buffer, self.number, self.session, self.problems = b"", 0, None, []
        target = next(t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                                                          {"name": "prefers-reduced-motion", "value": "reduce"}])

    @staticmethod
    def _start(command: list[str]) -> tuple[int, int, int]:
        """(where commands go, where answers come from, process). The protocol's pipe is the browser's files 3 and 4."""
        opened = (*os.pipe(), *os.pipe())
        # none is 3 or 4
        commands, write_end, read_end, answers = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in opened)
        for end in opened:
            os.close(end)
        silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
        process = os.posix_spawn(command[0], command, os.environ, file_actions=[
            *silent, (os.POSIX_SPAWN_DUP2, commands, 3), (os.POSIX_SPAWN_DUP2, answers, 4)])
        os.close(commands)
        os.close(answers)
        return write_end, read_end, process

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.send("Browser.close", session=None)
        else:
            os.kill(self.process, signal.SIGTERM)
        os.waitpid(self.process, 0)
        os.close(self.write_end)
        os.close(self.read_end)
        self.profile.cleanup()

    def send(self, method: str, *, session: str | None = "", **parameters) -> dict:
        """A command's result. Exceptions of the page, its console's errors and what it asks of a network are kept in
        `problems`."""
        self.number += 1
        number, own = self.number, self.session if session == "" else session
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": own} if own else {})}
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_end], [], [], PATIENCE)
            got = os.read(self.read_end, 1 << 20) if ready else b""
            assert got, "the browser went away" if ready else f"the browser said nothing for {PATIENCE} s"
            self.buffer += got
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(message["params"]["exceptionDetails"]["exception"].get("description"))
            case "Log.entryAdded":
                self.problems.append(message["params"]["entry"]["text"])
            case "Network.requestWillBeSent" if not message["params"]["request"]["url"].startswith(("file:", "data:",
                                                                                                    "blob:")):
                self.problems.append(message["params"]["request"]["url"])
        return message

    def open(self, path: Path):
        """Loads a file and waits until its pictures are drawn."""
        self.send("Page.navigate", url=path.as_uri())
        self.evaluate("new Promise((done, refused) => { const began = Date.now(); (function look() {"
                      " if (document.querySelector('#layer-title')?.textContent) done(); else if (Date.now() - began > "
                      "15000) refused(new Error('no pictures'));"
                      " else setTimeout(look, 20); })(); })")

    def evaluate(self, expression: str):
        """The value of JavaScript, awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def click(self, selector: str):
        """A real click of the mouse in the middle of an element."""
        x, y = self.evaluate(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
                             f"e.scrollIntoView({{block: 'center'}});"
                             " const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; "
                             "})()")
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def mouse(self, kind: str, x: float, y: float, **more):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, key: str):
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **({"text": key} if len(key) == 1 else {}))
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path, whole: bool = False):
        """A PNG of what is in view, or of the whole page."""
        Path(path).write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))
