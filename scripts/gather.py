"""Gather what the selected runs gave into one table of each kind.

Settings: the tables to gather, the variant on which each tuned model was searched, and names of
runs below their split (``grouped/lungs/vgg16/unfreeze-0``) where only some of them are wanted.
Inputs: the selection of runs, and below the folder of results the files of each training that was
made: predictions, history, metrics, per_class, confusion and stages, the scores of its explained
images, and what the searches found.
Outputs: one Parquet file per table, the key of a training first (``split_name, model, unfreeze,
variant, seed``), see `pulmoscan.results.gather`. A run that is not selected is in none of them.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.config import runs
from pulmoscan.results.gather import TABLES, gather
from pulmoscan.results.selection import RUN, read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the files of all trainings and write the gathered tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--results", type=Path, required=True, help="folder of the results")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), required=True)
    parser.add_argument("--runs", nargs="*", help="names of runs; default: all that are made")
    parser.add_argument("--tuned", type=json.loads, default={}, help="variant by tuned model")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    arguments = parser.parse_args(argv)
    selection = read_selection(arguments.selection)
    made = selection[selection["status"] == RUN]
    if arguments.runs is not None:
        names = [
            f"{split_name}/{runs.name(*run)}"
            for split_name, *run in made[["split_name", *runs.NAME]].itertuples(index=False)
        ]
        made = made.loc[[name in set(arguments.runs) for name in names]]
    for name in arguments.tables:
        table = gather(name, made, arguments.tuned, arguments.results)
        tables.write(arguments.output / f"{name}.parquet", table)
        print(f"{name}: {len(table):,} rows", flush=True)


if __name__ == "__main__":
    command.run(main)
