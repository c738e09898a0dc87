"""Compare what networks get right when they are shown lungs, what is outside them, or everything.

Settings: --variants, for each variant its region, its sampling and the rest of it, as JSON;
--resamples of the bootstrap.

Inputs: the selection of runs, gathered predictions, and the table of images of the audit, whose
copies of one radiograph belong together.

Output: one row per network and pair of regions, see `pulmoscan.results.region_differences`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import splits
from pulmoscan.results import gather, region_differences
from pulmoscan.results.selection import read_selection
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read what was gathered and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selection", type=Path, required=True, help="which runs are made")
    parser.add_argument("--predictions", type=Path, required=True, help="gathered")
    parser.add_argument("--images", type=Path, required=True, help="table of the audit")
    parser.add_argument("--variants", type=json.loads, required=True, help="region, sampling, rest")
    parser.add_argument("--resamples", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    result = region_differences.table(
        read_selection(arguments.selection),
        gather.read(arguments.predictions, "predictions"),
        splits.read_images(arguments.images, others=["duplicate_group"]),
        arguments.variants,
        arguments.resamples,
    )
    tables.write(arguments.output, result)


if __name__ == "__main__":
    command.run(main)
