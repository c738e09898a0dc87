"""A changed byte anywhere in the results is found, wherever they were moved to."""

import os
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results.selection import COLUMNS
from pulmoscan.results.verification import State, made_by, verify
from pulmoscan.storage import arrays, atomic, digests, tables

RUN = "grouped/lungs/lenet5/unfreeze-all"
DROPPED = "grouped/full/lenet5/unfreeze-all"


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """A folder of results with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results")
    raw = folder / "raw/COVID/images/COVID-1.png"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"image")
    (folder / "raw/.snakemake_timestamp").touch()
    listed = [("COVID/images/COVID-1.png", digests.file_digest(raw))]
    tables.write(folder / "raw.tsv", pd.DataFrame(listed, columns=["file", "sha256"]))
    with atomic.replacing(folder / "packed/images.npy") as path:
        arrays.write(path, np.zeros((3, 4, 4), np.uint8))
    row = dict.fromkeys(COLUMNS, "") | {"split_name": "grouped", "model": "lenet5", "seed": 0}
    row |= {"unfreeze": "all", "variant": "lungs", "status": "run", "selected": True}
    tables.write(folder / "gathered/selection.tsv", pd.DataFrame([row]))
    for run in (RUN, DROPPED):
        tables.write(folder / f"runs/{run}/seed-0/metrics.tsv", pd.DataFrame({"accuracy": [0.5]}))
        panels = folder / f"explain/{run}/panels"
        panels.mkdir(parents=True)
        (panels / "COVID-1.png").write_bytes(b"panel")
        atomic.record_folder(panels)
    for apart in ("logs", "benchmarks", "cache", "checkpoints", "features/vgg16/unfreeze-4"):
        (folder / apart).mkdir(parents=True)
        (folder / apart / "x.npy").touch()
    return folder


def wrong(results: Path) -> dict[str, str]:
    found = verify(results, threads=2)
    assert list(found) == sorted(found)
    return {str(name): str(state) for name, state in found.items() if state is not State.MATCHES}


def test_untouched_results_match_wherever_they_are(results, tmp_path, monkeypatch):
    assert wrong(results) == {}
    assert len(verify(results, 1)) == 8
    moved = tmp_path / "archive/study 1"
    shutil.copytree(results, moved)
    monkeypatch.chdir("/")
    assert wrong(moved) == {}
    (tmp_path / "link").symlink_to(moved)
    assert wrong(tmp_path / "link") == {}


@pytest.mark.parametrize(
    "name",
    [
        "raw/COVID/images/COVID-1.png",
        "raw.tsv",
        "packed/images.npy",
        "gathered/selection.tsv",
        f"runs/{RUN}/seed-0/metrics.tsv",
        f"runs/{DROPPED}/seed-0/metrics.tsv",
        f"explain/{RUN}/panels/COVID-1.png",
    ],
)
def test_one_changed_byte_is_found_though_size_and_date_are_kept(results, name):
    path = results / name
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert wrong(results)[name] == "changed"
    assert set(wrong(results)) - {"raw/COVID/images/COVID-1.png"} <= {name}


@pytest.mark.parametrize("at", [3, 70])
def test_a_changed_byte_of_a_record_is_found(results, at):
    path = results / "digests/packed/images.npy.sha256"
    content = bytearray(path.read_bytes())
    content[at] = ord("!")
    path.write_bytes(content)
    assert wrong(results)


def test_swapped_models_and_reordered_tables_are_found(results):
    first, second = (results / f"runs/{run}/seed-0/metrics.tsv" for run in (RUN, DROPPED))
    tables.write(second, pd.DataFrame({"accuracy": [0.9]}))
    first.rename(results / "away")
    second.rename(first)
    (results / "away").rename(second)
    assert set(wrong(results).values()) == {"changed"}
    assert len(wrong(results)) == 2


def test_a_file_that_is_gone_is_missed_unless_its_run_was_dropped(results):
    shutil.rmtree(results / f"runs/{DROPPED}")
    shutil.rmtree(results / f"explain/{DROPPED}")
    assert wrong(results) == {}
    shutil.rmtree(results / f"runs/{RUN}")
    shutil.rmtree(results / "packed")
    assert wrong(results) == {
        "packed/images.npy": "missing",
        f"runs/{RUN}/seed-0/metrics.tsv": "missing",
    }


def test_what_nobody_recorded_is_named_and_nothing_else(results):
    (results / "notes.txt").write_text("mine")
    (results / f"explain/{RUN}/panels/more.png").write_bytes(b"")
    assert set(wrong(results).items()) == {
        ("notes.txt", "not recorded"),
        (f"explain/{RUN}/panels/more.png", "not recorded"),
    }
    shutil.rmtree(results / "digests")
    assert set(wrong(results).values()) == {"not recorded"}


def test_what_is_no_file_is_unreadable_and_does_not_hang(results):
    path = results / "packed/images.npy"
    path.unlink()
    os.mkfifo(path)
    assert wrong(results) == {"packed/images.npy": "unreadable"}
    path.unlink()
    path.mkdir()
    assert wrong(results) == {"packed/images.npy": "unreadable"}


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("tables/runs.tsv", "tables/runs.tsv"),
        ("raw/COVID/images/COVID-1.png", "raw.tsv"),
        (f"explain/{RUN}/panels/COVID-1.png", f"explain/{RUN}/panels"),
        ("report/figures/levels.png", "report/report.html"),
        ("digests/tables/runs.tsv.sha256", "tables/runs.tsv"),
        ("digests/report.sha256", "report/report.html"),
    ],
)
def test_the_output_that_snakemake_can_be_asked_for(name, output):
    assert made_by(PurePosixPath(name)) == PurePosixPath(output)
