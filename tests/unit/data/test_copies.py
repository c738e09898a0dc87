"""Copies between two data sets: found by their packed images, told by their names."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data import copies
from pulmoscan.storage import arrays, tables
from pulmoscan.storage.arrays import NpyFile

Data = tuple[pd.DataFrame, NpyFile]


def smooth(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Data]:
    def write(name: str, *images: np.ndarray, unread: int | None = None) -> Data:
        path = tmp_path / f"{name}.npy"
        arrays.write(path, np.stack(images))
        contents = [image.tobytes().hex() for image in images]
        decoded = pd.DataFrame(
            {
                "image": [f"{name}-{i}" for i in range(len(images))],
                "width": 128,
                "height": 128,
                "pixel_sha256": contents,
            }
        )
        if unread is not None:
            decoded.loc[unread, "pixel_sha256"] = ""
        return decoded, NpyFile(path, "the packing")

    return write


def test_exact_and_near_copies_are_found_and_others_are_not(packed):
    grey = np.full((128, 128), 90, np.uint8)
    near = np.clip(smooth(1) * 0.95 + 6, 0, 255).astype(np.uint8)
    one = packed("set", smooth(9), smooth(0), near, grey, np.zeros_like(grey), unread=4)
    other = packed("own", smooth(0), smooth(1), grey, np.zeros_like(grey), smooth(2), unread=3)
    found = copies.between(*one, *other)
    assert list(found) == copies.COLUMNS
    assert found[["image", "copy_of", "kind"]].to_numpy().tolist() == [
        ["set-1", "own-0", "exact"],
        ["set-2", "own-1", "near"],
    ]
    assert found["correlation"].between(0.98, 1).all()


def test_without_copies_the_table_keeps_its_columns(packed, tmp_path):
    found = copies.between(*packed("set", smooth(9)), *packed("own", smooth(0)))
    tables.write(tmp_path / "copies.parquet", found)
    assert list(copies.read(tmp_path / "copies.parquet")) == copies.COLUMNS
    assert copies.closest(found).empty


def test_an_image_is_a_copy_of_the_same_one_or_of_the_most_similar(packed):
    found = pd.DataFrame(
        [
            ("a", "x", "near", 3, 0.99, ""),
            ("a", "y", "exact", 0, 1.0, ""),
            ("b", "x", "near", 1, 0.985, ""),
            ("b", "z", "near", 1, 0.995, ""),
        ],
        columns=copies.COLUMNS,
    )
    assert copies.closest(found).to_dict() == {"a": "y", "b": "z"}


def test_images_of_another_packing_are_refused(packed):
    decoded, images = packed("set", smooth(0), smooth(1))
    with pytest.raises(ValueError, match=r"set\.npy is damaged \(2 images, of 1 that"):
        copies.between(decoded.iloc[:1], images, *packed("own", smooth(2)))
