"""Compare what the runs get right on radiographs from elsewhere with their own test images.

Settings: --unpredicted, of every external set, by model/variant, why runs cannot predict it, as
JSON; --resamples of the bootstrap.

Inputs: the selection of runs, gathered predictions of external sets and of the runs' own images,
and the table of images of the audit, whose copies of one radiograph belong together.

Output: one row per set, run, measure and label, see `pulmoscan.results.external`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import splits
from pulmoscan.results import external, gather
from pulmoscan.results.selection import read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read what was gathered and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--external", type=Path, required=True, help="gathered, of external sets")
    parser.add_argument("--predictions", type=Path, required=True, help="gathered, of own images")
    parser.add_argument("--images", type=Path, required=True, help="table of the audit")
    parser.add_argument("--unpredicted", type=json.loads, required=True, help="by set and run")
    parser.add_argument("--resamples", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    result = external.table(
        external.read(arguments.external),
        gather.read(arguments.predictions, "predictions"),
        splits.read_images(arguments.images, others=["duplicate_group"]),
        read_selection(arguments.selection),
        arguments.unpredicted,
        arguments.resamples,
    )
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
