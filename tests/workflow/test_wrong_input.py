"""Nothing wrong gets past the Snakefile: tests/config/wrong.yaml says what is said of what.

Every entry is parsed by Snakemake itself, in a fork of one process that has imported it.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CASES = yaml.safe_load((ROOT / "tests/config/wrong.yaml").read_text(encoding="utf-8"))
READ = ("Snakefile", "config.yaml", "workflow", "scripts", "notebooks")
HEADER = ["model", "unfreeze", "variant", "tables"]
IN_PROCESSES = ("a key at the top on the command line", "a filter that runs a command")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with what the Snakefile reads."""
    folder = tmp_path_factory.mktemp("parsed")
    for name in READ:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def options(folder: Path, case: dict) -> list[str]:
    """Write a case's files and return the command line that reads them."""
    here = folder / "cases" / case.get("wrong", case.get("right"))
    here.mkdir(parents=True)
    config = case.get("config", {})
    table = case.get("table")
    if "rows" in case:
        table = "".join("\t".join(row) + "\n" for row in [HEADER, *case["rows"]])
    if table is not None:
        data = table if isinstance(table, bytes) else table.encode()
        (here / "runs.tsv").write_bytes(data)
        config = {"runs": str(here / "runs.tsv")}
    text = config if isinstance(config, str) else yaml.safe_dump(config)
    (here / "config.yaml").write_text(text)
    words = ["--list-rules", "--nocolor", "--configfile", str(here / "config.yaml")]
    return words + (["--config", *case["options"]] if "options" in case else [])


def environment() -> dict[str, str]:
    """Return the environment without what is the user's own."""
    left_out = ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in left_out}


def snakemake(folder: Path, *options: str | Path, **more: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a folder with more in its environment, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *options],
        cwd=folder,
        env=environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def commands(folder: Path) -> dict[str, list[str]]:
    """The command line of each case, by what is wrong or right."""
    return {
        case[kind]: options(folder, case) for kind in ("wrong", "right") for case in CASES[kind]
    }


@pytest.fixture(scope="module")
def parsed(folder: Path, commands: dict[str, list[str]]) -> dict[str, tuple[int, str]]:
    """The exit status of each case and what was printed."""

    def outcomes(names: list[str]) -> dict[str, tuple[int, str]]:
        done = subprocess.run(
            [sys.executable, ROOT / "tests/helpers/parsing.py"],
            input=json.dumps([commands[name] for name in names]),
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=600,
        )
        return dict(zip(names, json.loads(done.stdout), strict=True))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(outcomes, (list(commands)[::2], list(commands)[1::2]))
    return first | second


def said(printed: str) -> list[str]:
    """Return the lines about the problem: those between the name of the error and its place."""
    lines = printed.splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("WorkflowError"))
    place = (index for index, line in enumerate(lines) if line.startswith(("  File ", "imported:")))
    return lines[begin + 1 : next(place, None)]


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["wrong"])
def test_what_is_wrong_is_told_in_a_line(parsed, folder, case):
    status, printed = parsed[case["wrong"]]
    assert status == 1, printed
    assert "Traceback" not in printed
    assert "Warning" not in printed
    told = [line for line in said(printed) if case["expected"] in line]
    assert len(told) == 1, printed
    if case["expected"].startswith("config: "):
        assert told[0].startswith(case["expected"])
    # Every line stands for itself.
    assert all(
        line.startswith(("config: ", "workflow/study/runs.tsv: ")) for line in said(printed)[1:]
    )
    assert not (folder / "ran").exists(), "a filter was executed"


@pytest.mark.parametrize("case", CASES["right"], ids=lambda case: case["right"])
def test_what_is_right_is_read_without_heavy_imports(parsed, case):
    status, printed = parsed[case["right"]]
    assert status == 0, printed
    assert printed.splitlines()[-1] == "imported:"


def test_a_backend_that_does_not_exist_is_told_before_anything_runs(folder, commands):
    done = snakemake(folder, *commands[CASES["right"][0]["right"]], KERAS_BACKEND="theano")
    assert done.returncode == 1
    expected = "KERAS_BACKEND is 'theano': expected one of tensorflow, jax, torch"
    assert said(done.stdout)[0] == expected


@pytest.mark.parametrize("wrong", IN_PROCESSES)
def test_a_process_of_its_own_says_the_same(folder, commands, parsed, wrong):
    command = ["--cores", "1", *commands[wrong]]
    command[command.index("--list-rules")] = "--dry-run"
    done = snakemake(folder, *command)
    assert done.returncode == 1
    assert said(done.stdout) == said(parsed[wrong][1])


def test_results_of_another_source_stop_a_run_and_its_plan_alone(folder, tmp_path):
    """Snakemake may look at the rules, and remove a lock."""
    (tmp_path / "results").mkdir()
    rows = ["file\torigin\tbytes", "COVID/images/COVID-1.png\tphantom\t5"]
    (tmp_path / "results/raw.tsv").write_text("\n".join(rows))

    elsewhere = ("-s", folder / "Snakefile", "--nocolor")
    refused = snakemake(tmp_path, *elsewhere, "--dry-run")
    assert refused.returncode == 1
    assert said(refused.stdout)[0].startswith(
        "config: dataset: results/ was made from dataset.source: phantom, but dataset.source is "
        "kaggle: what it holds would be replaced."
    )
    assert snakemake(tmp_path, *elsewhere, "--list-rules").returncode == 0
    assert snakemake(tmp_path, *elsewhere, "--unlock").returncode == 0
