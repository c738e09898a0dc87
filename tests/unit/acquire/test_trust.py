"""An organisation's own certificates: one variable serves every download."""

import os
import shutil
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pulmoscan.acquire import transfer, trust
from web_server import unused_port

VARIABLES = (*trust.OPENSSL, *trust.REQUESTS)
CLIENTS = ("requests", "urllib")  # Keras downloads with urllib
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs openssl to make certificates")

# In a process of its own: OpenSSL reads its variables once.
DOWNLOAD = """
from pathlib import Path
from urllib.request import urlopen
from pulmoscan import command
from pulmoscan.acquire import transfer, trust
from pulmoscan.networks import backbones, weights

def main(argv):
    url, client = argv
    if client == "requests":
        transfer.download(transfer.get(url), Path("file"), "a file")
    elif client == "urllib":
        trust.share_certificates()
        try:
            urlopen(url).read()
        except OSError as error:
            raise SystemExit(trust.refusal(error))
    else:
        backbones.published_url = lambda *_: url
        print(weights.fetch("MobileNet", {}, Path("cache")).read_bytes())

command.run(main)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of an authority, and one for 127.0.0.1 that it signed."""
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*words: str) -> None:
        subprocess.run([OPENSSL, *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=An organisation")
    openssl(
        *(*new, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=server"),
        *("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"),
    )
    hashed = subprocess.run(
        [OPENSSL, "x509", "-hash", "-noout", "-in", "ca.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (folder / "folder").mkdir()
    shutil.copy(folder / "ca.pem", folder / "folder" / f"{hashed}.0")
    return folder


@pytest.fixture(scope="module")
def url(authority: Path) -> str:
    """The address of a file on a server whose certificate that authority signed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"file")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/weights.h5"
    server.shutdown()


def downloaded(url: str, client: str, folder: Path, **variables: str) -> tuple[int, str]:
    """Return the status of a download, and the last line that it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    scripts = str(Path(trust.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", DOWNLOAD, url, client],
        cwd=folder,
        env=environment | {"PYTHONPATH": scripts, "NO_PROXY": "127.0.0.1"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("variable", "names"),
    [(name, "folder" if name == "SSL_CERT_DIR" else "ca.pem") for name in VARIABLES]
    + [("REQUESTS_CA_BUNDLE", "folder")],
)
def test_every_variable_serves_every_client(authority, url, tmp_path, client, variable, names):
    status, said = downloaded(url, client, tmp_path, **{variable: str(authority / names)})
    assert status == 0, said


@pytest.mark.parametrize("client", CLIENTS)
def test_a_certificate_that_is_not_trusted_names_the_variable(url, tmp_path, client):
    status, said = downloaded(url, client, tmp_path)
    assert status == 1
    assert "its certificate is not trusted" in said
    assert "SSL_CERT_FILE must name a file with your organisation's certificates" in said
    assert "check the network" not in said


def test_weights_are_fetched_with_the_same_certificates(authority, url, tmp_path):
    status, said = downloaded(url, "keras", tmp_path)
    assert status == 1
    assert "SSL_CERT_FILE must name a file with your organisation's certificates" in said
    assert "set weights.source to folder" in said
    named = {"REQUESTS_CA_BUNDLE": str(authority / "ca.pem")}
    status, said = downloaded(url, "keras", tmp_path, **named)
    assert status == 0, said


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), ("none", "holds no certificates")]
)
def test_a_variable_that_names_no_certificates(url, tmp_path, client, content, reason):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    status, said = downloaded(url, client, tmp_path, SSL_CERT_FILE=str(path))
    assert status == 1
    assert f"SSL_CERT_FILE names {path}: {reason}" in said


def test_each_client_keeps_what_is_named_for_it(authority, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "server.pem"))
    trust.share_certificates()
    assert os.environ["SSL_CERT_FILE"] == str(authority / "ca.pem")
    assert os.environ["REQUESTS_CA_BUNDLE"] == str(authority / "server.pem")
    assert "SSL_CERT_DIR" not in os.environ
    assert "CURL_CA_BUNDLE" not in os.environ


def test_other_errors_are_not_about_certificates():
    assert trust.refusal(OSError("no")) is None


def test_a_proxy_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setattr(trust, "share_certificates", lambda: None)
    with pytest.raises(transfer.UnreachableError, match="refused through the proxy of HTTPS_PROXY"):
        transfer.download(transfer.get("https://example.invalid/file"), tmp_path / "file", "a file")
