"""A copy of the repository in which a benchmark runs Snakemake, with a configuration of its own."""

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import measure
import pandas as pd
import yaml
from snakemake.utils import update_config

CONFIG = "benchmark.yaml"


def merged(*changes: Mapping | Path) -> dict:
    """Return ``config.yaml`` with configurations, or files of them, laid over it in their order."""
    config: dict = {}
    for change in (measure.ROOT / "config.yaml", *changes):
        if not isinstance(change, Mapping):
            change = yaml.safe_load(Path(change).read_text(encoding="utf-8"))
        update_config(config, change)
    return config


class Repository:
    """A copy of the repository with its configuration.

    ``folder`` is made; ``config`` is a whole configuration (see `merged`), ``runs`` a run table in
    place of the one it names.
    """

    def __init__(
        self, folder: Path, config: Mapping, cores: int, runs: pd.DataFrame | None = None
    ) -> None:
        self.folder, self.cores = folder, cores
        copy(folder)
        if runs is not None:
            config = {**config, "runs": "benchmark-runs.tsv"}
            runs.to_csv(folder / config["runs"], sep="\t", index=False)
        self.config = config
        text = yaml.safe_dump(dict(config), sort_keys=False)
        (folder / CONFIG).write_text(text, encoding="utf-8")

    def command(self, *options: object) -> list[str]:
        """Return the command of Snakemake, to be run in the folder."""
        known = ("--cores", self.cores, "--configfile", CONFIG)
        return [sys.executable, "-m", "snakemake", *map(str, (*known, *options))]

    def run(self, log: Path, *options: object) -> measure.Cost:
        """Run Snakemake and return its cost; what it prints goes to the file ``log``."""
        return measure.run(self.command(*options), log, self.folder)

    def outputs(self, *options: object) -> pd.DataFrame:
        """Return ``output_file, rule, shellcmd`` of all files of the workflow.

        ``shellcmd`` is the command that made the file, ``-`` for one that was not made.
        """
        done = subprocess.run(
            self.command("--detailed-summary", *options),
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ValueError(f"snakemake --detailed-summary failed: {done.stderr[-2000:]}")
        text = done.stdout[done.stdout.index("output_file\t") :]
        table = pd.read_csv(io.StringIO(text), sep="\t", quoting=csv.QUOTE_NONE, dtype=str)
        # Snakemake shows the end of a line as "; ", here after the backslash that continues it.
        table["shellcmd"] = table["shellcmd"].str.replace(r"\\;\s+", "", regex=True)
        # What a job prints is measured too, so it must not go to the job's own log.
        table["shellcmd"] = table["shellcmd"].str.replace(r"\s*>\S+ 2>&1(;\s*)?$", "", regex=True)
        return table[["output_file", "rule", "shellcmd"]]

    def file(self, outputs: pd.DataFrame, rule: str, ending: str) -> Path:
        """Return the first of `outputs` that a rule makes and whose name has this ending."""
        found = outputs[(outputs["rule"] == rule) & outputs["output_file"].str.endswith(ending)]
        return self.folder / found["output_file"].iloc[0]


def copy(folder: Path) -> None:
    """Copy every file of the repository that is, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=measure.ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = measure.ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
