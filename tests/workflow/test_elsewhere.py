"""The workflow runs from anywhere: from another folder, moved, and as a module of another one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CONFIGS = ("tests/config/demo.yaml", "tests/config/tiny.yaml")
SMALL = "model == 'lenet5' and variant == 'lungs'"  # one run
ODD = "Müller's study"
# No move may repeat these: only what reads the workflow's own files, and what comes after it.
COSTLY = {
    *("download", "pack", "audit", "split", "sampling", "weights", "features", "cut"),
    *("tune", "train", "classify", "evaluate", "gradcam"),
}


def snakemake(folder: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a folder; outside of any clone, and with an environment of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "PYTHONDONTWRITEBYTECODE")
    }
    return subprocess.run(
        [sys.executable, "-P", "-m", "snakemake", "--nocolor", *map(str, words)],
        cwd=folder,
        env=kept | {"CUDA_VISIBLE_DEVICES": "-1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )


def planned(done: subprocess.CompletedProcess) -> set[str]:
    """Return the rules that a dry run would run."""
    assert done.returncode == 0, done.stdout[-4000:]
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", done.stdout, re.MULTILINE))


def settings(clone: Path, database: Path, **more: object) -> dict:
    """Return the tests' configuration, as one mapping."""
    merged: dict = {}

    def lay(over: dict, under: dict) -> None:
        for key, value in over.items():
            if isinstance(value, dict) and isinstance(under.get(key), dict):
                lay(value, under[key])
            else:
                under[key] = value

    for name in CONFIGS:
        lay(yaml.safe_load((clone / name).read_text()), merged)
    lay({"dataset": {"source": "local", "path": str(database)}} | more, merged)
    return merged


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder of the user's, whose name is not plain."""
    folder = tmp_path / ODD
    folder.mkdir()
    return folder


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """Variables, and files behind them, that would lead Python or Jupyter astray."""
    astray = tmp_path / "astray"
    kernel = astray / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "another", "language": "python"})
    )
    start = astray / "ipython/profile_default/startup"
    start.mkdir(parents=True)
    (start / "first.py").write_text("raise SystemExit('started by IPython')")
    home = astray / "home"
    home.mkdir()
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONOPTIMIZE": "2",
        "JUPYTER_PATH": str(astray / "jupyter"),
        "IPYTHONDIR": str(astray / "ipython"),
        "MPLBACKEND": "TkAgg",
        "LC_ALL": "C",
        "TMPDIR": str(astray / "nowhere"),
        "HOME": str(home),
    }


