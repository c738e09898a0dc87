import csv
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import download
import pytest
from pulmoscan.data import raw_folder
from pulmoscan.storage import progress
from tiny_database import contents, read_folder, write_folder, zipped


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def run(results):
    """Run the stage with more arguments."""

    def run(*more):
        places = ("--cache", "cache"), ("--raw", "raw"), ("--table", "raw.tsv")
        places += (("--unread", "unread.tsv"), ("--images", "raw_images.tsv"))
        paths = [word for option, name in places for word in (option, str(results / name))]
        download.main([*paths, *more])

    return run


@pytest.fixture
def get(run):
    """Run the stage for a local copy."""
    return lambda path, *more: run("--source", "local", "--path", str(path), *more)


def read_table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("threads", ["1", "5"])
def test_the_copy_and_its_table(get, results, tmp_path, packed, threads):
    files = contents(images=70, kaggle=False)
    copy = tmp_path / "copy"
    copy.write_bytes(zipped(files)) if packed else write_folder(copy, files)
    before = datetime.now(UTC) - timedelta(seconds=1)
    get(copy, "--threads", threads)
    expected = contents(images=70)
    assert read_folder(results / "raw") == expected
    assert names(results) == ["raw", "raw.tsv", "raw_images.tsv", "unread.tsv"]
    rows = read_table(results / "raw.tsv")
    assert list(rows[0]) == ["file", "origin", "bytes", "sha256", "retrieved"]
    found = {row["file"]: (int(row["bytes"]), row["sha256"]) for row in rows}
    assert found == {
        name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in expected.items()
    }
    assert [row["file"] for row in rows] == sorted(
        expected, key=lambda name: PurePosixPath(name).parts
    )
    origin = {row["file"]: row["origin"] for row in rows}
    assert origin["Normal/masks/Normal-7.png"] == f"{copy}/Normal/masks/NORMAL-7.png"
    (retrieved,) = {row["retrieved"] for row in rows}
    assert before <= datetime.fromisoformat(retrieved) <= datetime.now(UTC)


def test_copies_are_files_of_their_own(get, results, tmp_path):
    copy = write_folder(tmp_path / "copy", contents())
    get(copy)
    shutil.rmtree(copy)
    assert read_folder(results / "raw") == contents()
    assert not any(path.is_symlink() for path in (results / "raw").rglob("*"))


def test_a_former_copy_is_replaced(get, results, tmp_path):
    get(write_folder(tmp_path / "large", contents(images=3)))
    get(write_folder(tmp_path / "small", contents(images=1)))
    assert read_folder(results / "raw") == contents(images=1)
    assert len(read_table(results / "raw.tsv")) == 12
    assert names(results) == ["raw", "raw.tsv", "raw_images.tsv", "unread.tsv"]


def test_the_copy_may_be_its_own_source(get, results, tmp_path):
    get(write_folder(tmp_path / "copy", contents()))
    get(results / "raw")
    assert read_folder(results / "raw") == contents()


def test_a_failure_leaves_nothing(get, results, tmp_path):
    content = bytearray(zipped(contents()))
    content[content.index(b"Normal/masks/Normal-2.png") + 26] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged at"):
        get(tmp_path / "x.zip")
    assert names(results) == []


def test_a_failure_leaves_the_former_copy_as_it_was(get, results, tmp_path):
    get(write_folder(tmp_path / "copy", contents()))
    table = (results / "raw.tsv").read_text()
    os.truncate(tmp_path / "copy/COVID/images/COVID-2.png", raw_folder.MAX_FILE + 1)
    with pytest.raises(ValueError, match="more than any file"):
        get(tmp_path / "copy")
    assert read_folder(results / "raw") == contents()
    assert (results / "raw.tsv").read_text() == table


def test_a_refused_archive_writes_nothing(get, results, tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped(contents() | {"../../COVID/images/COVID-9.png": b"x"}))
    with pytest.raises(ValueError, match="points outside"):
        get(tmp_path / "x.zip")
    assert not results.exists()


def test_a_killed_run_leaves_nothing_that_looks_finished(get, results, tmp_path, pytestconfig):
    copy = write_folder(tmp_path / "copy", contents())
    endless = (  # files whose content never comes
        "import sys, time; sys.path.insert(0, sys.argv.pop(1)); import download; "
        "from pulmoscan.acquire import local; "
        "local.chunks = lambda path: (time.sleep(60) for _ in 'x'); download.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", endless, pytestconfig.rootpath / "scripts"]
    command += ["--source", "local", "--unread", results / "unread.tsv"]
    command += ["--images", results / "raw_images.tsv"]
    command += ["--path", copy, "--cache", results / "cache"]
    command += ["--raw", results / "raw", "--table", results / "raw.tsv", "--threads", "1"]
    process = subprocess.Popen(command)
    while not (results / ".raw.unfinished/COVID/images/COVID-1.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(results) == [".raw.unfinished"]
    get(write_folder(tmp_path / "good", contents()))
    assert names(results) == ["raw", "raw.tsv", "raw_images.tsv", "unread.tsv"]
    assert read_folder(results / "raw") == contents()


def test_no_room(get, results, tmp_path, monkeypatch):
    monkeypatch.setattr(raw_folder, "BLOCK", 1_000_000)
    usage = shutil.disk_usage("/")._replace(free=7_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"space in .*/results: the data set needs 20 MB, 7 MB are"):
        get(write_folder(tmp_path / "copy", contents()))
    assert names(results) == []


def test_a_file_that_is_shorter_than_it_was(results):
    file = raw_folder.DatabaseFile(PurePosixPath("a.png"), "here/a.png", 3, lambda: iter([b"ab"]))
    with pytest.raises(ValueError, match=r"here/a.png is 2 bytes long instead of 3"):
        raw_folder.write([file], results / "raw", results / "raw.tsv", threads=1)
    assert names(results) == []


def test_phantom(run, results, monkeypatch):
    asked = []

    def write_database(folder, **settings):
        asked.append(settings)
        write_folder(folder, contents())

    monkeypatch.setattr("pulmoscan.phantom.database.write_database", write_database)
    settings = '{"images_per_class": {"COVID": 3}, "size": 64, "seed": 5}'
    run("--source", "phantom", "--phantom", settings, "--path", "")
    assert asked == [{"images_per_class": {"COVID": 3}, "size": 64, "seed": 5}]
    assert read_folder(results / "raw") == contents()
    assert {row["origin"] for row in read_table(results / "raw.tsv")} == {"phantom"}
    assert names(results) == ["raw", "raw.tsv", "raw_images.tsv", "unread.tsv"]


def test_an_error_is_one_line(tmp_path, pytestconfig):
    command = [sys.executable, pytestconfig.rootpath / "scripts/download.py", "--source", "local"]
    command += ["--path", "no/copy", "--cache", "c", "--raw", "raw", "--table", "raw.tsv"]
    command += ["--unread", "unread.tsv", "--images", "raw_images.tsv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"download: dataset.path: .*/no/copy does not exist\n", done.stderr)


def test_progress(get, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS", 0)
    get(write_folder(tmp_path / "copy", contents()))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "copied 20 of 20 files, 0 of 0 MB"
    assert len(lines) == 20


def test_real_database(get, results, real_data):
    get(real_data)
    rows = read_table(results / "raw.tsv")
    assert len(rows) == 1604
    for row in rows[::100]:
        body = (results / "raw" / row["file"]).read_bytes()
        assert (int(row["bytes"]), row["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    spelled = (real_data / "Viral_Pneumonia.metadata.xlsx").read_bytes()
    assert (results / "raw/Viral Pneumonia.metadata.xlsx").read_bytes() == spelled
