"""The digest of every result is recorded when it is made, and a changed one is not read."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import PurePosixPath

import pandas as pd
import pytest
from pulmoscan.storage import atomic, records, tables

FRAME = pd.DataFrame({"model": ["lenet5"], "accuracy": [0.5]})


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder of results of a working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.mark.parametrize("spelling", ["results/tables/runs.tsv", "{}/results/tables/runs.tsv"])
def test_sha256sum_agrees_with_the_record_of_a_result(results, tmp_path, spelling):
    tables.write(spelling.format(tmp_path), FRAME)
    assert list(records.read_all(results)) == [PurePosixPath("tables/runs.tsv")]
    if shutil.which("sha256sum"):
        record = results / "digests/tables/runs.tsv.sha256"
        done = subprocess.run(["sha256sum", "--check", record], cwd=results, capture_output=True)
        assert done.returncode == 0
        assert done.stdout == b"tables/runs.tsv: OK\n"


@pytest.mark.parametrize(
    "name",
    [
        "logs/command.json",
        "benchmarks/pack.tsv",
        "cache/local-digests.json",
        "checkpoints/runs/x/checkpoint.npz",
        "features/mobilenet/unfreeze-19/lungs.npy",
        "features/mobilenet/unfreeze-19/lungs.rows.npy",
        "../elsewhere.tsv",
    ],
)
def test_what_is_no_result_or_temporary_is_not_recorded(results, name):
    with atomic.replacing(f"results/{name}") as path:
        path.write_text("x")
    assert not (results / "digests").exists()


def test_a_folder_has_one_record_of_the_files_that_it_holds_now(results):
    folder = results / "explain/run/panels"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png", ".snakemake_timestamp"):
        (folder / name).write_text(name)
    atomic.record_folder(folder)
    (folder / "a.png").unlink()
    atomic.record_folder(folder)
    assert list(records.read_all(results)) == [PurePosixPath("explain/run/panels/b.png")]


def test_a_changed_result_is_refused_until_it_is_made_again(results):
    tables.write("results/metrics.tsv", FRAME)
    tables.read("results/metrics.tsv", "evaluate")
    path = results / "metrics.tsv"
    path.write_text(path.read_text().replace("0.5", "0.9"))
    sentence = "results/metrics.tsv was changed after it was made: remove it and run evaluate again"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        tables.read("results/metrics.tsv", "evaluate")
    assert tables.read("results/metrics.tsv", "evaluate", unchanged=False)["accuracy"].item() == 0.9
    path.unlink()
    tables.write("results/metrics.tsv", FRAME)
    tables.read("results/metrics.tsv", "evaluate")


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"no digest\n", "folder"])
def test_a_result_whose_record_is_lost_or_damaged_is_read(results, content):
    tables.write("results/metrics.tsv", FRAME)
    record = results / "digests/metrics.tsv.sha256"
    (results / "metrics.tsv").write_text("model\taccuracy\nlenet5\t0.7\n")
    record.unlink()
    if content == "folder":
        record.mkdir()
    elif content is not None:
        record.write_bytes(content)
    assert tables.read("results/metrics.tsv", "evaluate")["accuracy"].item() == 0.7


def test_a_result_of_another_folder_is_not_looked_up_here(results, tmp_path):
    tables.write("results/metrics.tsv", FRAME)
    tables.write(tmp_path / "other/results/metrics.tsv", FRAME.assign(accuracy=0.1))
    tables.read(tmp_path / "other/results/metrics.tsv", "evaluate")


KILLED = """
import os, signal
from pathlib import Path
from pulmoscan.storage import atomic
Path.replace, replace = lambda path, to: (
    replace(path, to) if to.suffix == ".sha256" else os.kill(os.getpid(), signal.SIGKILL)
), Path.replace
with atomic.replacing("results/metrics.tsv") as path:
    path.write_text("new")
"""


def test_a_job_killed_between_record_and_file_is_no_false_alarm_once_it_ran_again(
    results, repository
):
    with atomic.replacing("results/metrics.tsv") as path:
        path.write_text("old")
    environment = os.environ | {"PYTHONPATH": str(repository / "scripts")}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert (results / "metrics.tsv").read_text() == "old"
    with atomic.replacing("results/metrics.tsv") as path:
        path.write_text("new")
    assert sorted(path.name for path in results.iterdir()) == ["digests", "metrics.tsv"]
    (digest,) = records.read_all(results).values()
    records.check("results/metrics.tsv", "evaluate", digest)
    with pytest.raises(ValueError, match="was changed"):
        records.check("results/metrics.tsv", "evaluate", "0" * 64)
