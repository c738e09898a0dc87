"""The images of a sampling, in the batches that networks are trained and tested on."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pulmoscan.data import packed
from pulmoscan.inputs import batches
from pulmoscan.inputs.batches import Batches, Features, Pixels


@dataclass(frozen=True)
class Examples:
    """The images of a sampling, in its order.

    Attributes:
        rows: of the packed arrays.
        labels: index of each image's label among the sorted labels of the sampling.
        splits: ``train``, ``validation`` or ``test``.
    """

    rows: np.ndarray
    labels: np.ndarray
    splits: np.ndarray

    @classmethod
    def of(cls, sampling: pd.DataFrame, labels: Sequence[str]) -> "Examples":
        """Return the images of a sampling, given its sorted labels."""
        return cls(
            sampling["row"].to_numpy(),
            np.searchsorted(labels, sampling["label"]),
            sampling["split"].to_numpy(),
        )

    def select(self, *splits: str) -> "Examples":
        """Return the images of these splits alone, in the same order."""
        chosen = np.isin(self.splits, splits)
        return Examples(self.rows[chosen], self.labels[chosen], self.splits[chosen])

    def batches(self, source: Pixels | Features, size: int, **order: Any) -> Batches:
        """Return all images in batches; ``order`` (see `Batches`) is that of a training epoch."""
        return Batches(source, self.rows, self.labels, size, **order)


def pixels(arguments: argparse.Namespace, rows: np.ndarray) -> Pixels:
    """Return the pixels that the `options` of a script choose, those of ``rows`` held in memory.

    They are read when needed if they do not fit.
    """
    images = packed.opened(arguments.images, arguments.masks)
    return Pixels(*images, arguments.pixels, arguments.network.get("input_size")).keep(rows)


def held(path: Path, rows: np.ndarray) -> Features:
    """Return the cached features in a file, those of ``rows`` held in memory.

    They are read when needed if they do not fit. Raises ``ValueError`` when there are none for a
    row.
    """
    features, rows = Features.open(path), np.unique(rows)
    if len(rows) * features.values.shape[1] * np.float32().nbytes > batches.IN_MEMORY:
        return features
    return replace(features, values=features.read(rows).reshape(len(rows), -1), rows=rows)
