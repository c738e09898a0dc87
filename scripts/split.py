"""Assign every image of the data set to train, validation or test.

Settings: ``--scheme`` as JSON, an entry of ``splits`` of the configuration, of which one with folds
is expanded (see ``pulmoscan.data.schemes.expand``): what tests, which is one of ``test``, the share
of a class; ``folds`` and ``fold``, the number of folds and the one that tests; ``column``, which
says so of each image; and ``hold_out``, values of a column. ``validation``, the share of what the
test leaves; ``seed``; and ``group``: ``patient`` keeps the images of a patient and copies of a
radiograph in one part, ``duplicates`` copies alone, ``image`` neither.

Inputs: the audit's table of images. Images with defects are left out.

Outputs: a Parquet table, one row per image: ``row`` (of the packed arrays), ``image, class, source,
group, split`` (train, validation or test), ``rank`` (one drawn order within class and split) and
``masked``, whether it has a mask. The log counts them, and says what is to be known of the split.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import given, splits
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Write the split of the data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="the audit's table of images")
    parser.add_argument("--scheme", type=json.loads, required=True, help="JSON, see above")
    parser.add_argument("--output", type=Path, required=True, help="Parquet table to write")
    arguments = parser.parse_args(argv)
    images = splits.read_images(arguments.images, others=["duplicate_group"])
    table = splits.assign(images, **arguments.scheme)
    tables.write(arguments.output, table)
    counts = table.groupby(["class", "split"]).size().unstack(fill_value=0)
    print(counts.reindex(columns=list(splits.PARTS), fill_value=0).to_string())
    for line in given.remarks(images, table, arguments.scheme):
        print(line)


if __name__ == "__main__":
    command.run(main)
