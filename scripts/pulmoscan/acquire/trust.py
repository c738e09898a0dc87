"""Whose certificates a download trusts: those that the user's environment names, for every client.

OpenSSL, which Keras downloads with, obeys ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``; ``requests``,
which Kaggle's client is made of, ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``. Where an
organisation inspects TLS, its people set one of them.
"""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from requests import certs

OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def share_certificates() -> None:
    """Let all clients of this process trust what the environment names for one of them.

    Each keeps what is named for itself. Where nothing is named and OpenSSL has no certificates of
    its own, it uses those that come with ``requests``.

    Raises:
        ValueError: a variable names something that holds no certificates.
    """
    named = {name: path for name in (*OPENSSL, *REQUESTS) if (path := os.environ.get(name))}
    for name, path in named.items():
        _check(name, path)
    for own, others in ((OPENSSL, REQUESTS), (REQUESTS, OPENSSL)):
        known = [named[name] for name in others if name in named]
        if known and not any(name in named for name in own):
            is_folder = own is OPENSSL and Path(known[0]).is_dir()
            os.environ[own[is_folder]] = known[0]
    default = ssl.get_default_verify_paths()
    if not named and default.cafile is None and default.capath is None:
        os.environ[OPENSSL[0]] = certs.where()


def refusal(error: BaseException) -> str | None:
    """Return what to do about a certificate that is not trusted; None for another error."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            named = [name for name in (*OPENSSL, *REQUESTS) if os.environ.get(name)]
            now = f"; now {named[0]} names {os.environ[named[0]]}" if named else ""
            return (
                f"its certificate is not trusted ({cause.verify_message}): where a firewall "
                "inspects TLS, SSL_CERT_FILE must name a file with your organisation's "
                f"certificates{now}"
            )
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and all errors that it holds or was raised because of, nearest first."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen or not isinstance(cause, BaseException):
            continue
        seen.add(id(cause))
        yield cause
        reason = getattr(cause, "reason", None)
        waiting += [*cause.args, reason, cause.__cause__, cause.__context__]


def _check(name: str, path: str) -> None:
    """Raise ``ValueError`` unless a variable names a folder, or a file with certificates."""
    if Path(path).is_dir():
        return
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # which ssl.SSLError is
        reason = "holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"{name} names {path}: {reason}; correct it, or unset it") from None
