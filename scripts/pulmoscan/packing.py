"""The packed arrays, read block by block: what the audit computes from pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan import duplicates, intensity
from pulmoscan.database import CLASSES

BLOCK = 256  # images of a block


@dataclass(frozen=True)
class Measured:
    """What is computed from the pixels of every image, row by row.

    Attributes:
        histograms: n x 2 x 256 int32, see ``intensity.histograms``.
        hashes: n uint64, see ``duplicates.perceptual_hash``.
        thumbnails: n x 64 x 64 uint8, see ``duplicates.reduced``.
    """

    histograms: np.ndarray
    hashes: np.ndarray
    thumbnails: np.ndarray


@dataclass(frozen=True)
class Packed:
    """The packed arrays. Each read maps a file anew, so that no more than a block stays in memory.

    Attributes:
        images: File with n x s x s uint8 grey levels.
        masks: File with n x s x s uint8, 1 inside the lungs.
    """

    images: Path
    masks: Path

    def rows(self, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and masks of the given rows."""
        return _mapped(self.images)[rows], _mapped(self.masks)[rows]

    def check(self, count: int) -> None:
        """Raise ``ValueError`` unless both arrays have ``count`` images."""
        for path in (self.images, self.masks):
            if len(_mapped(path)) != count:
                raise ValueError(
                    f"{path} has {len(_mapped(path))} images, the table of decoded images {count}: "
                    "run the packing again"
                )

    def measure(self, count: int, map_: Callable = map) -> Measured:
        """Read every packed image once; ``map_`` applies a function to the blocks."""
        side = duplicates.COMPARED
        measured = Measured(
            np.zeros((count, 2, intensity.LEVELS), np.int32),
            np.zeros(count, np.uint64),
            np.zeros((count, side, side), np.uint8),
        )

        def work(start: int) -> None:
            images, masks = self.rows(slice(start, start + BLOCK))
            for row, (image, mask) in enumerate(zip(images, masks, strict=True), start):
                measured.histograms[row] = intensity.histograms(image, mask)
                measured.hashes[row] = duplicates.perceptual_hash(image)
                measured.thumbnails[row] = duplicates.reduced(image)

        for _ in map_(work, range(0, count, BLOCK)):
            pass
        return measured

    def class_means(self, images: pd.DataFrame, map_: Callable = map) -> np.ndarray:
        """Return the pixelwise mean of the images without defects of each class.

        Args:
            images: one row a packed image with ``class, defects``.
            map_: applies a function to the classes.

        Returns:
            4 x 2 x s x s float32 in 0..255, classes in the order of ``CLASSES``: whole, and with
            black outside the mask. NaN for a class without such an image.
        """
        size = _mapped(self.images).shape[1:]

        def work(class_name: str) -> np.ndarray:
            usable = (images["class"] == class_name) & (images["defects"] == "")
            rows = np.flatnonzero(usable)
            sums = np.zeros((2, *size))
            for start in range(0, len(rows), BLOCK):
                sums += intensity.pixel_sums(*self.rows(rows[start : start + BLOCK]))
            return sums / (len(rows) or np.nan)

        return np.stack(list(map_(work, CLASSES))).astype(np.float32)


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)
