"""Decode every PNG of the data set once, into arrays that later stages read memory-mapped.

Settings: ``--size``, the width and height of the packed images in pixels; ``--threads``, how many
pairs of image and mask are decoded at a time.

Inputs: the folder ``raw/`` and the table of its files, whose hashes are checked on the way.

Outputs: images (n x size x size uint8 grey), masks (the same, 1 inside the lungs and 0 outside),
and a table with one row an image in the same order, by class, then number: ``image, class, width,
height, mode, equal_channels, mask_width, mask_height, mask_binary, mean, sd, sha256, pixel_sha256,
defects`` as in ``pulmoscan.radiographs``. An image or mask that cannot be used is zeros; its
``defects`` say why, joined by "; ".
"""

import argparse
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pulmoscan import arrays, atomic, command, rawtable
from pulmoscan.radiographs import Radiograph, read

AHEAD = 256  # pairs that are held in memory at a time
ARRAYS = ("image", "mask")
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
    pairs = rawtable.pairs(rawtable.read(arguments.files))
    with ExitStack() as outputs:
        images, masks, decoded = (
            outputs.enter_context(atomic.replacing(path))
            for path in (arguments.images, arguments.masks, arguments.decoded)
        )
        table = pack(pairs, arguments.raw, arguments.size, arguments.threads, (images, masks))
        table.to_parquet(decoded, index=False)


def pack(
    pairs: Sequence[rawtable.Pair], raw: Path, size: int, threads: int, paths: tuple[Path, Path]
) -> pd.DataFrame:
    """Write the packed images and masks to ``paths`` and return the table of the module.

    The arrays are written with plain writes: a full disk is then an error, while a store to a
    memory-mapped file would end the process without one.

    Raises:
        OSError: a file of the data set cannot be read, or an array not written.
        ValueError: a file is not the one that was downloaded.
    """

    def work(pair: rawtable.Pair) -> Radiograph:
        mask = None if pair.mask is None else rawtable.content(raw, pair.mask)
        return read(rawtable.content(raw, pair.image), mask, size)

    rows = []
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            arrays.begin(file, np.uint8, (len(pairs), size, size))
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        for radiograph in _in_order(pool, work, pairs):
            for file, name in zip(files, ARRAYS, strict=True):
                arrays.append(file, getattr(radiograph, name))
            values = [getattr(radiograph, column) for column in COLUMNS]
            rows.append([*values, "; ".join(radiograph.defects)])
    table = pd.DataFrame(rows, columns=[*COLUMNS, "defects"]).astype(COLUMNS)
    table.insert(0, "image", [pair.name for pair in pairs])
    table.insert(1, "class", [pair.class_name for pair in pairs])
    table.insert(table.columns.get_loc("pixel_sha256"), "sha256", [p.image.sha256 for p in pairs])
    return table


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[rawtable.Pair], Radiograph],
    pairs: Sequence[rawtable.Pair],
) -> Iterator[Radiograph]:
    """Yield the radiographs in the order of ``pairs``, at most ``AHEAD`` read before their turn."""
    waiting: deque[Future[Radiograph]] = deque()
    try:
        for pair in pairs:
            waiting.append(pool.submit(work, pair))
            if len(waiting) == AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


if __name__ == "__main__":
    command.run(main)
