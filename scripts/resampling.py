"""Put the counts of all samplings into one table.

Inputs: `samplings/{split}/{sampling}.counts.tsv` of each sampling that a run uses.
Output: `tables/resampling.tsv`: `sampling, class, label, split, asked, got, shortfall`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pulmoscan import command
from pulmoscan.storage.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Read the tables and write them below one another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    tables = [pd.read_csv(path, sep="\t", keep_default_na=False) for path in arguments.counts]
    with replacing(arguments.output) as path:
        pd.concat(tables, ignore_index=True).to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
