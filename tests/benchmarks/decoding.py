"""Compare packing and audit with only decoding the same PNG files.

Three processes take turns, in an order that turns too: ``decode`` reads every image and mask of the
database with ``cv2.imread`` as grey and keeps nothing, each thread its share of the files in one
loop; ``pack`` and ``audit`` are the commands of the rules, on a download of the same folder. All
have ``--threads`` threads. Each is also run on next to nothing (no file; one image a class, no
metadata): its start-up, libraries included, which is printed by itself and taken off before the
ratio

    (pack + audit) / decode

of a repeat is formed. The ratio of the whole processes is printed beside it. The files are read
once before anything is measured. What pack writes (131 KB a pair at 256 px) lies in the folder for
temporary files: ``TMPDIR`` chooses the disk.

Settings: see ``--help``. Input: a database in its layout (see ``scripts/pulmoscan/database.py``).
Outputs: a table on standard output, and with ``--output`` ``decoding.tsv`` (the same table),
``measurements.tsv`` (a row a process), ``machine.json`` and the logs.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import measure
import pandas as pd

sys.path.append(str(measure.REPOSITORY / "scripts"))
from pulmoscan.data import raw_table

STEPS = ("decode", "pack", "audit")
OURS = ("pack", "audit")
PARTS = ("startup", "whole")
FIGURES = ("seconds", "cpu_seconds")
MEMORY = ("resident_mb", "anonymous_mb")
TO_REACH = 1.5
# A program of its own, so that its process imports nothing that decoding does not need.
DECODE = """
import csv, sys
from concurrent.futures import ThreadPoolExecutor
import cv2

table, raw, threads = sys.argv[1:]
with open(table, newline="") as stream:
    paths = [f"{raw}/{row['file']}" for row in csv.DictReader(stream, delimiter="\\t")]
paths = [path for path in paths if path.endswith(".png")]
cv2.setNumThreads(1)

def decode(first):
    return sum(cv2.imread(path, 0) is not None for path in paths[first :: int(threads)])

with ThreadPoolExecutor(int(threads)) as pool:
    print(sum(pool.map(decode, range(int(threads)))), "of", len(paths), "files decoded")
"""


class Database(NamedTuple):
    """A download: the folder of its files and their table."""

    raw: Path
    table: Path


def main(argv: Sequence[str]) -> None:
    """Measure as the command line says and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, required=True, help="folder in its layout")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="pixels of the packed images")
    parser.add_argument("--output", type=Path, help="folder for tables and logs")
    options = parser.parse_args(argv)
    if min(options.repeats, options.threads, options.size) < 1:
        raise ValueError("--repeats, --threads and --size are 1 or more")
    facts = measure.machine() | {"options": vars(options)}
    with tempfile.TemporaryDirectory(prefix="decoding-") as work:
        logs = (options.output or Path(work)) / "logs"
        whole = download(options.database, Path(work), logs)
        pairs = len(raw_table.pairs(raw_table.read(whole.table)))
        databases = {"whole": whole, "startup": almost_empty(whole, Path(work) / "few.tsv")}
        for part in reversed(PARTS):  # files and libraries come from memory from here on
            _measured(databases[part], part, options, Path(work), logs)
        rows = []
        for repeat in range(1, options.repeats + 1):
            for part in PARTS if repeat % 2 else reversed(PARTS):
                costs = _measured(databases[part], part, options, Path(work), logs, repeat)
                rows += [
                    {"repeat": repeat, "step": step, "part": part} | measure.figures(cost)
                    for step, cost in costs.items()
                ]
    measurements = pd.DataFrame(rows)
    table = summary(measurements)
    with pd.option_context("display.width", 200, "display.float_format", "{:.2f}".format):
        print(table.to_string(index=False))
    print(f"{pairs} pairs, {options.threads} threads; ratio to reach, without start-up: {TO_REACH}")
    print(f"{facts['processor']}, {facts['cores']} cores, load before {facts['load_1_minute']}")
    if options.output is not None:
        tables = {"decoding": table, "measurements": measurements}
        measure.write(options.output, tables, facts | {"pairs": pairs})


