"""Decode every image of the data set once, into arrays that later stages read by row.

Settings: ``--size``, the width and height of the packed images in pixels; ``--threads``, how many
pairs of image and mask are decoded at a time; ``--options``, JSON, how files become arrays, see
``pulmoscan.data.options``.

Inputs: the folder ``raw/`` and the table of its files, whose hashes are checked on the way.

Outputs: images (n x size x size uint8 grey), masks (the same, 1 inside the lungs and 0 outside),
and a table with one row per image in the same order, by class, then number: ``image, class, width,
height, format, mode, equal_channels, mask_width, mask_height, mask_binary, mask_form, bits, scale,
mean, sd,
sha256, pixel_sha256, defects`` as in ``pulmoscan.data.radiographs``. What cannot be
used is zeros in its array; its ``defects`` say why, joined by "; ".
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import options, pack, raw_table
from pulmoscan.storage import atomic


def main(argv: Sequence[str]) -> None:
    """Pack a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--files", type=Path, required=True, help="table of its files")
    parser.add_argument("--listed", type=Path, help="table of what is known of the images")
    parser.add_argument("--size", type=int, required=True, help="pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--options", type=json.loads, default={}, help="JSON")
    parser.add_argument("--images", type=Path, required=True, help="array to write")
    parser.add_argument("--masks", type=Path, required=True, help="array to write")
    parser.add_argument("--decoded", type=Path, required=True, help="table to write")
    arguments = parser.parse_args(argv)
    listed = None if arguments.listed is None else raw_table.images(arguments.listed)
    pairs = raw_table.pairs(raw_table.read(arguments.files), listed)
    with ExitStack() as outputs:
        images, masks, decoded = (
            outputs.enter_context(atomic.replacing(path))
            for path in (arguments.images, arguments.masks, arguments.decoded)
        )
        table = pack.pack(
            pairs,
            arguments.raw,
            arguments.size,
            arguments.threads,
            (images, masks),
            options.read(arguments.options),
        )
        table.to_parquet(decoded, index=False)


if __name__ == "__main__":
    command.run(main)
