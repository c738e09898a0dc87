"""Downloads that survive a broken connection, within a run and from one run to the next."""

import base64
import hashlib
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from pulmoscan.acquire import trust
from pulmoscan.storage import atomic, disk
from pulmoscan.storage.progress import Progress

TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 5  # consecutive ones that receive nothing new
LONGEST_WAIT = 30  # seconds between two attempts
CHUNK = 1 << 16  # bytes; a broken connection costs at most as many
RETRIED = (408, 429, 500, 502, 503, 504)

Opener = Callable[[Mapping[str, str]], requests.Response]


class UnreachableError(OSError):
    """The server does not answer, or the connection breaks again and again."""


class UntrustedError(OSError):
    """The server's certificate is not trusted."""


class RefusedError(OSError):
    """The server answers, but does not send the file.

    Attributes:
        status: The HTTP status of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class CorruptedError(OSError):
    """The file received is not the one that the server announced."""


def get(url: str) -> Opener:
    """Return a function that sends a GET request for ``url`` with the headers it is given."""

    def send(headers: Mapping[str, str]) -> requests.Response:
        # Without compression in transit, the bytes counted are those of the file.
        headers = {"Accept-Encoding": "identity", **headers}
        return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)

    return send


def download(send: Opener, target: Path, name: str) -> None:
    """Download a file to ``target``; return at once if it exists already.

    What has been received is kept beside it as ``<target>.part``. After a broken connection, in
    this run or a later one, the rest is requested with a Range header; a server that does not
    support it starts over. If the answer carries the file's MD5 (``x-goog-hash``, Google Cloud
    Storage), it is compared.

    Args:
        send: Sends the request with the headers that it is given; may raise what ``requests`` does.
        target: The file, which gets this name when it is complete.
        name: What messages call it; addresses are never shown, since some carry a signature.

    Raises:
        UnreachableError: No answer, a broken connection or a server error, ``ATTEMPTS`` times in a
            row without a byte more.
        UntrustedError: The certificate is not trusted.
        RefusedError: Any other answer that is not the file.
        CorruptedError: The MD5 differs; what was received is removed.
        OSError: The disk has too little space.
        ValueError: The environment names certificates that there are not.
    """
    if target.exists():
        return
    trust.share_certificates()
    with atomic.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    most = _size(part)
    fruitless = 0
    while True:
        try:
            md5 = _receive(send, part, name)
            break
        except (_BrokenOffError, requests.RequestException) as error:
            if advice := trust.refusal(error):
                raise UntrustedError(f"cannot download {name}{_host(error)}: {advice}") from None
            fruitless = 0 if _size(part) > most else fruitless + 1
            most = max(most, _size(part))
            host = _host(error)
            if fruitless >= ATTEMPTS:
                have = _size(part)
                kept = f"; {have / 1e6:,.1f} MB are kept, run again to resume" if have else ""
                raise UnreachableError(
                    f"cannot download {name}{host} ({_reason(error)}){kept}"
                ) from None
            wait = min(2 ** max(fruitless - 1, 0), LONGEST_WAIT)
            _say(
                f"{name}{host}: {_reason(error)} at {most / 1e6:,.1f} MB; trying again in {wait} s"
            )
            time.sleep(wait)
    if md5 is not None and md5 != _md5(part):
        part.unlink()
        raise CorruptedError(
            f"{name} arrived damaged (its MD5 is wrong) and was removed: run again"
        )
    part.replace(target)


class _BrokenOffError(Exception):
    """An answer that may be better next time."""

    def __init__(self, message: str, host: str) -> None:
        super().__init__(message)
        self.host = host


def _receive(send: Opener, part: Path, name: str) -> str | None:
    """Complete ``part``; return the MD5 that the answer announces, in base64."""
    have = _size(part)
    with send({"Range": f"bytes={have}-"} if have else {}) as answer:
        host = urlsplit(answer.url).hostname or ""
        if answer.status_code == 416:
            whole = answer.headers.get("Content-Range") == f"bytes */{have}"
            if whole:
                return _announced_md5(answer)
            part.unlink()
            raise _BrokenOffError("what was received no longer fits the file", host)
        if answer.status_code in RETRIED:
            raise _BrokenOffError(f"HTTP {answer.status_code}", host)
        if answer.status_code not in (200, 206):
            raise RefusedError(
                f"{host} does not send {name} (HTTP {answer.status_code})", answer.status_code
            )
        start = _start(answer) if answer.status_code == 206 else 0
        if start not in (0, have):
            raise _BrokenOffError("the server sent another part than requested", host)
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        if total is not None:
            disk.check_space(part.parent, total - have, f"the download of {name}")
        with atomic.writing(part):
            file = part.open("ab" if start else "wb")
        with file:
            try:
                _copy(answer, file, name, total, start)
            except requests.RequestException as error:  # which no longer knows its host
                raise _BrokenOffError(_reason(error), host) from error
        if total is not None and _size(part) != total:
            raise _BrokenOffError("connection broken", host)
        return _announced_md5(answer)


def _copy(
    answer: requests.Response, file: BinaryIO, name: str, total: int | None, done: int
) -> None:
    of = "" if total is None else f" of {total / 1e6:,.0f}"
    progress = Progress(lambda size: f"{name}: {size / 1e6:,.0f}{of} MB")
    progress.add(done)
    for chunk in answer.iter_content(CHUNK):
        try:
            file.write(chunk)
        except OSError as error:
            raise OSError(f"cannot write {file.name}: {error.strerror}") from error
        progress.add(len(chunk))


def _start(answer: requests.Response) -> int:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else -1


def _announced_md5(answer: requests.Response) -> str | None:
    for pair in answer.headers.get("x-goog-hash", "").split(","):
        kind, _, value = pair.strip().partition("=")
        if kind == "md5":
            return value
    return None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").digest()
    return base64.b64encode(digest).decode()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(error: Exception) -> str:
    """Return `` from <host>`` if the error names the host, else nothing."""
    request = getattr(error, "request", None)
    host = getattr(error, "host", "") or (urlsplit(request.url).hostname if request else "")
    return f" from {host}" if host else ""


def _reason(error: Exception) -> str:
    """Return what went wrong in a few words, without the address."""
    if isinstance(error, _BrokenOffError):
        return str(error)
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    proxied = isinstance(error, requests.exceptions.ProxyError)
    through = " through the proxy of HTTPS_PROXY" if proxied else ""
    for cause in trust.causes(error):
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'failed'}{through}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror + through
    return f"connection broken{through}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
