"""Put the counts of all samplings into one table.

Inputs: ``samplings/{split}/{sampling}.counts.tsv`` of each sampling that a run uses.
Output: ``split_name, sampling, class, label, split, asked, got, shortfall``; a split is named after
the folder of its counts.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.data import samplings
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the tables and write them as one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    counts = []
    for path in arguments.counts:
        table = samplings.read_counts(path)
        table.insert(0, "split_name", path.parent.name)
        counts.append(table)
    tables.write(arguments.output, pd.concat(counts, ignore_index=True))


if __name__ == "__main__":
    command.run(main)
