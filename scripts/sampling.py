"""Choose the images of a sampling: the first ones of each class and part of a split.

Settings: ``--name``; ``--settings``, its entry of ``samplings`` of the configuration as JSON
(``per_class`` or ``total``, ``times``, ``classes``, ``labels``, ``masked``); ``--shares``, how the
split cuts a class, as JSON (see ``pulmoscan.data.schemes.shares``); ``--on-shortfall``, whether a
sampling that the data cannot fill is an error (fail) or empty (skip).

Inputs: the table of a split.

Outputs: a Parquet table, one row per image: ``row`` (of the packed arrays), ``image, class, label,
source, group, split``; and counts as TSV: ``sampling, class, label, split, asked, got, shortfall``
(why the sampling is empty, else nothing).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import samplings, splits
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Write a sampling and its counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="name of the sampling")
    parser.add_argument("--split", type=Path, required=True, help="table of a split")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON, see above")
    parser.add_argument("--shares", type=json.loads, required=True, help="JSON, see above")
    parser.add_argument("--on-shortfall", choices=("fail", "skip"), default="fail")
    parser.add_argument("--output", type=Path, required=True, help="Parquet table to write")
    parser.add_argument("--counts", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    name, settings = arguments.name, arguments.settings
    split = splits.read(arguments.split)
    images, counts = samplings.select(name, split, settings, **arguments.shares)
    shortfall = counts["shortfall"].iloc[0]
    if shortfall and arguments.on_shortfall == "fail":
        raise ValueError(f"{shortfall}. {samplings.advice(name, settings)}")
    tables.write(arguments.output, images)
    tables.write(arguments.counts, counts)
    got = counts.groupby("split", sort=False)["got"].sum()
    print(f"{name}: {', '.join(f'{got[part]} {part}' for part in got.index)}", shortfall)


if __name__ == "__main__":
    command.run(main)
