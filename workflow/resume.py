"""Go on with the last run of the workflow in this folder, after Snakemake itself was killed.

Refuses while something of that run is still alive: Snakemake, one of its jobs, which outlive it, or
a job on a cluster. Then removes the lock that the dead Snakemake left and starts the same command
again, with ``--rerun-incomplete``: files whose jobs did not end are made anew, trainings go on from
their checkpoints.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

COMMAND = Path("results/logs/command.json")
FORCED = ("-F", "--forceall")  # what was forced is done or will be: it is not to begin again


def main(folder: Path) -> int:
    """Resume the run in a folder and return Snakemake's exit status."""
    try:
        recorded = json.loads((folder / COMMAND).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no run to go on with: there is no {COMMAND} in {folder}") from None
    if alive := [*processes(folder), *cluster_jobs(folder)]:
        raise ValueError(
            f"the run is not dead, still there: {', '.join(alive)}. "
            "Wait for them to end, or end them, and try again"
        )
    environment = os.environ | recorded["environment"]
    arguments = [word for word in recorded["arguments"] if word not in FORCED]
    for last in ("--unlock", "--rerun-incomplete"):
        command = [sys.executable, "-m", "snakemake", *arguments, last]
        status = subprocess.run(command, cwd=folder, env=environment).returncode
        if status != 0:
            break
    return status


def processes(folder: Path) -> list[str]:
    """Return the processes of this machine that run Snakemake or one of its jobs in a folder."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        told = process.info
        if told["cwd"] == str(folder.resolve()) and (name := job_name(told["cmdline"] or [])):
            found.append(f"{name} (process {told['pid']})")
    return found


def job_name(command: Sequence[str]) -> str | None:
    """Return what a command line runs: ``snakemake``, a job's script or program, else None."""
    for word in command[1:]:
        if word in ("papermill", "nbconvert"):
            return word
        if Path(word).name == "snakemake" or Path(word).parent.name == "snakemake":
            return "snakemake"
        if word.startswith("scripts/") and word.endswith(".py"):
            return Path(word).name
    return None


def cluster_jobs(folder: Path) -> list[str]:
    """Return this user's jobs of Slurm that were submitted from a folder, none without Slurm."""
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--me", "--noheader", "--format=%i %Z"]
    done = subprocess.run(command, capture_output=True, text=True)
    jobs = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return [f"job {job[0]} of Slurm" for job in jobs if job[1:] == [str(folder.resolve())]]


if __name__ == "__main__":
    try:
        sys.exit(main(Path.cwd()))
    except ValueError as error:
        sys.exit(f"resume: {error}")
