"""Record what a report was made with, and what each stage cost.

Settings: the whole configuration, as JSON.
Inputs: the table of the data's files, the records of the weights that were used, and the benchmarks
that Snakemake wrote (``<rule>.tsv`` or ``<rule>/<wildcards>.tsv``).
Outputs: the configuration (JSON, sorted), ``provenance.tsv`` (key, value) and ``costs.tsv`` (rule,
wildcards, seconds, cpu_seconds, peak_mib; one row a benchmark, the longest first).
The tables describe one machine at one time and differ from run to run; nothing else depends on them
but the report.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.storage.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
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
    tables = [pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in records]
    return {
        f"weights of {row.backbone}": f"{row.sha256} ({row.file})" if row.sha256 else row.source
        for table in tables
        for row in table.itertuples()
    }


def costs(folder: Path) -> pd.DataFrame:
    """Return ``rule, wildcards, seconds, cpu_seconds, peak_mib`` of the benchmarks in a folder.

    A value that Snakemake could not measure (of a job shorter than its interval) is missing.
    """
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        rule, *wildcards = path.relative_to(folder).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t")
        values = {
            name: pd.to_numeric(measured[column], errors="coerce").max()
            for column, name in BENCHMARK_COLUMNS.items()
            if column in measured
        }
        rows.append({"rule": rule, "wildcards": "/".join(wildcards), **values})
    table = pd.DataFrame(rows, columns=["rule", "wildcards", *BENCHMARK_COLUMNS.values()])
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


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


def main(argv: Sequence[str]) -> None:
    """Write the configuration and both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=json.loads, required=True, help="JSON")
    parser.add_argument("--raw", type=Path, required=True, help="table of the data's files")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="records of weights")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder")
    parser.add_argument("--settings", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--provenance", type=Path, required=True, help="TSV table to write")
    parser.add_argument("--costs", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)

    config = json.dumps(arguments.config, indent=2, sort_keys=True) + "\n"
    dataset = arguments.config.get("dataset", {})
    record = {
        **commit(),
        "configuration SHA-256": hashlib.sha256(config.encode()).hexdigest(),
        "seeds of the trainings": ", ".join(map(str, arguments.config.get("seeds", []))),
        "seed of the split": str(
            arguments.config.get("splits", {}).get(arguments.config.get("split"), {}).get("seed")
        ),
        "data source": " ".join(filter(None, (dataset.get("source"), dataset.get("path")))),
        **data(pd.read_csv(arguments.raw, sep="\t")),
        "weights source": arguments.config.get("weights", {}).get("source", UNKNOWN),
    }
    record |= weights(arguments.weights)
    record |= hardware() | versions()
    with replacing(arguments.settings) as path:
        path.write_text(config)
    with replacing(arguments.provenance) as path:
        pd.DataFrame(record.items(), columns=["key", "value"]).to_csv(path, sep="\t", index=False)
    with replacing(arguments.costs) as path:
        costs(arguments.benchmarks).to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
