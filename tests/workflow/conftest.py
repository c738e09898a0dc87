"""One run of the whole DAG, on a copy of the repository, that all workflow tests read.

The data set is a folder of phantoms (`dataset.source: local`), so that tests can edit its images.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pulmoscan.phantom import database as phantom

CONFIGS = ("tests/config/demo.yaml", "tests/config/tiny.yaml")
IMAGES_PER_CLASS = 14
DEVICES = [f"GPU-of-test-{os.getpid()}-{number}" for number in range(2)]


@dataclass(frozen=True)
class Workflow:
    """A copy of the repository in which Snakemake runs, and the database that it reads."""

    folder: Path
    database: Path
    committed: frozenset[str] = frozenset()  # names in the folder before anything ran
    printed: str = ""  # by the run that made everything

    def command(self, *options: str, cores: int = 2, **config: object) -> list[str]:
        """Return the command line of Snakemake with the tests' configuration."""
        settings = {"dataset": {"source": "local", "path": str(self.database)}} | config
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nocolor", *options]
        command += ["--configfile", *CONFIGS, "--config"]
        return command + [
            f"{key}={value if isinstance(value, str) else json.dumps(value)}"
            for key, value in settings.items()
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of a run, which inherits no backend or profile of the user's.

        It shows two GPUs that do not exist: everything computes on the CPU, but each training has
        to choose one of them.
        """
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "PYTHONDONTWRITEBYTECODE")
        }
        return kept | {"CUDA_VISIBLE_DEVICES": ",".join(DEVICES)}

    def snakemake(
        self, *options: str, cores: int = 2, **config: object
    ) -> subprocess.CompletedProcess:
        """Run Snakemake with the tests' configuration and return what it printed."""
        return subprocess.run(
            self.command(*options, cores=cores, **config),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1500,
        )

    def plan(self, *options: str, **config: object) -> dict[str, list[dict[str, str]]]:
        """Return the jobs that would run now: by rule, the wildcards of each."""
        done = self.snakemake("--dry-run", "--printshellcmds", *options, **config)
        assert done.returncode == 0, done.stdout
        jobs: dict[str, list[dict[str, str]]] = {}
        for line in done.stdout.splitlines():
            if found := re.fullmatch(r"(?:local)?(?:rule|checkpoint) (\w+):", line):
                rule = found[1]
                jobs.setdefault(rule, []).append({})
            elif line.startswith("    wildcards: "):
                jobs[rule][-1] = dict(re.findall(r"(\w+)=([^,\s]+)", line))
        return jobs

    def pending(self, *options: str, **config: object) -> set[str]:
        """Return the rules that would run now."""
        return set(self.plan(*options, **config))


def copy_repository(source: Path, target: Path) -> None:
    """Copy what is, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


@pytest.fixture(scope="session")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A workflow that ran to its report."""
    folder = tmp_path_factory.mktemp("workflow")
    copy_repository(repository, folder / "repository")
    committed = frozenset(path.name for path in (folder / "repository").iterdir())
    workflow = Workflow(folder / "repository", folder / "database", committed)
    phantom.write_database(workflow.database, IMAGES_PER_CLASS, size=96, seed=1)
    done = workflow.snakemake("--resources", f"gpu={len(DEVICES)}")
    assert done.returncode == 0, done.stdout[-6000:]
    return replace(workflow, printed=done.stdout)


@pytest.fixture(scope="session")
def copied() -> Callable[..., Workflow]:
    """A function that copies a finished workflow to another folder."""

    def copy(finished: Workflow, folder: Path, with_results: bool = True) -> Workflow:
        workflow = Workflow(folder / "repository", folder / "database")

        def left_out(folder: str, names: list[str]) -> set[str]:
            # Not what is called results below: a room of the package is.
            made = {"results", ".snakemake"} if Path(folder) == finished.folder else set()
            return set() if with_results else made & set(names)

        shutil.copytree(finished.folder, workflow.folder, symlinks=True, ignore=left_out)
        shutil.copytree(finished.database, workflow.database, symlinks=True)
        return workflow

    return copy


@pytest.fixture
def editable(finished: Workflow, copied: Callable[..., Workflow], tmp_path: Path) -> Workflow:
    """A copy of the finished workflow, moved to another folder, that a test may change."""
    return copied(finished, tmp_path)
