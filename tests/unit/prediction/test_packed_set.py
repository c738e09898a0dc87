"""Predictions for a packed data set: those of its files, for the images that can be shown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_description
from pulmoscan.prediction import packed_set
from pulmoscan.prediction.description import Description, Trained
from pulmoscan.storage import arrays, tables
from pulmoscan.storage.arrays import NpyFile

TRAINED = Trained(3, [64, 64], [64, 64], ["PNG"], ["L"], [0.0, 0.5])
LEVELS = (10, 200, 90, 150, 0, 250)
AUDIT = pd.DataFrame(
    {
        "image": [f"i{level}" for level in LEVELS],
        "defects": ["", "", "", "", "not an image", ""],
        "mask_width": [32, 0, 32, 32, 0, 32],
    }
)


def described(**changed: object) -> Description:
    return small_description.described(TRAINED, labels=["bright", "dark"], **changed)


def scores(shown: np.ndarray) -> np.ndarray:
    mean = shown.mean(axis=(1, 2)) - 100
    return np.stack([mean, -mean], axis=1) / 10


@pytest.fixture
def arrays_of_set(tmp_path: Path) -> tuple[NpyFile, NpyFile]:
    """Images of one grey level, and masks that are left half lung."""
    images = np.repeat(np.array(LEVELS, np.uint8), 32 * 32).reshape(-1, 32, 32)
    masks = np.zeros_like(images)
    masks[:, :, :16] = (AUDIT["mask_width"] > 0).to_numpy()[:, None, None]
    for name, array in (("images", images), ("masks", masks)):
        arrays.write(tmp_path / f"{name}.npy", array)
    return NpyFile(tmp_path / "images.npy", "x"), NpyFile(tmp_path / "masks.npy", "x")


def test_whole_images_are_predicted_without_masks(arrays_of_set):
    table = packed_set.predict(AUDIT, *arrays_of_set, described(), scores)
    assert list(table) == ["image", "predicted", "p_bright", "p_dark"]
    assert dict(zip(table["image"], table["predicted"], strict=True)) == {
        "i10": "dark",
        "i200": "bright",
        "i90": "dark",
        "i150": "bright",
        "i250": "bright",
    }
    assert packed_set.summary(AUDIT, described()) == "5 of 6 images predicted (1 defective)"


def test_regions_are_shown_of_images_with_a_mask(arrays_of_set):
    lungs = described(pixels={"region": "lungs"})
    table = packed_set.predict(AUDIT, *arrays_of_set, lungs, scores)
    # Half of each image is black.
    assert dict(zip(table["image"], table["predicted"], strict=True)) == {
        "i10": "dark",
        "i90": "dark",
        "i150": "dark",
        "i250": "bright",
    }
    line = "4 of 6 images predicted (1 defective, 1 without mask)"
    assert packed_set.summary(AUDIT, lungs) == line


def test_the_decision_rule_is_that_of_the_run(arrays_of_set):
    sure = described(threshold=0.9999999, positive="bright")
    table = packed_set.predict(AUDIT, *arrays_of_set, sure, scores)
    assert table.loc[table["predicted"] == "bright", "image"].tolist() == ["i200", "i250"]


def test_every_batch_is_full(arrays_of_set):
    sizes = []

    def counted(shown: np.ndarray) -> np.ndarray:
        sizes.append(shown.shape)
        return scores(shown)

    packed_set.predict(AUDIT, *arrays_of_set, described(), counted)
    assert sizes == [(4, 16, 16), (4, 16, 16)]


def test_a_set_of_which_nothing_can_be_shown_gives_an_empty_table(arrays_of_set, tmp_path):
    broken = AUDIT.assign(defects="not an image")
    table = packed_set.predict(broken, *arrays_of_set, described(), scores)
    tables.write(tmp_path / "t.parquet", table)
    read = tables.read(tmp_path / "t.parquet", "x", ["image", "predicted"], ["p_bright"])
    assert list(read) == ["image", "predicted", "p_bright", "p_dark"]
    assert read.empty


def test_arrays_of_another_size_or_length_are_refused(arrays_of_set):
    with pytest.raises(ValueError, match="images of 32 pixels, not the 64 of the training"):
        packed_set.predict(AUDIT, *arrays_of_set, described(image_size=64), scores)
    with pytest.raises(ValueError, match="6 images, of 5 that were audited"):
        packed_set.predict(AUDIT.iloc[1:], *arrays_of_set, described(), scores)
