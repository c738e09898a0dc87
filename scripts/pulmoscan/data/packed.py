"""The packed images and masks: two arrays, written by the packing and read by every other stage."""

from pathlib import Path

import numpy as np

from pulmoscan.storage.arrays import NpyFile

STAGE = "the packing"


def opened(images: Path, masks: Path) -> tuple[NpyFile, NpyFile]:
    """Return packed images and masks (n x s x s uint8), whose rows are read when asked for.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file holds something else, or the two do not belong together.
    """
    files = NpyFile(images, STAGE), NpyFile(masks, STAGE)
    size = files[0].shape[1:2] * 2
    for file in files:
        if file.dtype != np.uint8 or len(file.shape) != 3 or file.shape[1:] != size:
            raise file.damaged(f"{file.dtype} of shape {file.shape} are not the packed images")
    if len(files[0]) != len(files[1]):
        raise files[1].damaged(f"{len(files[1]):,} masks of {len(files[0]):,} images in {images}")
    return files
