"""Searches: resumable to the last bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import tune  # noqa: E402
from pulmoscan.storage import checkpoint  # noqa: E402
from pulmoscan.training import search  # noqa: E402
from small_search import HEAD, HEAD_SPACE, arguments, assert_same  # noqa: E402


class KilledError(Exception):
    """Stands in for the end of a process."""


def killed_after(monkeypatch: pytest.MonkeyPatch, number: int, line: list) -> None:
    """Run a search that ends when a number of trials are saved."""
    saved = []

    def stop(row: dict) -> None:
        saved.append(row)
        if len(saved) == number:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(search, "_line", stop)
        with pytest.raises(KilledError):
            tune.main(line)


def test_a_killed_search_ends_like_an_uninterrupted_one(
    search_data: Path,
    finished_search: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    number = 3  # the next trial continues from an earlier one
    line = arguments(search_data, tmp_path / "out", HEAD, HEAD_SPACE)
    killed_after(monkeypatch, number, line)
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    tune.main(line)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"out: resuming after {number} trials"
    assert [text.split()[2] for text in printed[1:]] == [f"{n:04}" for n in range(number, 6)]
    assert_same(finished_search, tmp_path / "out")
    assert not (tmp_path / "out.checkpoint").exists()


def test_a_killed_process_ends_like_an_uninterrupted_one(
    search_data: Path, finished_search: Path, tmp_path: Path
) -> None:
    line = arguments(search_data, tmp_path / "out", HEAD, HEAD_SPACE)
    process = subprocess.Popen(
        [sys.executable, tune.__file__, *line], stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    for text in process.stdout:
        assert time.monotonic() < deadline
        if text.startswith("out: trial 0001"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / "out.checkpoint" / checkpoint.FILE).exists()
    tune.main(line)
    assert_same(finished_search, tmp_path / "out")


def test_the_checkpoint_of_another_search_is_ignored(
    search_data: Path, finished_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    other = arguments(search_data, tmp_path / "a", HEAD, HEAD_SPACE, seed=8, checkpoint=folder)
    killed_after(monkeypatch, 4, other)
    assert len(list(folder.glob("trial-*"))) == 3
    tune.main(arguments(search_data, tmp_path / "b", HEAD, HEAD_SPACE, checkpoint=folder))
    assert_same(finished_search, tmp_path / "b")
    assert not folder.exists()


def test_lost_weights_are_reported(
    search_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = arguments(search_data, tmp_path / "out", HEAD, HEAD_SPACE)
    killed_after(monkeypatch, 3, line)
    for place in (tmp_path / "out.checkpoint").glob("trial-*"):
        checkpoint.remove(place)
    with pytest.raises(
        OSError, match=r"weights of trial 000\d are no longer in .* remove that folder"
    ):
        tune.main(line)
