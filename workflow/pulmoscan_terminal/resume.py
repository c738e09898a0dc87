"""Resume the last run of the workflow in this folder after Snakemake itself was killed.

Refuses while any part of that run is still alive: Snakemake, one of its jobs, which outlive it, or
a job on a cluster. Then removes the lock that the dead Snakemake left and runs the same command
again, with ``--rerun-incomplete``: files of unfinished jobs are made again, and trainings resume
from their checkpoints.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

COMMAND = Path("results/logs/command.json")
KEPT = ("KERAS_BACKEND", "SNAKEMAKE_PROFILE", "CUDA_VISIBLE_DEVICES")  # of the environment
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LOCKS = Path(".snakemake/locks")
AGAIN = "--rerun-incomplete"
FORCED = re.compile(r"--force|-[a-zA-Z]*[FRf]")  # options that run jobs which are up to date


def started_in() -> Path:
    """Return the folder in which Snakemake was started; asked while it reads the Snakefile.

    With --directory it has left that folder, and the workflow does not know it any more.
    """
    frame = sys._getframe()
    while frame := frame.f_back:
        handler = getattr(frame.f_locals.get("self"), "_workdir_handler", None)
        if handler is not None and handler.olddir is not None:
            return handler.olddir
    return Path.cwd()


def record_command(start: Path) -> None:
    """Write how Snakemake was started; called before its first job.

    ``start`` is the folder in which that was, the same as the working folder without --directory.
    """
    # The package is on the workflow's path, not on that of `make resume`.
    from pulmoscan.storage.atomic import replacing

    command = {
        "arguments": sys.argv[1:],
        "start": os.path.relpath(start),  # the folders may be moved together
        "environment": {name: os.environ[name] for name in KEPT if name in os.environ},
        "host": socket.gethostname(),
    }
    with replacing(COMMAND) as path:
        path.write_text(json.dumps(command) + "\n", encoding="utf-8")


def main(folder: Path) -> int:
    """Resume the run in a folder and return Snakemake's exit status.

    Raises ``ValueError`` where there is none, where it is alive, and where nobody can know whether
    it is alive or what was started.
    """
    recorded = read(folder)
    if living := alive(folder):
        raise ValueError(still_alive(living))
    environment = os.environ | recorded["environment"]
    arguments = [word for word in recorded["arguments"] if word != AGAIN]
    start = folder / recorded.get("start", ".")
    for first in ("--unlock", AGAIN):
        command = [sys.executable, "-P", "-m", "snakemake", first, *arguments]
        status = subprocess.run(command, cwd=start, env=environment).returncode
        if status != 0:
            break
    return status


def read(folder: Path) -> dict:
    """Return ``arguments`` and ``environment`` of the last run in a folder; see `main`."""
    path = folder / COMMAND
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no run to resume: there is no {COMMAND} in {folder}") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): start Snakemake yourself") from None
    if recorded["host"] != socket.gethostname():
        raise ValueError(
            f"the last run was started on {recorded['host']}: run make resume on that machine"
        )
    # The command is written after the lock, just before the first job.
    newest = max((lock.stat().st_mtime for lock in (folder / LOCKS).glob("*")), default=0)
    if newest > path.stat().st_mtime:
        raise ValueError(
            "the last Snakemake was killed before its first job, and its command is not known: "
            "snakemake --unlock, then start it again"
        )
    if forced := [word for word in recorded["arguments"] if FORCED.match(word)]:
        raise ValueError(
            f"the last run forced jobs ({forced[0]}), and it is not known which of them finished: "
            "start it yourself, with --rerun-incomplete"
        )
    return recorded


def alive(folder: Path) -> dict[str, str]:
    """Return what is left of a run in a folder, by name: the command that ends each part."""
    return processes(folder) | cluster_jobs(folder)


def still_alive(living: Mapping[str, str]) -> str:
    """Return what to do about a run that is `alive`.

    What a job without its Snakemake makes is made again, since nobody saw it end well: so there is
    nothing to wait for.
    """
    said = f"the run is still alive: {', '.join(living)}. "
    if any(name.startswith("snakemake ") for name in living):
        return said + "Wait for it to end, or end it, and try again"
    return said + (
        f"Its Snakemake is gone, and what is finished without it is made again. End it "
        f"({'; '.join(living.values())}) and try again: a training resumes after its last epoch"
    )


def processes(folder: Path) -> dict[str, str]:
    """Return the processes of this machine that run Snakemake or one of its jobs in a folder.

    Names them, and the command that ends each. This process, which may be a Snakemake itself, and
    those that started it are left out.
    """
    found = {}
    own = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        told = process.info
        if told["pid"] in own:
            continue
        if told["cwd"] == str(folder.resolve()) and (name := job_name(told["cmdline"] or [])):
            found[f"{name} (process {told['pid']})"] = f"kill {told['pid']}"
    return found


def job_name(command: Sequence[str]) -> str | None:
    """Return what a command line of Python runs, ``snakemake`` or a job's script; else None."""
    if not command or not Path(command[0]).name.startswith("python"):
        return None
    program = next((word for word in command[1:] if not word.startswith("-")), "")
    if Path(program).name == "snakemake":  # the module, or the program that pip installed
        return "snakemake"
    return Path(program).name if Path(program).parent == SCRIPTS else None


def cluster_jobs(folder: Path) -> dict[str, str]:
    """Return this user's jobs of Slurm that were submitted from a folder, none without Slurm.

    Names them, and the command that ends each.

    Raises ``ValueError`` where Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--me", "--noheader", "--format=%i %Z"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        if not Path("/etc/slurm/slurm.conf").exists() and "SLURM_CONF" not in os.environ:
            return {}  # installed, but part of no cluster
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise ValueError(f"cannot ask Slurm whether jobs of the run are left: {reason}")
    jobs = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return {
        f"job {job[0]} of Slurm": f"scancel {job[0]}"
        for job in jobs
        if job[1:] == [str(folder.resolve())]
    }
