"""List the validation and test images by how many trainings get them wrong.

Inputs: gathered predictions, and the audit's table of images.
Output: one row per image and expected label, hardest first, see
`pulmoscan.results.hardest_images`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.results import gather
from pulmoscan.results.hardest_images import hardest
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the predictions and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=Path, required=True, help="gathered")
    parser.add_argument("--images", type=Path, required=True, help="the audit's table of images")
    parser.add_argument("--output", type=Path, required=True, help="TSV table to write")
    arguments = parser.parse_args(argv)
    predictions = gather.read(arguments.predictions, "predictions")
    images = tables.read(arguments.images, "the audit", ("image", "class"), others=["source"])
    tables.write(arguments.output, hardest(predictions, images))


if __name__ == "__main__":
    command.run(main)
