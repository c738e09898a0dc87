"""Images of one data set that are copies of images of another, as their packed arrays show them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.data import duplicates
from pulmoscan.storage import tables
from pulmoscan.storage.arrays import NpyFile

COLUMNS = ["image", "copy_of", "kind", "distance", "correlation", "change"]
STAGE = "external_duplicates"


def between(
    decoded: pd.DataFrame,
    images: NpyFile,
    other_decoded: pd.DataFrame,
    other_images: NpyFile,
    map_: Callable = map,
) -> pd.DataFrame:
    """Return the images that show the same radiograph as one of another data set.

    All images take part whose pixels could be read, whatever is wrong with their masks; those of
    one grey level show no radiograph.

    Args:
        decoded: the table of the packing.
        images: the packed images of its rows.
        other_decoded: the same of the other data set.
        other_images: its packed images, made in the same way.
        map_: applies a function to several things, such as ``map`` of a pool of threads.

    Returns:
        One row per pair, with `COLUMNS`: ``kind, distance, correlation, change`` are those of
        `duplicates.find_between`. An image may be a copy of several.

    Raises:
        ValueError: an array does not belong to its table.
    """
    one, other = _rows(decoded, images, map_), _rows(other_decoded, other_images, map_)
    pairs = duplicates.find_between(
        _described(decoded, images, one, map_),
        _described(other_decoded, other_images, other, map_),
        map_,
    )
    return pd.DataFrame(
        {
            "image": decoded["image"].to_numpy()[one[pairs["a"]]],
            "copy_of": other_decoded["image"].to_numpy()[other[pairs["b"]]],
            **{name: pairs[name] for name in COLUMNS[2:]},
        }
    ).astype(dict.fromkeys(["image", "copy_of", "kind", "change"], "str"))


def closest(copies: pd.DataFrame) -> pd.Series:
    """Return by image the one that it is a copy of: the same, or else the most similar one."""
    best = copies.assign(near=copies["kind"] != "exact").sort_values(
        ["near", "correlation"], ascending=[True, False], kind="stable"
    )
    return best.drop_duplicates("image").set_index("image")["copy_of"]


def read(path: Path) -> pd.DataFrame:
    """Return what `between` returned, from its file.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    text = ["image", "copy_of", "kind", "change"]
    return tables.read(path, STAGE, text, ["distance", "correlation"])


def _rows(decoded: pd.DataFrame, images: NpyFile, map_: Callable) -> np.ndarray:
    """Return the rows of the images that take part."""
    if len(images) != len(decoded):
        raise images.damaged(f"{len(images):,} images, of {len(decoded):,} that were decoded")

    def has_levels(row: int) -> bool:
        image = images[row]
        return bool(image.min() < image.max())

    rows = np.flatnonzero(decoded["pixel_sha256"] != "")
    return rows[np.fromiter(map_(has_levels, rows), bool, len(rows))]


def _described(
    decoded: pd.DataFrame, images: NpyFile, rows: np.ndarray, map_: Callable
) -> duplicates.Images:
    return duplicates.described(decoded.iloc[rows], lambda position: images[rows[position]], map_)
