"""Progress is printed every few seconds, with the right sums, from any thread."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pulmoscan.storage import progress


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed; a test may change its only entry."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_few_seconds_and_one_at_the_end(clock, capsys):
    shown = progress.Progress("{} files, {} bytes".format, total=4, seconds=5)
    for seconds, size in ((4, 10), (6, 20), (10, 30), (10.5, 40)):
        clock[0] = 100 + seconds
        shown.add(1, size)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["2 files, 30 bytes", "4 files, 100 bytes"]


def test_without_a_total_there_is_no_last_line(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 1)
    shown = progress.Progress("{} MB".format)
    shown.add(7)
    clock[0] += 1
    shown.add(7)
    shown.add(7)
    assert capsys.readouterr().err == "14 MB\n"


def test_threads_lose_nothing(capsys):
    shown = progress.Progress("{} {}".format, total=8000, seconds=1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: shown.add(1, number), range(8000)))
    assert capsys.readouterr().err == f"8000 {sum(range(8000))}\n"
