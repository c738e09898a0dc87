"""Lets jobs of a workflow under test kill themselves, or Snakemake, at a random moment.

Every Python of such a workflow calls `start` (see ``sitecustomize.py``). In the folder ``DOOM`` a
file ``STAGE.NUMBER`` is a kill that is left: its text says after how many seconds, and whom
(``job``, ``snakemake``). A job takes a file by renaming it, and renames it to ``dead.STAGE.NUMBER``
before it kills. One that ends before gives it back, with half the time.
"""

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path


def stage_of(words: list[str]) -> str | None:
    """Return the stage that a command line of Python is a job of, None where it is none."""
    program = Path(next((word for word in words[1:] if not word.startswith("-")), ""))
    return program.stem if program.parent.name == "scripts" else None


def take(folder: Path, stage: str) -> Path | None:
    """Return a kill of a stage that no other job has taken, under the name it now has."""
    for path in sorted(folder.glob(f"{stage}.*")):
        try:
            return path.rename(folder / f"taken.{path.name}")
        except FileNotFoundError:
            continue
    return None


def snakemakes() -> list[int]:
    """Return the processes, from the outermost on, that this job belongs to."""
    import psutil

    found = []
    for one in psutil.Process().parents():
        with suppress(psutil.Error):  # of somebody else
            words = {Path(word).name for word in one.cmdline()[1:4]}
            if one.cwd() == str(Path.cwd()) and words & {"snakemake", "resume.py"}:
                found.append(one.pid)
    return found[::-1]


def kill_later(taken: Path) -> None:
    """Kill after the time in a file."""
    seconds, whom = taken.read_text().split()
    stage = taken.name.removeprefix("taken.")
    lock = threading.Lock()

    def give_back() -> None:
        with lock:
            if taken.exists():
                taken.write_text(f"{float(seconds) / 2} {whom}")
                taken.rename(taken.parent / stage)

    def kill() -> None:
        time.sleep(float(seconds))
        victims = [os.getpid()] if whom == "job" else snakemakes()
        with lock:
            if not (victims and taken.exists()):
                return
            taken.rename(taken.parent / f"dead.{stage}")
            for victim in victims:
                os.kill(victim, signal.SIGKILL)

    atexit.register(give_back)
    threading.Thread(target=kill, daemon=True).start()


def start() -> None:
    """Take a kill, where this is a job and one of its stage is left."""
    stage = stage_of(sys.orig_argv)
    if stage and "DOOM" in os.environ and (taken := take(Path(os.environ["DOOM"]), stage)):
        kill_later(taken)
