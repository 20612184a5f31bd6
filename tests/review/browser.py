"""A headless Chromium driven over its DevTools socket, for tests that look at the page as a reader does."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1400,900", "--remote-debugging-port=0",
    "--remote-allow-origins=*", "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """One page. Every call waits for its answer."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        flags = [*_FLAGS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen([CHROMIUM, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._socket = self._wait(self._connect())
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._socket.close)
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method, **params):
        return self._wait(self._call(method, params))

    def js(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"].get("exception", {}).get("description", found))
        return found["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)

    def until(self, expression, *, seconds=30.0):
        end = time.monotonic() + seconds
        while not (found := self.js(f"!!({expression})")):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {expression}")
            time.sleep(0.05)
        return found

    def mouse(self, kind, x, y, *, button="left", buttons=1):
        more = {"button": button, "buttons": buttons, "clickCount": 1} if kind != "mouseMoved" or buttons else {}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y, buttons=0)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def drag(self, places):
        self.mouse("mousePressed", *places[0])
        for place in places[1:]:
            self.mouse("mouseMoved", *place)
        self.mouse("mouseReleased", *places[-1])

    def wheel(self, x, y, delta):
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _wait(self, task):
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(60)

    async def _connect(self):
        from tornado.websocket import websocket_connect

        note = Path(self._folder) / "DevToolsActivePort"
        for _ in range(400):
            if note.is_file() and note.read_text().strip():
                break
            await asyncio.sleep(0.05)
        port = note.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        return await websocket_connect(pages[0]["webSocketDebuggerUrl"], max_message_size=200_000_000)

    async def _call(self, method, params):
        number = next(self._numbers)
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(await self._socket.read_message())
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(answer["error"])
                return answer["result"]
