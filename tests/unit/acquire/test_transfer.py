import base64
import hashlib
import shutil

import pytest
import requests
from pulmoscan.acquire import transfer
from web_server import Page, WebServer, cut, stall, unused_port

BODY = bytes(range(256)) * 20_000


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with WebServer() as running:
        yield running


@pytest.fixture
def waits(monkeypatch):
    seconds = []
    monkeypatch.setattr(transfer.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.zip"


def fetch(server, target, path="/file.zip"):
    transfer.download(transfer.get(server.url + path), target, "the file")


def google_hash(content):
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    return {"x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"}


@pytest.mark.parametrize("chunked", [False, True])
def test_download(server, target, chunked):
    server.pages["/file.zip"] = Page(BODY, chunked=chunked)
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert [file.name for file in target.parent.iterdir()] == ["file.zip"]


def test_an_existing_file_is_not_fetched_again(server, target):
    server.pages["/file.zip"] = Page(BODY)
    fetch(server, target)
    fetch(server, target)
    assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_broken_connection_is_resumed_where_it_broke(server, target, waits, capsys, chunked):
    server.pages["/file.zip"] = Page(
        BODY, chunked=chunked, headers=google_hash(BODY), faults=[cut(3_000_000), cut(1_500_000)]
    )
    fetch(server, target)
    assert target.read_bytes() == BODY
    first, second, third = server.ranges("/file.zip")
    assert first is None
    assert 0 < int(second[6:-1]) <= 3_000_000 < int(third[6:-1]) <= 4_500_000
    assert waits == [1, 1]
    assert "the file from 127.0.0.1: connection broken at" in capsys.readouterr().err


def test_a_server_without_ranges_starts_over(server, target, waits):
    server.pages["/file.zip"] = Page(BODY, ranges=False, chunked=True, faults=[cut(3_000_000)])
    fetch(server, target)
    assert target.read_bytes() == BODY


def test_the_next_run_resumes(server, target, waits):
    page = server.pages["/file.zip"] = Page(BODY, faults=[cut(3_000_000), *[503] * 5])
    with pytest.raises(transfer.UnreachableError, match=r"HTTP 503\); .* MB are kept, run again"):
        fetch(server, target)
    assert not target.exists()
    assert page.faults == []
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.ranges("/file.zip")[-1] is not None


def test_a_complete_download_that_was_not_renamed(server, target):
    server.pages["/file.zip"] = Page(BODY, headers=google_hash(BODY))
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(BODY)
    fetch(server, target)
    assert target.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_discarded(server, target, waits):
    server.pages["/file.zip"] = Page(BODY)
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(BODY + b"more")
    fetch(server, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("kept", [b"", b"something else"])
def test_a_wrong_hash_is_not_kept(server, target, kept):
    server.pages["/file.zip"] = Page(BODY, headers=google_hash(BODY if kept else b"other"))
    target.parent.mkdir()
    if kept:
        target.with_name("file.zip.part").write_bytes(kept)
    with pytest.raises(transfer.CorruptedError, match=r"MD5 is wrong\) and was removed: run again"):
        fetch(server, target)
    assert list(target.parent.iterdir()) == []


def test_server_errors_are_retried_with_growing_pauses(server, target, waits):
    server.pages["/file.zip"] = Page(BODY, faults=[500, 502, 429, 503])
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, target, waits, status):
    server.pages["/file.zip"] = Page(BODY, faults=[status])
    with pytest.raises(transfer.RefusedError, match=rf"127.0.0.1 .* the file \(HTTP {status}\)"):
        fetch(server, target)
    assert waits == []


def test_no_answer(server, target, waits):
    send = transfer.get(f"http://127.0.0.1:{unused_port()}/secret?signature=abc")
    with pytest.raises(
        transfer.UnreachableError,
        match=r"^cannot download the file from 127.0.0.1 \(Connection refused\)$",
    ):
        transfer.download(send, target, "the file")
    assert len(waits) == transfer.ATTEMPTS - 1


def test_no_name_service(target, waits):
    send = transfer.get("http://no-such-host.invalid/file")
    with pytest.raises(transfer.UnreachableError, match=r"from no-such-host.invalid \(\w+.*\)$"):
        transfer.download(send, target, "the file")


def test_a_server_that_falls_silent(server, target, waits, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (1, 0.1))
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    server.pages["/file.zip"] = Page(BODY, faults=[stall(0.5)])
    with pytest.raises(transfer.UnreachableError, match=r"\(no answer in time\)"):
        fetch(server, target)


def test_no_room(server, target, monkeypatch):
    server.pages["/file.zip"] = Page(BODY)
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="the download of the file needs 5 MB, 1 MB are free"):
        fetch(server, target)


def test_an_address_is_never_shown(target, waits, capsys):
    def send(headers):
        raise requests.ConnectionError("Max retries exceeded with url: /x?signature=abc")

    with pytest.raises(transfer.UnreachableError) as caught:
        transfer.download(send, target, "the file")
    assert "signature" not in str(caught.value) + capsys.readouterr().err
