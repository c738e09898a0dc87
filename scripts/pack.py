"""Decode every PNG of the data set once, into arrays that later stages read memory-mapped.

Settings: ``--size``, the width and height of the packed images in pixels; ``--threads``, how many
pairs of image and mask are decoded at a time.

Inputs: the folder ``raw/`` and the table of its files, whose hashes are checked on the way.

Outputs: images (n x size x size uint8 grey), masks (the same, 1 inside the lungs and 0 outside),
and a table with one row an image in the same order, by class, then number: ``image, class, width,
height, mode, equal_channels, mask_width, mask_height, mask_binary, mean, sd, sha256, pixel_sha256,
defects`` as in ``pulmoscan.data.radiographs``. An image or mask that cannot be used is zeros; its
``defects`` say why, joined by "; ".
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.data import raw_table
from pulmoscan.data.radiographs import read
from pulmoscan.storage import arrays, atomic

BLOCK = 8  # pairs that a thread decodes, and writes, at a time
SETTLED = 32  # blocks after which the disk has to have what was written
COLUMNS = {
    "width": "int32",
    "height": "int32",
    "mode": "str",
    "equal_channels": "bool",
    "mask_width": "int32",
    "mask_height": "int32",
    "mask_binary": "bool",
    "mean": "float64",
    "sd": "float64",
    "pixel_sha256": "str",
}


def main(argv: Sequence[str]) -> None:
    """Pack a data set as the command line says; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--files", type=Path, required=True, help="table of its files")
    parser.add_argument("--size", type=int, required=True, help="pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=Path, required=True, help="array to write")
    parser.add_argument("--masks", type=Path, required=True, help="array to write")
    parser.add_argument("--decoded", type=Path, required=True, help="table to write")
    arguments = parser.parse_args(argv)
    if arguments.size < 1 or arguments.threads < 1:
        raise ValueError("--size and --threads are 1 or more")
    cv2.setNumThreads(1)  # the threads are ours: one pair each
    pairs = raw_table.pairs(raw_table.read(arguments.files))
    with ExitStack() as outputs:
        images, masks, decoded = (
            outputs.enter_context(atomic.replacing(path))
            for path in (arguments.images, arguments.masks, arguments.decoded)
        )
        table = pack(pairs, arguments.raw, arguments.size, arguments.threads, (images, masks))
        table.to_parquet(decoded, index=False)


def pack(
    pairs: Sequence[raw_table.Pair], raw: Path, size: int, threads: int, paths: tuple[Path, Path]
) -> pd.DataFrame:
    """Write the packed images and masks to ``paths`` and return the table of the module.

    Each thread writes what it decoded to its place in the arrays, while it is in the processor's
    cache. The arrays are written with plain writes: a full disk is then an error, while a store to
    a memory-mapped file would end the process without one.

    Raises:
        OSError: a file of the data set cannot be read, or an array not written.
        ValueError: a file is not the one that was downloaded.
    """

    def work(start: int) -> list[list]:
        # File by file, then image by image: a processor does one thing quicker than two in turn.
        contents = [
            (
                raw_table.content(raw, pair.image),
                None if pair.mask is None else raw_table.content(raw, pair.mask),
            )
            for pair in pairs[start : start + BLOCK]
        ]
        images, masks = np.empty((2, len(contents), size, size), np.uint8)
        rows = []
        for files_of_pair, image, mask in zip(contents, images, masks, strict=True):
            radiograph = read(*files_of_pair, image, mask)
            values = [getattr(radiograph, column) for column in COLUMNS]
            rows.append([*values, "; ".join(radiograph.defects)])
        for file, begin, rows_of_file in zip(files, begins, (images, masks), strict=True):
            _write_at(file, begin + start * size**2, rows_of_file)
        return rows

    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            arrays.begin(file, np.uint8, (len(pairs), size, size))
            file.flush()
        begins = [file.tell() for file in files]
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        rows = []
        for done, block in enumerate(pool.map(work, range(0, len(pairs), BLOCK)), 1):
            rows += block
            if done % SETTLED == 0:
                _settle(files)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "defects"]).astype(COLUMNS)
    table.insert(0, "image", [pair.name for pair in pairs])
    table.insert(1, "class", [pair.class_name for pair in pairs])
    table.insert(table.columns.get_loc("pixel_sha256"), "sha256", [p.image.sha256 for p in pairs])
    return table


def _write_at(file: BinaryIO, position: int, rows: np.ndarray) -> None:
    """Write rows of an array at a position of its file."""
    left = memoryview(rows).cast("B")
    while left:
        with _named(file):
            written = os.pwrite(file.fileno(), left, position)
        left, position = left[written:], position + written


def _settle(files: Sequence[BinaryIO]) -> None:
    """Wait until the disk has what is written: while threads decode, and not after them."""
    for file in files:
        with _named(file):
            os.fsync(file.fileno())


@contextmanager
def _named(file: BinaryIO) -> Iterator[None]:
    """Name the folder of a file in an error that happens to it."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write to {Path(file.name).parent}: {error.strerror}") from error


if __name__ == "__main__":
    command.run(main)
