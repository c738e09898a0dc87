"""Files that are whole or not there, whatever happens to the process that writes them."""

import os
import signal
import subprocess
import sys

import pytest
from pulmoscan.storage import atomic

WRITER = """
import sys
from pulmoscan import atomic
with atomic.replacing(sys.argv[1]) as path:
    path.write_text("half of")
    print("writing", flush=True)
    input()
    path.write_text("the whole")
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def writer(repository):
    """A function that starts a process which is in the middle of writing a file."""
    started = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env=os.environ | {"PYTHONPATH": str(repository / "scripts")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_file_is_there_when_it_is_whole(writer, tmp_path):
    process = writer(tmp_path / "table.tsv")
    assert not (tmp_path / "table.tsv").exists()
    process.communicate("\n")
    assert (tmp_path / "table.tsv").read_text() == "the whole"
    assert names(tmp_path) == ["table.tsv"]


def test_an_error_leaves_the_former_file(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("former")
    with pytest.raises(UnicodeEncodeError), atomic.replacing(path) as temporary:
        temporary.write_text("half of é", encoding="ascii")
    assert path.read_text() == "former"
    assert names(tmp_path) == ["table.tsv"]


def test_what_a_killed_writer_left_goes_with_the_next_one(writer, tmp_path):
    path, other = tmp_path / "a[1].tar.gz", tmp_path / "b.tar.gz"
    killed, alive, of_another = writer(path), writer(path), writer(other)
    for process in (killed, of_another):
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(names(tmp_path)) == 3
    with atomic.replacing(path) as temporary:
        temporary.write_text("mine")
    assert path.read_text() == "mine"
    # That of the other file stays, and that of the writer that is alive, who ends as always.
    assert len(names(tmp_path)) == 3
    alive.communicate("\n")
    assert path.read_text() == "the whole"
    with atomic.replacing(other) as temporary:
        temporary.write_text("mine")
    assert names(tmp_path) == ["a[1].tar.gz", "b.tar.gz"]


def test_the_ending_stays_and_the_umask_holds(tmp_path):
    mask = os.umask(0o027)
    try:
        with atomic.replacing(tmp_path / "deep/er/array.npy") as temporary:
            assert temporary.name.endswith(".npy")
    finally:
        os.umask(mask)
    assert (tmp_path / "deep/er/array.npy").stat().st_mode & 0o777 == 0o640
