"""Find the images of an external set that are copies of images of the data set trained on.

Settings: ``--threads``, how many images are compared at a time.

Inputs: the packed images of both, and the tables of what was decoded.

Output: one row per pair, ``image, copy_of, kind, distance, correlation, change``, see
`pulmoscan.data.copies.between`.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
from pulmoscan import command
from pulmoscan.data import copies, pack, packed
from pulmoscan.storage import tables
from pulmoscan.storage.arrays import NpyFile


def main(argv: Sequence[str]) -> None:
    """Compare the two data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="packed images of the set")
    parser.add_argument("--decoded", type=Path, required=True, help="table of its packing")
    parser.add_argument("--trained-images", type=Path, required=True, help="those trained on")
    parser.add_argument("--trained-decoded", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help=".parquet")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)  # the threads are ours
    with ThreadPoolExecutor(arguments.threads) as pool:
        found = copies.between(
            pack.read_decoded(arguments.decoded),
            NpyFile(arguments.images, packed.STAGE),
            pack.read_decoded(arguments.trained_decoded),
            NpyFile(arguments.trained_images, packed.STAGE),
            pool.map,
        )
    tables.write(arguments.output, found)
    for pair in found.itertuples():
        how = pair.change or ("the same pixels" if pair.kind == "exact" else "nearly the same")
        print(f"{pair.image} is a copy of {pair.copy_of}: {how}")
    print(f"{found['image'].nunique():,} images are copies of images trained on")


if __name__ == "__main__":
    command.run(main)
