"""Run a program as a fresh process, measure it, and write what was measured.

Wall-clock seconds run from the start of the process to its end, so the start of Python and of its
libraries is part of them. CPU seconds are those of the process, its children and all their threads,
and of the kernel on their behalf.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "keras-tuner", "numpy", "snakemake")
KB, MB = 1024, 1e6
SHOWN = 30  # last lines that a command printed, when it failed


@dataclass(frozen=True)
class Cost:
    """What a process cost.

    Attributes:
        seconds: wall clock from start to end.
        cpu_seconds: user and system time.
        peak_mb: most resident memory of the process or of one of its children, in 10^6 bytes. At
            least that of the program that started it, from which Linux counts on.
        ready: seconds from the start to the line that holds the marker; NaN without one.
        started: time of the start, in seconds since 1970.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    ready: float = float("nan")
    started: float = float("nan")


def run(
    command: Sequence[str] | str, log: Path, folder: Path | None = None, marker: str | None = None
) -> Cost:
    """Run a command to its end and return its cost; its output goes to the file ``log``.

    ``command`` is a list of words, or a line for bash. It runs in ``folder``, with the interpreter
    of this program first on the path. ``marker`` is part of the line that the command prints when
    its start-up is over. Raises ``ValueError`` with the last lines of output when the command
    fails, and when it ends without having printed the marker.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    ready, last = float("nan"), deque(maxlen=SHOWN)
    if isinstance(command, str):
        command = ["bash", "-c", f"set -euo pipefail; {command}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    started_at, started = time.time(), time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            # Unbuffered, so that the marker arrives when it is printed.
            env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        )
        for line in process.stdout:
            if marker is not None and ready != ready and marker in line:
                ready = time.perf_counter() - started
            file.write(line)
            last.append(line)
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ValueError(f"{log.stem} failed:\n{''.join(last)}")
    if marker is not None and ready != ready:
        raise ValueError(f"{log.stem} did not print {marker!r}:\n{''.join(last)}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else KB) / MB
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak, ready, started_at)


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the ``median``, the ``lowest`` and the ``highest`` of some numbers."""
    values = list(values)
    return {"median": median(values), "lowest": min(values), "highest": max(values)}


def machine() -> dict:
    """Return what decides how fast a run is: processor, cores, versions, commit, current load."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
        "commit": _git("rev-parse", "HEAD"),
        "edited_files": _git("status", "--porcelain", "--untracked-files=no").splitlines(),
        "load_1_minute": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    return done.stdout.rstrip()


def write(folder: Path, tables: Mapping[str, pd.DataFrame], facts: Mapping) -> None:
    """Write tables as ``<name>.tsv`` and facts as ``machine.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.5g")
    text = json.dumps(facts, indent=2, default=str)
    (folder / "machine.json").write_text(text + "\n", encoding="utf-8")


def start(main: Callable[[Sequence[str]], None]) -> None:
    """Run a benchmark's ``main`` with the command line's arguments; end with one line on errors."""
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
