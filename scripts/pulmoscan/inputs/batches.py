"""Batches for training and prediction, read from the packed arrays or from cached features.

The order of training images, and what augmentation does to them, depends on the seed and the epoch
alone: a training that is resumed sees what it would have seen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pulmoscan.inputs import augmentation, cached_features, pixels
from pulmoscan.storage import reading
from pulmoscan.storage.arrays import NpyFile

# Bytes of pixels that are computed once; above, they are computed by batch. A constant, so that
# memory does not grow with the data.
IN_MEMORY = 256 << 20


@dataclass(frozen=True)
class Pixels:
    """Images of the packed arrays as a network sees them.

    Attributes:
        images: the packed images, or their file.
        masks: the packed masks, or their file.
        settings: an entry of ``pixels:``.
        size: the input size of the network in pixels; no matter for histograms.
        kept: the pixels of ``kept_rows`` in memory, None where there are none.
        kept_rows: rows of the packed arrays, sorted.
    """

    images: np.ndarray | NpyFile
    masks: np.ndarray | NpyFile
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
        """Return the same with the pixels of ``rows`` in memory, if they fit in ``limit`` bytes."""
        rows = np.unique(rows)
        first = self.read(rows[:1])
        if first.nbytes * len(rows) > limit:
            return self
        kept = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for start in range(0, len(rows), pixels.BATCH):
            part = slice(start, start + pixels.BATCH)
            kept[part] = self.read(rows[part])
        return Pixels(self.images, self.masks, self.settings, self.size, kept, rows)


@dataclass(frozen=True)
class Features:
    """Cached outputs of the frozen part of a network.

    Attributes:
        values: n x D, the tensors that cross the cut, flattened and side by side.
        rows: n rows of the packed arrays that they belong to, sorted.
        tensors: ``layer``, the name of the layer that makes each, and its ``shape`` for one image.
    """

    values: np.ndarray | NpyFile
    rows: np.ndarray
    tensors: Sequence[Mapping]

    @classmethod
    def open(cls, path: Path) -> "Features":
        """Return the features in a file of ``features.py``, which wrote two others beside it.

        Raises ``ValueError`` where the three files do not belong together.
        """
        values = NpyFile(path, cached_features.STAGE)
        reading.check(path, cached_features.STAGE)
        rows = cached_features.rows(path)
        description = cached_features.description(path)
        tensors, dtype = description["tensors"], description["dtype"]
        described = (len(rows), sum(cached_features.sizes(tensors)))
        if (values.shape, values.dtype) != (described, dtype):
            raise values.damaged(
                f"{values.dtype} of shape {values.shape}, but the files beside it describe "
                f"{dtype} of shape {described}"
            )
        return cls(values, rows, tensors)

    def check(self, tensors: Sequence[Mapping]) -> None:
        """Raise ``ValueError`` unless these tensors (see `cut.crossing`) are the cached ones."""
        if list(self.tensors) != list(tensors):
            raise ValueError(
                f"these features are the output of {_names(self.tensors)}, but the trained part "
                f"takes that of {_names(tensors)}: they belong to another cut or input size"
            )

    def read(self, rows: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Return the features of rows of the packed arrays: a tensor (n, ...) float32, or several.

        Raises ``ValueError`` when there are none for a row.
        """
        rows = np.asarray(rows)
        missing = rows[~np.isin(rows, self.rows)]
        if missing.size:
            raise ValueError(
                f"no features of {missing.size} images (row {missing[0]} first): "
                "they were computed for another sampling; run the features stage again"
            )
        values = self.values[np.searchsorted(self.rows, rows)].astype("float32", copy=False)
        parts = np.split(values, np.cumsum(cached_features.sizes(self.tensors))[:-1], axis=1)
        shaped = tuple(
            part.reshape(len(rows), *tensor["shape"])
            for part, tensor in zip(parts, self.tensors, strict=True)
        )
        return shaped if len(shaped) > 1 else shaped[0]


def _names(tensors: Sequence[Mapping]) -> str:
    return ", ".join(f"{tensor['layer']} {tuple(tensor['shape'])}" for tensor in tensors) or "none"


class Batches(keras.utils.PyDataset):
    """Batches ``(x, labels)`` of some rows; images and histograms get a last axis of length 1.

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

    def __getitem__(self, index: int) -> tuple[np.ndarray | tuple[np.ndarray, ...], np.ndarray]:
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        rows = self.rows[part]
        x = self.source.read(rows)
        if isinstance(self.source, Features):
            return x, self.labels[part]
        if self.augment is not None:
            x = augmentation.augment(x, self.augment, self.seed or 0, self.epoch, rows)
        return pixels.with_channel(x), self.labels[part]


def order_of(seed: int, epoch: int, number: int) -> np.ndarray:
    """Return the order of ``number`` training images in an epoch, counted from 0."""
    return np.random.default_rng([seed, epoch]).permutation(number)
