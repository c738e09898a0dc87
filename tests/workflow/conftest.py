"""One run of the whole DAG, on a copy of the repository, that all workflow tests read.

The data set is a folder of phantoms (`dataset.source: local`), so that tests can edit its images.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pulmoscan import phantom

CONFIGS = ("tests/config/demo.yaml", "tests/config/tiny.yaml")
IMAGES_PER_CLASS = 14


@dataclass(frozen=True)
class Workflow:
    """A copy of the repository in which Snakemake runs, and the database that it reads."""

    folder: Path
    database: Path
    committed: frozenset[str] = frozenset()  # names in the folder before anything ran

    def snakemake(
        self, *options: str, cores: int = 2, **config: object
    ) -> subprocess.CompletedProcess:
        """Run Snakemake with the tests' configuration and return what it printed."""
        settings = {"dataset": {"source": "local", "path": str(self.database)}} | config
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nocolor", *options]
        command += ["--configfile", *CONFIGS, "--config"]
        command += [
            f"{key}={value if isinstance(value, str) else json.dumps(value)}"
            for key, value in settings.items()
        ]
        # A test run must not inherit a backend or a profile of the user's.
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "PYTHONDONTWRITEBYTECODE")
        }
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1500,
        )

    def pending(self, *options: str, **config: object) -> set[str]:
        """Return the rules that would run now."""
        done = self.snakemake("--dry-run", *options, **config)
        assert done.returncode == 0, done.stdout
        return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", done.stdout, re.MULTILINE))


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
    done = workflow.snakemake()
    assert done.returncode == 0, done.stdout[-6000:]
    return workflow


@pytest.fixture
def editable(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished workflow, moved to another folder, that a test may change."""
    workflow = Workflow(tmp_path / "repository", tmp_path / "database")
    for source, target in (
        (finished.folder, workflow.folder),
        (finished.database, workflow.database),
    ):
        shutil.copytree(source, target, symlinks=True)
    return workflow
