"""The server behind the review page: on this machine alone, with a token in its address, and nothing by a path."""

from __future__ import annotations

import asyncio
import hmac
import importlib
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, Final

from biomarkers.core.errors import BiomarkersError, EnvironmentFailure, UsageError
from biomarkers.review.session import ReviewSession

ADDRESS: Final = "127.0.0.1"
MOST_BODY_BYTES: Final = 4_000_000  # 20,000 cells of one correction are less than 200 kB
_THREADS: Final = 4
_EXTRA: Final = "Install the extra: pip install 'biomarkers[review]'."
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ReviewServer:
    """A server of one session on a free port of 127.0.0.1.

    Parameters
    ----------
    session
        What is shown.
    port
        The port; 0 takes a free one.

    Raises
    ------
    UsageError
        The libraries of the extra ``review`` are not installed.
    EnvironmentFailure
        The port is taken.
    """

    def __init__(self, session: ReviewSession, *, port: int = 0) -> None:
        _web()
        self._session, self._wanted = session, port
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The address to open, token included."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"

    def run(self, started: Callable[[], None]) -> None:
        """Serve until :meth:`stop` is called, or the process is interrupted; ``started`` is called when ready."""
        asyncio.run(self._serve(started))

    def stop(self) -> None:
        """End serving, from any thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, started: Callable[[], None]) -> None:
        from tornado.httpserver import HTTPServer
        from tornado.netutil import bind_sockets

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            sockets = bind_sockets(self._wanted, address=ADDRESS)
        except OSError as error:
            where = f"{ADDRESS}:{self._wanted}"
            raise EnvironmentFailure("the port cannot be taken", where=where, seen=error.strerror) from error
        self.port = sockets[0].getsockname()[1]
        with ThreadPoolExecutor(_THREADS) as pool:
            app = make_app(self._session, token=self.token, port=self.port, pool=pool)
            server = HTTPServer(app, max_body_size=MOST_BODY_BYTES, idle_connection_timeout=300, body_timeout=30)
            server.add_sockets(sockets)
            started()
            await self._stop.wait()
            server.stop()
            await server.close_all_connections()
        self._session.close()


def _web() -> Any:
    try:
        return importlib.import_module("tornado.web")
    except ImportError as error:
        raise UsageError("tornado is not installed", hint=_EXTRA) from error


def leaflet_file(name: str) -> Path:
    """Path of a file of Leaflet, in the package that ships it.

    Raises
    ------
    UsageError
        The package is not installed.
    """
    try:
        from xstatic.pkg import leaflet
    except ImportError as error:
        raise UsageError("XStatic-Leaflet is not installed", hint=_EXTRA) from error
    return Path(leaflet.BASE_DIR) / name


def make_app(session: ReviewSession, *, token: str, port: int, pool: ThreadPoolExecutor) -> Any:
    """Return the tornado application: each address is a fixed name or whole numbers, none becomes a path on disk."""
    web = _web()
    hosts = {f"{ADDRESS}:{port}", f"localhost:{port}"}
    page = resources.files("biomarkers.review") / "templates"
    fixed = {
        "": (page / "app.html").read_bytes(),
        "app.js": (page / "app.js").read_bytes(),
        "draw.js": (page / "draw.js").read_bytes(),
        "app.css": (page / "app.css").read_bytes(),
        "leaflet.js": leaflet_file("leaflet.js").read_bytes(),
        "leaflet.css": leaflet_file("leaflet.css").read_bytes(),
    }
    kinds = {"js": "text/javascript", "css": "text/css", "": "text/html; charset=utf-8"}

    base: Any = web.RequestHandler

    class Handler(base):
        """Checks every request before anything else is looked at."""

        def set_default_headers(self) -> None:
            for name, value in _HEADERS.items():
                self.set_header(name, value)
            self.clear_header("Server")

        def prepare(self) -> None:
            request = self.request
            if request.host not in hosts:
                raise web.HTTPError(403, reason="another host")
            origin = request.headers.get("Origin")
            if origin is not None and origin not in {f"http://{host}" for host in hosts}:
                raise web.HTTPError(403, reason="another origin")
            if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
                raise web.HTTPError(403, reason="another site")
            if not hmac.compare_digest(self.path_args[0].encode(), token.encode()):
                raise web.HTTPError(404)

        async def answer(self, make: Callable[[], Any]) -> None:
            """Do the work in a thread; what the user did wrong is answered in words."""
            try:
                found = await asyncio.get_running_loop().run_in_executor(pool, make)
            except BiomarkersError as error:
                self.set_status(400)
                found = {"error": str(error)}
            if isinstance(found, bytes):
                self.finish(found)
                return
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps(found))

        def write_error(self, status_code: int, **_: Any) -> None:
            self.finish(f"{status_code}")

        @property
        def reader(self) -> str:
            return str(self.get_query_argument("reader", ""))

        def body(self) -> dict[str, Any]:
            if self.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
                raise web.HTTPError(415)
            try:
                found = json.loads(self.request.body)
            except ValueError as error:
                raise web.HTTPError(400) from error
            if not isinstance(found, dict):
                raise web.HTTPError(400)
            return found

    class Fixed(Handler):
        def get(self, _: str, name: str) -> None:
            if name not in fixed:
                raise web.HTTPError(404)
            self.set_header("Content-Type", kinds[name.rpartition(".")[2]])
            self.finish(fixed[name])

    class Cohort(Handler):
        async def get(self, _: str) -> None:
            reader = self.reader
            await self.answer(lambda: session.cohort(reader))

    class Slide(Handler):
        async def get(self, _: str, number: str) -> None:
            reader = self.reader
            await self.answer(lambda: session.slide(int(number), reader))

    class Cells(Handler):
        async def get(self, _: str, number: str) -> None:
            reader = self.reader
            self.set_header("Content-Type", "application/octet-stream")
            await self.answer(lambda: session.cells(int(number), reader))

    class Tile(Handler):
        async def get(self, _: str, *place: str) -> None:
            number, zoom, column, row = (int(part) for part in place)
            self.set_header("Content-Type", "image/jpeg")
            self.set_header("Cache-Control", "private, max-age=3600")
            await self.answer(lambda: session.tile(number, zoom, column, row))

    class Act(Handler):
        async def post(self, _: str, number: str, what: str) -> None:
            asked = self.body()
            await self.answer(lambda: _act(session, int(number), what, asked))

    whole = r"/([A-Za-z0-9_-]{1,64})/"
    count = r"([0-9]{1,7})"
    return web.Application(
        [
            (whole + r"([a-z.]*)", Fixed),
            (whole + "api/cohort", Cohort),
            (whole + f"api/slide/{count}", Slide),
            (whole + f"api/slide/{count}/cells", Cells),
            (whole + f"tile/{count}/{count}/{count}/{count}[.]jpg", Tile),
            (whole + f"api/slide/{count}/do/(read|reveal|cells|region|cut|undo|sign)", Act),
        ],
        log_function=lambda _: None,  # addresses hold the token
        default_handler_class=_Nothing(web),
    )


def _Nothing(web: Any) -> Any:  # noqa: N802  (makes a class)
    base: Any = web.RequestHandler

    class Nothing(base):
        """Answers every other address."""

        def prepare(self) -> None:
            raise web.HTTPError(404)

        def write_error(self, status_code: int, **_: Any) -> None:
            self.finish(f"{status_code}")

    return Nothing


def _act(session: ReviewSession, number: int, what: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Hand a reading or a correction over; a part that is absent or of another kind is told."""
    try:
        who = str(asked["reader"])
        if what == "read":
            marker, score, value = str(asked["marker"]), str(asked["score"]), float(asked["value"])
            return session.read(number, reader=who, marker=marker, score=score, value=value)
        if what == "reveal":
            return session.reveal(number, reader=who)
        return session.correct(number, author=who, what=what, **{k: v for k, v in asked.items() if k != "reader"})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, BiomarkersError):
            raise
        raise UsageError("the page asked for something without its parts", seen=f"{type(error).__name__}") from error
