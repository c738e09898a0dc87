"""Write the table of all selected runs: whether each was made, and how it scored.

Inputs: the selection of runs, and the gathered metrics.
Output: one row per selected run and seed: ``split_name, model, unfreeze, variant, seed, tables,
status, reason`` and the metrics, which are empty where the run was not made.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.results import comparison, gather
from pulmoscan.results.selection import read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read selection and metrics, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--metrics", type=Path, required=True, help="gathered")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    selection = read_selection(arguments.selection)
    metrics = gather.read(arguments.metrics, "metrics")
    tables.write(arguments.output, comparison.runs_table(selection, metrics))


if __name__ == "__main__":
    command.run(main)
