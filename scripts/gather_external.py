"""Gather what the runs predict of external sets, and which of their images are copies.

Settings: ``--labels``, JSON, by variant what its runs call the classes that they know;
``--unpredicted``, JSON, of every set, by ``model/variant``, why runs cannot predict it.

Inputs: the selection of runs, and below the folder of results the audit, the copies and the
predictions of each set.

Outputs: the predictions as Parquet, one row per set, training and image, and the copies as TSV, see
`pulmoscan.results.external_predictions`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.results import external_predictions
from pulmoscan.results.selection import read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the files of all sets and write two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--results", type=Path, required=True, help="folder of the results")
    parser.add_argument("--labels", type=json.loads, required=True, help="JSON")
    parser.add_argument("--unpredicted", type=json.loads, required=True, help="JSON")
    parser.add_argument("--output", type=Path, required=True, help=".parquet")
    parser.add_argument("--duplicates", type=Path, required=True, help=".tsv")
    arguments = parser.parse_args(argv)
    gathered = external_predictions.gather(
        arguments.results,
        read_selection(arguments.selection),
        arguments.labels,
        arguments.unpredicted,
    )
    copies = external_predictions.duplicates(arguments.results, arguments.unpredicted)
    tables.write(arguments.output, gathered)
    tables.write(arguments.duplicates, copies)
    print(f"{len(gathered):,} predictions, {len(copies):,} copies of images trained on")


if __name__ == "__main__":
    command.run(main)
