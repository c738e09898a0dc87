"""Run a program as a fresh process, measure it, and compare what was measured.

Wall-clock seconds run from the start of the process to its end, so the start of Python and of its
libraries is part of them. CPU seconds are those of the process, all its threads, and the kernel on
its behalf. Memory is read from ``/proc`` fifty times a second, so it is known under Linux only:
*resident* is everything that the process has in memory. Part of it is *anonymous*, what the process
allocated itself, and part *mapped*, pages of files (the code of libraries, arrays that are read
memory-mapped), which the kernel takes back whenever memory is short. What the kernel keeps of files
that are read in the ordinary way is in none of them.
"""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE_EVERY = 0.02  # seconds between two looks at a process's memory
KB = 1024
FIGURES = ("seconds", "cpu_seconds", "resident_mb", "anonymous_mb", "mapped_mb")
MB = 1e6
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "keras-tuner", "numpy", "snakemake")


@dataclass(frozen=True)
class Cost:
    """What a process cost.

    Attributes:
        seconds: wall clock from start to end.
        cpu_seconds: user and system time.
        resident_mb: most memory in use at a time, in 10^6 bytes; NaN where it is not known.
        anonymous_mb: most memory of its own at a time, without mapped files; NaN likewise.
        mapped_mb: most of mapped files at a time; NaN likewise.
        ready: seconds from the start to the line that holds the marker; NaN without one.
        started: time of the start, in seconds since 1970.
    """

    seconds: float
    cpu_seconds: float
    resident_mb: float
    anonymous_mb: float
    mapped_mb: float
    ready: float = float("nan")
    started: float = float("nan")


def run(
    command: Sequence[str], log: Path, marker: str | None = None, folder: Path | None = None
) -> Cost:
    """Run a command to its end and return its cost; what it prints goes to the file ``log``.

    The log is named after what runs. ``marker`` is a part of the line by which it tells that its
    start-up is over; ``folder`` is where it runs. Raises ``ValueError`` with the last line printed
    when the command fails, and when it ends without having printed the marker.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    ready, last = float("nan"), ""
    peaks: dict[str, float] = {}
    started_at, started = time.time(), time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},  # a line is seen when it is printed
        )
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        watcher.start()
        for line in process.stdout:
            if marker is not None and ready != ready and marker in line:
                ready = time.perf_counter() - started
            file.write(line)
            last = line.strip() or last
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode != 0:
        raise ValueError(f"{log.stem} failed: {last} (all of it in {log})")
    if marker is not None and ready != ready:
        raise ValueError(f"{log.stem} did not print {marker!r} (see {log})")
    unknown = float("nan")
    return Cost(
        seconds,
        usage.ru_utime + usage.ru_stime,
        peaks.get("resident", unknown) / MB,
        peaks.get("anonymous", unknown) / MB,
        peaks.get("mapped", unknown) / MB,
        ready,
        started_at,
    )


def _watch(pid: int, peaks: dict[str, float]) -> None:
    """Keep the highest figures of a process's memory, in bytes, until it has ended."""
    while (found := memory(pid)) is not None:
        for name, value in found.items():
            peaks[name] = max(peaks.get(name, 0), value)
        time.sleep(SAMPLE_EVERY)


def memory(pid: int) -> dict[str, int] | None:
    """Return ``resident`` (the peak so far), ``anonymous`` and ``mapped`` of a process, in bytes.

    None when it has ended, and where there is no ``/proc``.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    if "VmHWM" not in fields:  # ended, but not waited for yet
        return None
    read = {"resident": "VmHWM", "anonymous": "RssAnon", "mapped": "RssFile"}
    return {name: int(fields[field].split()[0]) * KB for name, field in read.items()}


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return ``median``, ``lowest`` and ``highest`` of some numbers."""
    values = list(values)
    return {"median": median(values), "lowest": min(values), "highest": max(values)}


def compared(measurements: pd.DataFrame, figures: Sequence[str]) -> pd.DataFrame:
    """Return how the published way and the workflow's compare, a row a case and figure.

    Args:
        measurements: ``case, side`` (published, workflow), ``repeat`` and the figures, a row a
            case, side and repeat.
        figures: columns to compare; one that is NaN throughout a case is left out of it.

    Returns:
        ``case, figure, repeats``, then median, lowest and highest of ``published``, ``workflow``
        and ``ratio``. A ratio is published / workflow of the same repeat.
    """
    rows = []
    for case, of_case in measurements.groupby("case", sort=False):
        sides = of_case.pivot(index="repeat", columns="side", values=list(figures))
        for figure in figures:
            pair = sides[figure].dropna()
            if pair.empty:
                continue
            row = {"case": case, "figure": figure, "repeats": len(pair)}
            ratio = pair["published"] / pair["workflow"]
            for name, values in (*pair.items(), ("ratio", ratio)):
                row |= {f"{name}_{key}": value for key, value in spread(values).items()}
            rows.append(row)
    order = [f"{name}_{key}" for name in ("published", "workflow", "ratio") for key in spread([0])]
    return pd.DataFrame(rows, columns=["case", "figure", "repeats", *order])


def total(costs: Sequence[Cost]) -> Cost:
    """Return the cost of processes that ran one after the other: times add up, peaks do not.

    ``ready`` and ``started`` are those of the first process.
    """
    return Cost(
        sum(cost.seconds for cost in costs),
        sum(cost.cpu_seconds for cost in costs),
        max(cost.resident_mb for cost in costs),
        max(cost.anonymous_mb for cost in costs),
        max(cost.mapped_mb for cost in costs),
        costs[0].ready,
        costs[0].started,
    )


def machine() -> dict:
    """Return what decides how fast a run is: processor, cores, versions, commit, load now."""
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
        "load_1_minute": load(),
    }


def load() -> float:
    """Return the processes that computed or waited for a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.rstrip()


def write(folder: Path, tables: Mapping[str, pd.DataFrame], facts: Mapping) -> None:
    """Write tables as ``<name>.tsv`` and facts as ``machine.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.5g")
    text = json.dumps(facts, indent=2, default=str)
    (folder / "machine.json").write_text(text + "\n", encoding="utf-8")


def figures(cost: Cost) -> dict[str, float]:
    """Return times and memory of a cost as columns of a table."""
    return {name: value for name, value in asdict(cost).items() if name in FIGURES}


def python(script: str | Path, *options: object) -> list[str]:
    """Return the command that runs a script of this repository with the interpreter in use."""
    return [sys.executable, str(REPOSITORY / script), *map(str, options)]
