"""Assign every image of the data set to train, validation or test.

Settings: --scheme, an entry of ``splits`` of the configuration as JSON: ``test`` (share of a
class), ``validation`` (share of what the test leaves), ``seed``, and ``group``: ``duplicates``
keeps copies of a radiograph in one part, ``image`` does not.

Inputs: the audit's table of images. Images with defects are left out.

Outputs: a Parquet table, one row an image: ``row`` (of the packed arrays), ``image, class, source,
group, split`` (train, validation or test) and ``rank`` (one drawn order within class and split).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import splits
from pulmoscan.storage import tables
from pulmoscan.storage.atomic import replacing


def main(argv: Sequence[str]) -> None:
    """Write the split of the data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="the audit's table of images")
    parser.add_argument("--scheme", type=json.loads, required=True, help="entry of splits, JSON")
    parser.add_argument("--output", type=Path, required=True, help="Parquet table to write")
    arguments = parser.parse_args(argv)
    table = splits.assign(tables.read(arguments.images, "the audit"), **arguments.scheme)
    with replacing(arguments.output) as path:
        table.to_parquet(path, index=False)
    counts = table.groupby(["class", "split"]).size().unstack(fill_value=0)
    print(counts[list(splits.PARTS)].to_string())


if __name__ == "__main__":
    command.run(main)