def download(folder: Path, work: Path, logs: Path) -> Database:
    """Copy a local database as the rule ``download`` does."""
    database = Database(work / "raw", work / "raw.tsv")
    options = ("--source", "local", "--path", folder, "--cache", work / "cache")
    outputs = ("--raw", database.raw, "--table", database.table)
    measure.run(measure.python("scripts/download.py", *options, *outputs), logs / "download.log")
    return database


def almost_empty(database: Database, table: Path) -> Database:
    """Return the same files, of which the new ``table`` lists one image a class and its mask."""
    first = {
        pair.class_name: pair for pair in reversed(raw_table.pairs(raw_table.read(database.table)))
    }
    kept = {str(file.path) for pair in first.values() for file in (pair.image, pair.mask) if file}
    files = pd.read_csv(database.table, sep="\t", dtype=str)
    files[files["file"].isin(kept)].to_csv(table, sep="\t", index=False)
    return Database(database.raw, table)


def commands(database: Database, part: str, size: int, threads: int, work: Path) -> dict[str, list]:
    """Return the command of each step. Starting to decode is decoding no file at all."""
    results = work / part
    packed = {name: results / "packed" / f"{name}.npy" for name in ("images", "masks")}
    decoded = results / "packed/decoded.parquet"
    table = database.table
    if part == "startup":
        table = work / "none.tsv"
        table.write_text(database.table.read_text(encoding="utf-8").splitlines()[0] + "\n")
    shared = (
        *("--raw", database.raw, "--files", database.table, "--decoded", decoded),
        *("--images", packed["images"], "--masks", packed["masks"], "--threads", threads),
    )
    return {
        "decode": [sys.executable, "-c", DECODE, str(table), str(database.raw), str(threads)],
        "pack": measure.python("scripts/pack.py", *shared, "--size", size),
        "audit": measure.python(
            "scripts/audit.py",
            *(*shared, "--on-defect", "exclude"),
            *("--audit", results / "audit", "--tables", results / "tables"),
        ),
    }


def _measured(
    database: Database,
    part: str,
    options: argparse.Namespace,
    work: Path,
    logs: Path,
    repeat: int = 0,
) -> dict[str, measure.Cost]:
    """Run each step once; in every other repeat decoding comes last, and not first."""
    steps = commands(database, part, options.size, options.threads, work)
    order = STEPS if repeat % 2 else (*OURS, "decode")
    return {step: measure.run(steps[step], logs / f"{part}-{step}.log") for step in order}


def summary(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return median, lowest and highest of what was measured, a row a quantity.

    Args:
        measurements: ``repeat, step, part`` (startup, whole) and the figures, a row a process.

    Returns:
        ``quantity, figure, median, lowest, highest``: start-up and whole of each step, and the
        ratio without and with start-up. Ratios are those of one repeat; memory is in 10^6 bytes.
    """
    rows = []
    for (step, part), processes in measurements.groupby(["step", "part"], sort=False):
        for figure in (*FIGURES, *MEMORY):
            rows.append((f"{step}, {part}", figure, measure.spread(processes[figure])))
    for figure in FIGURES:
        costs = measurements.pivot(index="repeat", columns=["part", "step"], values=figure)
        with_startup = costs["whole"]
        for name, cost in (
            ("ratio without start-up", with_startup - costs["startup"]),
            ("ratio of whole processes", with_startup),
        ):
            ratio = cost[list(OURS)].sum(axis=1) / cost["decode"]
            rows.append((name, figure, measure.spread(ratio)))
    return pd.DataFrame(
        [{"quantity": quantity, "figure": figure} | values for quantity, figure, values in rows]
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"decoding: {error}")
