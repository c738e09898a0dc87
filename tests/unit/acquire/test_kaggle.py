import base64
import hashlib
import json

import download
import kagglesdk.kaggle_env
import pytest
from pulmoscan.acquire import kaggle, transfer
from tiny_database import contents, read_folder, write_folder, zipped
from web_server import Page, WebServer, cut, unused_port

API = "/v1/datasets.DatasetApiService/DownloadDataset"
HALF = 2048  # bytes, about half of the archive
STORE = "/store/archive.zip?X-Goog-Signature=secret"


def google_hash(content):
    return {"x-goog-hash": f"md5={base64.b64encode(hashlib.md5(content).digest()).decode()}"}


@pytest.fixture
def endpoint(monkeypatch, tmp_path):
    """Point Kaggle's client at an address; it finds no credentials."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(transfer, "CHUNK", 64)
    monkeypatch.setattr(kaggle, "PUBLISHED_COUNTS", dict.fromkeys(kaggle.PUBLISHED_COUNTS, 2))

    def point(url):
        monkeypatch.setitem(
            kagglesdk.kaggle_env._env_to_endpoint, kagglesdk.kaggle_env.KaggleEnv.PROD, url
        )

    return point


@pytest.fixture
def server(endpoint):
    with WebServer() as running:
        endpoint(running.url)
        running.pages[API] = Page(redirect=running.url + STORE)
        yield running


@pytest.fixture
def get(tmp_path):
    """Run the stage; return what ``raw/`` holds."""

    def get():
        folder = tmp_path / "results"
        download.main(
            f"--source kaggle --cache {folder}/cache --raw {folder}/raw "
            f"--table {folder}/raw.tsv --unread {folder}/unread.tsv "
            f"--images {folder}/raw_images.tsv".split()
        )
        return read_folder(folder / "raw")

    return get


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "results/cache"


def archive(files=None):
    return zipped(contents() if files is None else files, prefix="COVID-19_Radiography_Dataset/")


def assert_nothing_finished(tmp_path):
    left = {path.name for path in (tmp_path / "results").iterdir()}
    assert left <= {"cache"}


def test_a_good_answer(server, get, cache, tmp_path):
    server.pages[STORE] = Page(archive(), headers=google_hash(archive()))
    assert get() == contents()
    assert list(cache.iterdir()) == []
    table = (tmp_path / "results/raw.tsv").read_text()
    assert (
        "kaggle:tawsifurrahman/covid19-radiography-database/versions/5/"
        "COVID-19_Radiography_Dataset/COVID/images/COVID-1.png\t"
    ) in table
    asked = json.loads(server.requests[0].body)
    assert (asked["ownerSlug"], asked["datasetSlug"], asked["datasetVersionNumber"]) == (
        "tawsifurrahman",
        "covid19-radiography-database",
        5,
    )


def test_a_broken_connection_is_resumed(server, get):
    body = archive()
    server.pages[STORE] = Page(body, headers=google_hash(body), faults=[cut(HALF), 503])
    assert get() == contents()
    first, *later = server.ranges(STORE)
    assert first is None
    assert f"bytes={HALF}-" in later


def test_the_next_run_resumes(server, get, tmp_path, cache):
    body = archive()
    page = server.pages[STORE] = Page(body, faults=[cut(HALF), *[503] * 12])
    with pytest.raises(OSError, match="run again to resume"):
        get()
    assert_nothing_finished(tmp_path)
    page.faults.clear()
    assert get() == contents()
    assert server.ranges(STORE)[-1] == f"bytes={HALF}-"


def test_a_wrong_hash(server, get, cache, tmp_path):
    server.pages[STORE] = Page(archive(), headers=google_hash(b"another archive"))
    with pytest.raises(OSError, match=r"MD5 is wrong\) and was removed: run again"):
        get()
    assert list(cache.iterdir()) == []
    assert_nothing_finished(tmp_path)


def test_a_damaged_archive_without_a_hash(server, get, cache, tmp_path):
    body = bytearray(archive())
    body[body.index(b"COVID/masks/COVID-2.png") + 25] ^= 0xFF
    server.pages[STORE] = Page(bytes(body))
    with pytest.raises(ValueError, match=r"the archive from Kaggle .* is damaged at .*COVID-2.png"):
        get()
    assert list(cache.iterdir()) == []
    assert_nothing_finished(tmp_path)


@pytest.mark.parametrize("name", ["../outside/COVID/images/COVID-9.png", "/COVID-9.png"])
def test_an_entry_that_leaves_the_folder(server, get, tmp_path, name):
    files = {f"COVID-19_Radiography_Dataset/{path}": body for path, body in contents().items()}
    server.pages[STORE] = Page(zipped(files | {name: b"x"}))
    with pytest.raises(ValueError, match="points outside"):
        get()
    assert_nothing_finished(tmp_path)


def test_other_numbers_of_images(server, get, cache, tmp_path):
    files = contents()
    del files["COVID/images/COVID-1.png"]
    server.pages[STORE] = Page(archive(files))
    with pytest.raises(
        ValueError,
        match=r"5.zip is not the published database: it holds 1 images of COVID instead of 2. "
        r"Remove it .* dataset.source: local",
    ):
        get()
    assert len(list(cache.iterdir())) == 1
    assert_nothing_finished(tmp_path)


@pytest.mark.parametrize("where", [API, STORE])
def test_server_errors_are_retried(server, get, where):
    server.pages[STORE] = Page(archive())
    server.pages[where].faults += [500, 503, 429]
    assert get() == contents()


def test_lasting_server_errors(server, get):
    server.pages[API].faults += [500] * transfer.ATTEMPTS
    with pytest.raises(OSError, match=r"from 127.0.0.1 \(HTTP 500\); check the network, or choose"):
        get()


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "no account is needed"), (403, "no account is needed"), (404, "no such version")],
)
@pytest.mark.parametrize("where", [API, STORE])
def test_a_refusal(server, get, where, status, advice):
    server.pages[STORE] = Page(archive())
    server.pages[where].faults += [status]
    with pytest.raises(OSError, match=rf"HTTP {status}\); .*{advice}.*sample .*local .*phantom"):
        get()


def test_no_network(endpoint, get, tmp_path, capsys):
    endpoint(f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(
        OSError, match=r"^[^\n]*Connection refused[^\n]*sample .*local .*phantom .*$"
    ):
        get()
    assert_nothing_finished(tmp_path)


def test_neither_credentials_nor_signatures_are_shown(server, get, monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "t0psecret")
    server.pages[STORE] = Page(archive(), faults=[cut(100), 500, 403])
    with pytest.raises(OSError, match="403") as caught:
        get()
    shown = "".join(capsys.readouterr()) + str(caught.value)
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    for secret in ("t0psecret", "somebody", "secret", "Signature"):
        assert secret not in shown


def test_a_credentials_file_that_cannot_be_parsed(server, get, tmp_path):
    write_folder(tmp_path / "home", {"kaggle.json": b"{"})
    with pytest.raises(ValueError, match=r"kaggle.json: repair or remove it, none is needed"):
        get()


def test_published_counts():
    assert sum(kaggle.PUBLISHED_COUNTS.values()) == 21_165
