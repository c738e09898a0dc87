"""Batches for training and prediction, read from the packed arrays or from cached features.

The order of training images, and what augmentation does to them, depends on the seed and the epoch
alone: a training that is resumed sees what it would have seen.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from pulmoscan import augmentation, pixels

IN_MEMORY = 2 << 30  # bytes of pixels that are computed once; above, they are computed by batch
CHUNK = 256  # images of which the pixels are computed at a time


@dataclass(frozen=True)
class Pixels:
    """Images of the packed arrays as a network sees them.

    ``images`` and ``masks`` are the packed arrays, ``settings`` an entry of ``pixels:``, ``size``
    the network's input size. ``kept`` holds the pixels of the rows ``kept_rows`` (sorted).
    """

    images: np.ndarray
    masks: np.ndarray
    settings: Mapping
    size: int
    kept: np.ndarray | None = None
    kept_rows: np.ndarray | None = None

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the pixels of rows of the packed arrays: n x s x s uint8 (histograms: n x 256)."""
        if self.kept is not None:
            return self.kept[np.searchsorted(self.kept_rows, rows)]
        return pixels.apply(self.images[rows], self.masks[rows], self.settings, self.size)

    def keep(self, rows: np.ndarray, limit: int = IN_MEMORY) -> "Pixels":
        """Return the same with the pixels of ``rows`` in memory, where they fit ``limit`` bytes."""
        rows = np.unique(rows)
        first = self.read(rows[:1])
        if first.nbytes * len(rows) > limit:
            return self
        kept = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for start in range(0, len(rows), CHUNK):
            kept[start : start + CHUNK] = self.read(rows[start : start + CHUNK])
        return Pixels(self.images, self.masks, self.settings, self.size, kept, rows)


@dataclass(frozen=True)
class Features:
    """Cached outputs of a frozen backbone: ``values`` n x d float32 of the sorted rows ``rows``."""

    values: np.ndarray
    rows: np.ndarray

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of rows of the packed arrays, n x d float32.

        Raises ``ValueError`` when there are none for a row.
        """
        index = np.searchsorted(self.rows, rows)
        missing = np.asarray(rows)[~np.isin(rows, self.rows)]
        if missing.size:
            raise ValueError(
                f"no features of {missing.size} images (row {missing[0]} first): "
                "they were computed for another sampling; run the features stage again"
            )
        return np.asarray(self.values[index])


class Batches(keras.utils.PyDataset):
    """Batches ``(x, labels)`` of some rows; images get a last axis of length 1.

    Without ``seed`` the rows come in the order given; with it, in the order of ``epoch``.
    ``augment`` moves the images (see `augmentation.augment`).
    """

    def __init__(
        self,
        source: Pixels | Features,
        rows: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
        augment: Mapping | None = None,
    ) -> None:
        super().__init__()
        self.source, self.batch_size, self.augment = source, batch_size, augment
        self.seed, self.epoch = seed, epoch
        order = np.arange(len(rows)) if seed is None else order_of(seed, epoch, len(rows))
        self.rows, self.labels = np.asarray(rows)[order], np.asarray(labels, "int32")[order]

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        rows = self.rows[part]
        x = self.source.read(rows)
        if self.augment is not None:
            x = augmentation.augment(x, self.augment, self.seed or 0, self.epoch, rows)
        x = x.astype("float32", copy=False)
        return (x if isinstance(self.source, Features) else x[..., None]), self.labels[part]


def order_of(seed: int, epoch: int, number: int) -> np.ndarray:
    """Return the order of ``number`` training images in an epoch, counted from 0."""
    return np.random.default_rng([seed, epoch]).permutation(number)
