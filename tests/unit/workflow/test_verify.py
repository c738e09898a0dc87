"""What `make verify` prints, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pulmoscan.storage import tables

PROGRAM = Path(__file__).resolve().parents[3] / "workflow/verify.py"
LAST = ["--cores", "2", "--configfile", "tests/config/demo.yaml"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with three results."""
    monkeypatch.chdir(tmp_path)
    for name in ("runs", "costs", "region"):
        tables.write(f"results/tables/{name}.tsv", pd.DataFrame({"model": [name]}))
    command = Path("results/logs/command.json")
    command.parent.mkdir()
    command.write_text(json.dumps({"arguments": LAST, "environment": {"KERAS_BACKEND": "jax"}}))
    return tmp_path


def printed(folder: Path, *arguments: str) -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        cwd=folder,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_untouched_results_are_one_line(folder):
    expected = (0, ["3 files match their digests"], "")
    assert printed(folder) == expected
    assert printed(folder.parent, str(folder / "results")) == expected


def test_a_changed_result_is_named_with_the_command_that_makes_it_anew(folder):
    (folder / "results/tables/runs.tsv").write_text("model\nother\n")
    (folder / "results/tables/costs.tsv").unlink()
    (folder / "results/notes.txt").touch()
    started = f"env KERAS_BACKEND=jax {Path(sys.executable).with_name('snakemake')}"
    outputs = "results/tables/costs.tsv results/tables/runs.tsv"
    status, lines, errors = printed(folder)
    assert lines == [
        "results/tables/runs.tsv was changed after it was made",
        "results/tables/costs.tsv is gone",
        "results/notes.txt has no recorded digest",
        "1 file matches its digest, 1 changed, 1 missing, 1 not recorded",
        "Restore them from a copy, or make them and all that depends on them anew:",
        f"  {started} {' '.join(LAST)} --forcerun {outputs}",
    ]
    assert (status, errors) == (1, "")


def test_results_without_digests_are_not_called_changed(folder):
    for record in (folder / "results/digests").rglob("*.sha256"):
        record.unlink()
    status, lines, _ = printed(folder)
    assert status == 0
    assert lines[-2:] == [
        "0 files match their digests, 3 not recorded",
        "No digests are recorded in results/digests: nothing can be compared.",
    ]


def test_no_results_are_one_line(tmp_path):
    assert printed(tmp_path) == (1, [], "verify: there is no folder results\n")


def test_an_empty_folder_does_not_pass_for_results(tmp_path):
    (tmp_path / "results").mkdir()
    assert printed(tmp_path) == (1, [], "verify: results holds no results\n")


def test_a_number_of_cores_that_cannot_be(folder):
    assert printed(folder, "--cores", "0") == (1, [], "verify: --cores is 0: expected 1 or more\n")
