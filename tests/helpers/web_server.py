"""A web server on this machine that can be told to misbehave, for tests of downloads."""

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What the server sends for a path.

    Attributes:
        body: The content.
        headers: Headers to send with it.
        ranges: Whether a Range header is respected.
        chunked: Whether the answer is sent in chunks, without a Content-Length.
        redirect: Where to send the client instead.
        faults: What to do instead, one for each of the next requests: an HTTP status,
            ``cut(n)`` or ``stall(s)``.
    """

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    chunked: bool = False
    redirect: str | None = None
    faults: list = field(default_factory=list)


@dataclass(frozen=True)
class cut:  # noqa: N801
    """Break the connection after this many bytes of the body."""

    after: int


@dataclass(frozen=True)
class stall:  # noqa: N801
    """Send nothing for this many seconds, then close the connection."""

    seconds: float


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class WebServer:
    """Serves ``pages`` on 127.0.0.1 inside a ``with`` block, and records the ``requests``."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for ``path``, None for one without."""
        return [request.headers.get("range") for request in self.requests if request.path == path]

    def __enter__(self) -> "WebServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _handler(server: WebServer) -> Callable:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Request(self.command, self.path, headers, sent))
            page = server.pages.get(self.path)
            fault = page.faults.pop(0) if page and page.faults else None
            if page is None or isinstance(fault, int):
                self._answer(fault or 404, b"no\n", {})
            elif isinstance(fault, stall):
                threading.Event().wait(fault.seconds)
                self.close_connection = True
            elif page.redirect:
                self._answer(302, b"", {"Location": page.redirect})
            else:
                self._send(page, fault.after if fault else None)

        def _send(self, page: Page, cut_after: int | None) -> None:
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(found.group(1)) if found and page.ranges else 0
            total = len(page.body)
            if start and start >= total:
                self._answer(416, b"", {"Content-Range": f"bytes */{total}", **page.headers})
                return
            extra = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}
            self._answer(
                206 if start else 200,
                page.body[start:],
                extra | page.headers,
                page.chunked,
                cut_after,
            )

        def _answer(
            self,
            status: int,
            body: bytes,
            headers: dict[str, str],
            chunked: bool = False,
            cut_after: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            whole = cut_after is None
            body = body[:cut_after]
            if chunked:
                body = b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if whole else b"")
            self.wfile.write(body)
            if not whole:
                self.wfile.flush()
                self.close_connection = True

    return Handler
