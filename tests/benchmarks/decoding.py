"""Compare packing and audit with only decoding the same PNG files.

Three processes take turns, in an order that alternates: ``decode`` reads every image and mask of
the data set with ``cv2.imread`` as grey and keeps nothing, each thread its share of the files in
one loop; ``pack`` and ``audit`` are the commands of the rules. All have ``--cores`` threads. The
same on a few phantoms is mostly their start-up, libraries included, and is taken off before the
ratio

    (pack + audit) / decode

of a repeat is formed. The files are read once before anything is measured. What pack writes (131 KB
per pair at 256 px) is in the folder for temporary files: ``TMPDIR`` chooses the disk.

Settings: see ``--help``; the images are phantoms unless a configuration names a data set. Outputs:
a table on standard output, and with ``--output`` ``decoding.tsv`` (the same table),
``measurements.tsv`` (one row per process), ``machine.json`` and the logs.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measure
import pandas as pd
import repository

STEPS = ("decode", "pack", "audit")
SIZES = ("startup", "whole")
FEW = 12  # phantoms per class: the fewest there can be
FIGURES = ("seconds", "cpu_seconds")
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


def main(argv: Sequence[str]) -> None:
    """Measure as the command line says and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="names a data set")
    parser.add_argument("--images", type=int, default=1000, help="phantoms per class")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, help="folder for tables and logs")
    options = parser.parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    rows = []
    with tempfile.TemporaryDirectory(prefix="decoding-") as work:
        logs = (options.output or Path(work)) / "logs"
        commands = {}
        for size, number in zip(SIZES, (FEW, options.images), strict=True):
            phantoms = {"source": "phantom", "phantom": {"images_per_class": number}}
            files = options.configfile if size == "whole" else []
            config = repository.merged({"dataset": phantoms}, *files)
            copy = repository.Repository(Path(work) / size, config, options.cores)
            copy.run(logs / f"{size}.log", "--until", "audit")
            commands[size] = copy.folder, steps(copy)
        for repeat in range(options.repeats + 1):  # in the first, files come from the disk
            for size in SIZES if repeat % 2 else reversed(SIZES):
                folder, known = commands[size]
                for step in STEPS if repeat % 2 else (*STEPS[1:], STEPS[0]):
                    cost = measure.run(known[step], logs / f"{size}-{step}.log", folder)
                    row = {"repeat": repeat, "step": step, "size": size}
                    rows.append(row | {name: getattr(cost, name) for name in FIGURES})
        decoded = (logs / "whole-decode.log").read_text(encoding="utf-8").strip()
    measurements = pd.DataFrame(rows).query("repeat > 0")
    table = summary(measurements)
    print(table.to_string(index=False, float_format="%.2f"))
    print(
        f"{decoded}, {options.cores} threads; {facts['processor']}, load {facts['load_1_minute']}"
    )
    if options.output is not None:
        tables = {"decoding": table, "measurements": measurements}
        measure.write(options.output, tables, facts | {"decoded": decoded})


def steps(copy: repository.Repository) -> dict[str, str | list[str]]:
    """Return the command of each step, in a copy whose data set was audited."""
    outputs = copy.outputs()
    made = outputs.drop_duplicates("rule").set_index("rule")
    files = outputs.loc[outputs["rule"] == "download", "output_file"]
    table = next(file for file in files if file.endswith(".tsv"))
    raw = next(file for file in files if (copy.folder / file).is_dir())
    decode = [sys.executable, "-c", DECODE, table, raw, str(copy.cores)]
    return {"decode": decode} | made.loc[["pack", "audit"], "shellcmd"].to_dict()


def summary(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return median, lowest and highest of what was measured, one row per quantity and figure.

    Args:
        measurements: ``repeat, step, size`` (startup, whole) and the figures, one row per process.

    Returns:
        ``quantity, figure, median, lowest, highest``: start-up and whole of each step, and the
        ratio of a repeat without and with start-up.
    """
    rows = []
    for figure in FIGURES:
        costs = measurements.pivot(index="repeat", columns=["size", "step"], values=figure)
        rows += [(f"{step}, {size}", figure, costs[size, step]) for size in SIZES for step in STEPS]
        for name, cost in (
            ("ratio without start-up", costs["whole"] - costs["startup"]),
            ("ratio of whole processes", costs["whole"]),
        ):
            rows.append((name, figure, (cost["pack"] + cost["audit"]) / cost["decode"]))
    return pd.DataFrame(
        {"quantity": quantity, "figure": figure} | measure.spread(values)
        for quantity, figure, values in rows
    )


if __name__ == "__main__":
    measure.start(main)
