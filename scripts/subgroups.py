"""Compare how well networks do on parts of their test images: sources, sexes, ages, views.

Settings: --resamples of the bootstrap.

Inputs: the selection of runs, gathered predictions, and the table of images of the audit, with the
source of each image and what a table of the user's says of it.

Output: one row per network, column, value and label, see `pulmoscan.results.subgroups`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import given, splits
from pulmoscan.results import gather, subgroups
from pulmoscan.results.selection import read_selection
from pulmoscan.storage import tables

NO_PART = ("patient", "split")  # columns that name a single patient, or what an image is for


def main(argv: Sequence[str]) -> None:
    """Read what was gathered and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--predictions", type=Path, required=True, help="gathered")
    parser.add_argument("--images", type=Path, required=True, help="table of the audit")
    parser.add_argument("--resamples", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    images = splits.read_images(arguments.images, others=["duplicate_group"])
    further = [name for name in given.further(images) if name not in NO_PART]
    result = subgroups.table(
        read_selection(arguments.selection),
        gather.read(arguments.predictions, "predictions"),
        images,
        ["source", *further],
        arguments.resamples,
    )
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
