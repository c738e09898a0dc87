"""Files are complete or absent, whatever happens to the process that writes them."""

import os
import signal
import subprocess
import sys

import pytest
from pulmoscan.storage import atomic
from refusals import refusal

WRITER = """
import sys
from pulmoscan.storage import atomic
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


def test_a_file_appears_when_it_is_complete(writer, tmp_path):
    process = writer(tmp_path / "table.tsv")
    assert not (tmp_path / "table.tsv").exists()
    process.communicate("\n")
    assert (tmp_path / "table.tsv").read_text() == "the whole"
    assert names(tmp_path) == ["table.tsv"]


def test_an_encoding_error_leaves_the_former_file(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("former")
    with pytest.raises(UnicodeEncodeError), atomic.replacing(path) as temporary:
        temporary.write_text("half of é", encoding="ascii")
    assert path.read_text() == "former"
    assert names(tmp_path) == ["table.tsv"]


def test_leftovers_of_a_killed_writer_are_removed_by_the_next_one(writer, tmp_path):
    path, other = tmp_path / "a[1].tar.gz", tmp_path / "b.tar.gz"
    killed, alive, of_another = writer(path), writer(path), writer(other)
    for process in (killed, of_another):
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(names(tmp_path)) == 3
    with atomic.replacing(path) as temporary:
        temporary.write_text("mine")
    assert path.read_text() == "mine"
    # Those of the other file and of the writer that is alive stay; the latter finishes as usual.
    assert len(names(tmp_path)) == 3
    alive.communicate("\n")
    assert path.read_text() == "the whole"
    with atomic.replacing(other) as temporary:
        temporary.write_text("mine")
    assert names(tmp_path) == ["a[1].tar.gz", "b.tar.gz"]


def test_the_suffix_is_kept_and_the_umask_applies(tmp_path):
    mask = os.umask(0o027)
    try:
        with atomic.replacing(tmp_path / "deep/er/array.npy") as temporary:
            assert temporary.name.endswith(".npy")
    finally:
        os.umask(mask)
    assert (tmp_path / "deep/er/array.npy").stat().st_mode & 0o777 == 0o640


def test_a_replaced_file_is_complete(tmp_path):
    target = tmp_path / "new/table.tsv"
    with atomic.replacing(target) as path:
        path.write_text("a\n")
        assert path.suffix == ".tsv"
        assert not target.exists()
    assert target.read_text() == "a\n"
    assert [file.name for file in target.parent.iterdir()] == ["table.tsv"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")

    def write_half() -> None:
        with atomic.replacing(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.tsv"]


def test_errors_of_writing_name_the_file_and_give_the_reason_of_the_system(tmp_path):
    def full(number: int) -> None:
        with atomic.replacing(tmp_path / "table.tsv"):
            raise OSError(number, os.strerror(number))

    for number, reason in ((28, "No space left on device"), (27, "File too large")):
        _, sentence = refusal(full, number)
        assert sentence == f"cannot write {tmp_path}/table.tsv: {reason}"
    with pytest.raises(FileNotFoundError):  # of a file that the block reads
        full(2)
    assert names(tmp_path) == []
