"""What the audit computes from pixels: the packed arrays, read block by block."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.data import describe, duplicates, intensity, packed, plausibility

BLOCK = 128  # images in a block


@dataclass(frozen=True)
class Measured:
    """What is computed from the pixels of every image, row by row.

    Attributes:
        histograms: n x 2 x 256 int32, see ``intensity.histograms``.
        hashes: n uint64, see ``duplicates.perceptual_hash``.
        thumbnails: n x 64 x 64 uint8, see ``duplicates.reduced``.
        masks: n x 512 uint8, see ``plausibility.reduced_mask``.
        mask_contrast: n float64, see ``plausibility.edge_contrast``.
        summed: n integers: the position in ``sums`` of the sum that includes an image, -1 for none.
        sums: For each class 2 x s x s float64, whole numbers: the pixelwise sum of its images,
            whole, and with black outside the mask.
    """

    histograms: np.ndarray
    hashes: np.ndarray
    thumbnails: np.ndarray
    masks: np.ndarray
    mask_contrast: np.ndarray
    summed: np.ndarray
    sums: np.ndarray


@dataclass(frozen=True)
class Packed:
    """The packed arrays. Each read maps a file anew, so that only one block stays in memory.

    Attributes:
        images: File with n x s x s uint8 grey levels.
        masks: File with n x s x s uint8, 1 inside the lungs.
    """

    images: Path
    masks: Path

    def rows(self, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and masks of the given rows."""
        images, masks = (np.asarray(_mapped(path)[rows]) for path in (self.images, self.masks))
        return images, masks

    def check(self, count: int) -> None:
        """Raise ``ValueError`` unless both are complete arrays of ``count`` images of one size."""
        for stored in packed.opened(self.images, self.masks):
            if len(stored) != count:
                raise stored.damaged(f"{len(stored):,} images, of {count:,} that were decoded")

    def measure(self, decoded: pd.DataFrame, map_: Callable = map) -> Measured:
        """Read every packed image once.

        Args:
            decoded: one row per packed image: ``class, defects``; those with defects are in no sum.
            map_: applies a function to the blocks.
        """
        side = duplicates.COMPARED
        count = len(decoded)
        measured = Measured(
            np.zeros((count, 2, intensity.LEVELS), np.int32),
            np.zeros(count, np.uint64),
            np.zeros((count, side, side), np.uint8),
            np.zeros((count, side * side // 8), np.uint8),
            np.full(count, np.nan),
            _class_of_usable(decoded),
            np.zeros((decoded["class"].nunique(), 2, *self._size())),
        )

        def work(start: int) -> dict[int, np.ndarray]:
            sums: dict[int, np.ndarray] = {}
            images, masks = self.rows(slice(start, start + BLOCK))
            for row, (image, mask) in enumerate(zip(images, masks, strict=True), start):
                measured.histograms[row] = intensity.histograms(image, mask)
                measured.hashes[row] = duplicates.perceptual_hash(image)
                measured.thumbnails[row] = duplicates.reduced(image)
                measured.masks[row] = plausibility.reduced_mask(mask)
                measured.mask_contrast[row] = plausibility.edge_contrast(
                    measured.thumbnails[row], measured.masks[row]
                )
                _add(sums, measured.summed[row], image, mask)
            return sums

        for sums in map_(work, range(0, count, BLOCK)):
            for position, values in sums.items():
                measured.sums[position] += values
        return measured

    def class_means(self, measured: Measured, images: pd.DataFrame) -> np.ndarray:
        """Return the pixelwise mean of the images without defects of each class.

        Args:
            measured: what `measure` returned.
            images: one row per packed image with ``class, defects``, which may have more defects
                than were known then.

        Returns:
            Classes x 2 x s x s float32 in 0..255, classes in the order of their names: whole, and
            with black outside the mask. NaN for a class without such an image.
        """
        usable = _class_of_usable(images)
        sums = measured.sums.copy()
        for row in np.flatnonzero(measured.summed != usable):
            too_much: dict[int, np.ndarray] = {}
            _add(too_much, measured.summed[row], *self.rows(row))
            for position, values in too_much.items():
                sums[position] -= values
        counts = [(usable == position).sum() or np.nan for position in range(len(sums))]
        return (sums / np.reshape(counts, (-1, 1, 1, 1))).astype(np.float32)

    def _size(self) -> tuple[int, int]:
        return _mapped(self.images).shape[1:]


def _class_of_usable(images: pd.DataFrame) -> np.ndarray:
    """Return the position of each image's class among all, -1 for an image with defects."""
    positions = pd.Index(describe.classes_of(images)).get_indexer(images["class"])
    return np.where(images["defects"] == "", positions, -1)


def _add(sums: dict[int, np.ndarray], position: int, image: np.ndarray, mask: np.ndarray) -> None:
    """Add an image to the sum at ``position``, which the first one begins; -1 stands for none."""
    if position >= 0:
        if position not in sums:
            sums[position] = np.zeros((2, *image.shape), np.float32)
        intensity.add_pixels(sums[position], image, mask)


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)
