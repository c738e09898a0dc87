"""What a report was made with, and what each stage cost.

These facts are those of one machine at one time and differ from run to run; nothing else depends on
them but the report.
"""

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results.gather import CLASSIFIER, NETWORK
from pulmoscan.storage import tables

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = [
    "snakemake",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "opencv-python-headless",
    "matplotlib",
    "papermill",
    "nbconvert",
]
UNKNOWN = "unknown"
BENCHMARK_COLUMNS = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "peak_mib"}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the main packages that are installed."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Return platform, processor, memory and graphics cards; ``none`` for no card."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cards = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv")
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "graphics cards": "; ".join((cards or "").splitlines()[1:]) or "none",
    }


def commit(folder: Path = ROOT) -> dict[str, str]:
    """Return the commit that is checked out in ``folder``, and whether files differ from it."""
    head = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    if head is None or changes is None:
        return {"commit": UNKNOWN, "changed since": UNKNOWN}
    return {"commit": head.strip(), "changed since": "yes" if changes.strip() else "no"}


def data(files: pd.DataFrame) -> dict[str, str]:
    """Return number, size and digest of the data's files, whose order does not matter.

    The digest is the SHA-256 of lines ``<sha256>  <file>``, sorted by file.
    """
    lines = sorted(zip(files["file"], files["sha256"], strict=True))
    text = "".join(f"{digest}  {file}\n" for file, digest in lines)
    return {
        "data files": str(len(files)),
        "data size": f"{files['bytes'].sum() / 2**20:.1f} MiB",
        "data SHA-256": hashlib.sha256(text.encode()).hexdigest(),
    }


def weights(records: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of the file that each backbone's weights were read from, by backbone.

    ``records`` are the one-row tables that ``weights.py`` writes.
    """
    text = ("backbone", "source", "file", "sha256")
    read = [tables.read(path, "weights", text) for path in records]
    return {
        f"weights of {row.backbone}": f"{row.sha256} ({row.file})" if row.sha256 else row.source
        for table in read
        for row in table.itertuples()
    }


def costs(files: Mapping[tuple[str, str], Path]) -> pd.DataFrame:
    """Return ``rule, wildcards, seconds, cpu_seconds, peak_mib`` of benchmarks, longest first.

    ``files`` are those that Snakemake writes, by rule and wildcards. A job that was not run has no
    row, and neither has one whose benchmark was lost: Snakemake does not make it again. A value
    that could not be measured (of a job shorter than its interval) is missing.
    """
    rows = []
    for (rule, wildcards), path in files.items():
        if not path.exists():
            continue
        measured = tables.read(path, rule)
        values = {
            name: pd.to_numeric(measured[column], errors="coerce").max()
            for column, name in BENCHMARK_COLUMNS.items()
            if column in measured
        }
        rows.append({"rule": rule, "wildcards": wildcards, **values})
    table = pd.DataFrame(rows, columns=["rule", "wildcards", *BENCHMARK_COLUMNS.values()])
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def benchmarks_of(
    selection: pd.DataFrame, folder: Path, shared: Sequence[Path]
) -> dict[tuple[str, str], Path]:
    """Return the benchmarks of everything that was run, by rule and wildcards, sorted.

    Args:
        selection: the trainings that were made.
        folder: of the benchmarks; below it, a job's file is named after its rule and wildcards.
        shared: the files in it of jobs that are not those of one training.
    """
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in shared]
    for run in selection.itertuples():
        place = f"{run.split_name}/{runs.name(run.model, run.unfreeze, run.variant)}"
        trained = ("classify",) if run.kind == CLASSIFIER else ("train", "describe")
        names += [f"{rule}/{place}/seed-{run.seed}" for rule in (*trained, "evaluate")]
        if run.kind == NETWORK:
            names.append(f"gradcam/{place}")
    parts = {name: name.partition("/") for name in sorted(set(names))}
    return {
        (rule, wildcards): folder / f"{name}.tsv" for name, (rule, _, wildcards) in parts.items()
    }


def record(
    config: Mapping, text: str, files: pd.DataFrame, weights_records: Sequence[Path]
) -> dict[str, str]:
    """Return all facts by name.

    Args:
        config: the configuration of the report.
        text: the same as it is written down.
        files: the data's files, with ``file, bytes, sha256``.
        weights_records: one-row tables about weights, see `weights`.
    """
    splits = config["splits"]
    return {
        **commit(),
        "configuration SHA-256": hashlib.sha256(text.encode()).hexdigest(),
        "seeds of the trainings": ", ".join(map(str, config["seeds"])),
        "seed of the split": str(splits[config["split"]].get("seed", 0)),
        "data source": config["dataset"]["source"],
        **data(files),
        "weights source": config["weights"]["source"],
        **weights(weights_records),
        **hardware(),
        **versions(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine() or UNKNOWN)


def _output(*words: str) -> str | None:
    """Return what a program prints, None when it is absent or fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
