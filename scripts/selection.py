"""List every run of the run table with each seed: whether it is made, and why not.

Settings: the filter over the run table, the seeds, the split of runs that name none, which splits
have folds, and of the selected runs the samplings that they read and the kind of their model.
Inputs: the run table, and the table of resampling with its shortfalls.
Output: ``split_name, model, unfreeze, variant, seed, split, tables, kind, selected, status (run |
not_run), reason``, see `pulmoscan.results.selection`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.config import run_file
from pulmoscan.results.selection import read_resampling, selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the run table and write the selection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="run table")
    parser.add_argument("--resampling", type=Path, required=True, help="asked, got, shortfall")
    parser.add_argument("--filter", default="", help="pandas query over the run table")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--split", required=True, help="of runs that name none")
    parser.add_argument("--folds", type=json.loads, required=True, help="splits with their folds")
    parser.add_argument("--samplings", type=json.loads, required=True, help="by model/variant")
    parser.add_argument("--kinds", type=json.loads, required=True, help="by model")
    parser.add_argument("--unshown", type=json.loads, default={}, help="why, by model/variant")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    table = selection(
        run_file.read(arguments.runs, arguments.split),
        arguments.filter,
        arguments.seeds,
        arguments.folds,
        arguments.samplings,
        arguments.kinds,
        read_resampling(arguments.resampling),
        arguments.unshown,
    )
    tables.write(arguments.output, table)


if __name__ == "__main__":
    command.run(main)
