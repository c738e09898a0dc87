"""Differences between regions, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import region_differences
from pulmoscan.results.region_differences import COLUMNS, table

VARIANTS = {
    region: {"region": region, "sampling": "balanced", "apart": "{}"}
    for region in ("lungs", "outside", "full")
}
SELECTION = pd.DataFrame(
    {"split_name": ["grouped", "cv-1", "cv-2"], "split": ["grouped", *2 * ["cv"]]}
)
IMAGES = pd.DataFrame({"image": ["a", "b", "c", "d"], "duplicate_group": ["g1", "g1", None, ""]})


def answers(variant: str, right: str, seed: int = 0, split_name: str = "grouped", **more: str):
    """Return predictions of a training that is right about the images in ``right``."""
    images = more.pop("images", "abcd")
    facts = {"model": "net", "unfreeze": "0", "split": "test"} | more
    return pd.DataFrame(
        {
            **{"split_name": split_name, "variant": variant, "seed": seed, **facts},
            "image": list(images),
            "correct": [image in right for image in images],
        }
    )


def compared(*parts: pd.DataFrame, variants: dict = VARIANTS) -> pd.DataFrame:
    return table(SELECTION, pd.concat(parts), IMAGES, variants, resamples=400)


def test_the_difference_is_that_of_the_seeds_and_images_that_both_have() -> None:
    found = compared(
        answers("lungs", "a", 0),
        answers("lungs", "ab", 1),
        answers("full", "abc", 0),
        answers("full", "abcd", 1),
        answers("full", "", 2),
    )
    assert list(found) == COLUMNS
    (row,) = found.to_dict("records")
    assert (row["region"], row["against"]) == ("full", "lungs")
    assert (row["images"], row["groups"], row["trainings"]) == (4, 3, 2)
    assert row["accuracy"] == pytest.approx(7 / 8)
    assert row["accuracy_against"] == pytest.approx(3 / 8)
    assert row["difference"] == pytest.approx(0.5)
    assert row["difference_sd"] == 0
    assert row["low"] < 0.5 < row["high"]


def test_three_regions_give_three_pairs() -> None:
    found = compared(*(answers(region, "ab") for region in VARIANTS))
    pairs = list(found[["region", "against"]].itertuples(index=False, name=None))
    assert pairs == list(region_differences.PAIRS)
    assert np.isnan(found["difference_sd"]).all()  # one training says nothing of their spread


def test_folds_are_one_test_set() -> None:
    found = compared(
        *(
            answers(variant, right, split_name=name, images=images)
            for name, images in (("cv-1", "ab"), ("cv-2", "cd"))
            for variant, right in (("lungs", "ac"), ("outside", "abc"))
        )
    )
    (row,) = found.to_dict("records")
    assert (row["split"], row["images"]) == ("cv", 4)
    assert row["difference"] == pytest.approx(0.25)


def test_validation_images_and_other_samplings_and_settings_are_left_out() -> None:
    variants = VARIANTS | {
        "blurred": {"region": "full", "sampling": "balanced", "apart": '{"enhance": ["blur"]}'},
        "large": {"region": "full", "sampling": "large", "apart": "{}"},
    }
    parts = [answers("lungs", "ab"), answers("blurred", "abc"), answers("large", "abcd")]
    assert compared(*parts, variants=variants).empty
    parts.append(answers("full", "abcd", split="validation"))
    assert compared(*parts, variants=variants).empty


def test_a_training_with_other_images_is_compared_on_those_in_common() -> None:
    (row,) = compared(answers("lungs", "a"), answers("full", "ab", images="abx")).to_dict("records")
    assert (row["images"], row["difference"]) == (2, 0.5)
    assert compared(answers("lungs", "a"), answers("full", "x", images="x")).empty


def test_without_trainings_the_table_is_empty() -> None:
    key = pd.DataFrame(columns=["split_name", "model", "unfreeze", "variant", "seed"])
    assert list(table(SELECTION, key, IMAGES, VARIANTS, 200)) == COLUMNS


def test_equal_trainings_do_not_differ() -> None:
    (row,) = compared(answers("lungs", "ab"), answers("full", "ab")).to_dict("records")
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)


def test_images_of_a_patient_are_drawn_together() -> None:
    parts = [answers("lungs", "a"), answers("full", "abc")]
    images = IMAGES.assign(patient=["p", "q", "q", None])
    (row,) = table(SELECTION, pd.concat(parts), images, VARIANTS, 400).to_dict("records")
    assert (row["images"], row["groups"]) == (4, 2)  # a, b and c by a copy and a patient; d
    assert row["low"] < row["difference"] < row["high"]