def test_a_study_of_its_own_runs_to_the_report(finished, study: Path, hostile) -> None:
    """It has a config.yaml and a run table, and lies among all that leads Python astray."""
    for name in ("numpy", "keras", "random", "json", "listing"):
        (study / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    mine = settings(finished.folder, finished.database, runs="mine.tsv", run_filter=SMALL)
    (study / "config.yaml").write_text(yaml.safe_dump(mine))
    shutil.copy(finished.folder / "tests/config/demo-runs.tsv", study / "mine.tsv")
    relative = os.path.relpath(finished.folder / "Snakefile", study.parent)
    started = ("-s", relative, "--directory", study.name)
    done = snakemake(study.parent, *started, "--cores", "2", **hostile)
    assert done.returncode == 0, done.stdout[-6000:]
    assert (study / "results/report/report.html").stat().st_size > 1e5
    kept = (study / "results/report/report.ipynb").read_text()
    assert "of the working folder" not in kept
    # Snakemake's own cache.
    assert {path.name for path in Path(hostile["HOME"]).glob("*/*")} == {"snakemake"}
    command = json.loads((study / "results/logs/command.json").read_text())
    assert (study / command["start"]).resolve() == study.parent
    # The clone holds nothing of it, and the whole can be started from its own folder as well.
    assert planned(snakemake(study, "-n", "-p", "-s", finished.folder / "Snakefile")) == set()
    told = subprocess.run(
        [sys.executable, finished.folder / "workflow/resume.py"],
        cwd=study,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def moved_results(finished, folder: Path) -> None:
    """Copy the results of a finished workflow, and what Snakemake knows of them, elsewhere."""
    for name in ("results", ".snakemake"):
        shutil.copytree(finished.folder / name, folder / name)


def test_the_study_of_a_clone_goes_on_in_another_folder(finished, study: Path) -> None:
    """What reads files of the clone runs again, since their paths differ; nothing is trained."""
    moved_results(finished, study)
    done = finished.snakemake("-n", "-p", "--directory", str(study))
    rules = planned(done)
    assert "report" in rules
    assert not rules & COSTLY


def test_files_are_those_of_the_user_first(finished, study: Path) -> None:
    line = ("-n", "-p", "-s", finished.folder / "Snakefile", "--configfile")
    line += tuple(finished.folder / name for name in CONFIGS)
    assert "train" in planned(snakemake(study, *line))  # the run table of the clone
    (study / "tests/config").mkdir(parents=True)
    (study / "tests/config/demo-runs.tsv").write_text("model\n")
    done = snakemake(study, *line)
    assert "tests/config/demo-runs.tsv lacks the column" in done.stdout
    done = snakemake(study, *line, "--config", "runs=nowhere.tsv")
    assert "cannot read the run table nowhere.tsv" in done.stdout


MODULE = """
configfile: "settings.yaml"
import listing, resume

module pulmoscan:
    snakefile: "{snakefile}"
    config: {config}

use rule * from pulmoscan{names}

rule mine:
    default_target: True
    input: "results/report/report.html", "results/tables/runs.tsv"
    output: touch("mine.txt")
"""


def imported(finished, folder: Path, config: str = "config", names: str = "") -> None:
    """Write a workflow that imports the finished one, with its configuration or a part of it."""
    given = settings(finished.folder, finished.database)
    (folder / "settings.yaml").write_text(
        yaml.safe_dump(given if config == "config" else {"ours": given})
    )
    text = MODULE.format(snakefile=finished.folder / "Snakefile", config=config, names=names)
    (folder / "Snakefile").write_text(text)
    for name in ("listing", "resume", "audit"):
        (folder / f"{name}.py").write_text("")  # as ours are called


def test_a_module_of_another_workflow_runs_to_the_report(finished, study: Path) -> None:
    imported(finished, study, names=" as pulmoscan_*")
    moved_results(finished, study)
    rules = planned(snakemake(study, "-n", "-p"))
    assert not {rule.removeprefix("pulmoscan_") for rule in rules} & COSTLY
    assert {"mine", "pulmoscan_report"} <= rules
    done = snakemake(study, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    assert (study / "mine.txt").exists()
    assert (study / "results/report/report.html").stat().st_size > 1e5


def test_a_module_may_have_a_part_of_the_configuration(finished, study: Path) -> None:
    imported(finished, study, config="config['ours']")
    given = f"ours={{seeds: [3, 4], run_filter: {SMALL!r}}}"
    done = snakemake(study, "-n", "-p", "--config", given)
    assert {"train", "mine"} <= planned(done)
    assert "seed-4" in done.stdout


def test_what_a_module_cannot_have_is_a_line(finished, study) -> None:
    imported(finished, study, config="config\n    prefix: 'p'")
    assert "PulmoSCAN cannot have a prefix" in snakemake(study, "-n").stdout


@pytest.mark.parametrize("where", ["clone", "folder"])
def test_braces_in_a_path_are_a_line(finished, copied, tmp_path, where) -> None:
    folder = tmp_path / "a {study}"
    folder.mkdir()
    clone = (
        copied(finished, folder, with_results=False).folder if where == "clone" else finished.folder
    )
    directory = folder if where == "folder" else tmp_path
    done = snakemake(tmp_path, "-n", "-s", clone / "Snakefile", "--directory", directory)
    assert done.returncode == 1
    assert "braces" in done.stdout
    assert "Traceback" not in done.stdout
