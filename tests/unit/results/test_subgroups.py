"""Accuracy on parts of the test images, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import bootstrap, subgroups

SELECTION = pd.DataFrame({"split_name": ["grouped"], "split": ["grouped"]})


def images(**columns: list) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    named = {"image": [f"i{n}" for n in range(count)], "duplicate_group": [None] * count}
    return pd.DataFrame(named | columns)


def answers(labels: list[str], correct: list[bool], seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{"split_name": "grouped", "model": "net", "unfreeze": "0", "variant": "full"},
            **{"seed": seed, "split": "test", "label": labels, "correct": correct},
            "image": [f"i{n}" for n in range(len(labels))],
        }
    )


def by_key(found: pd.DataFrame) -> dict[tuple[str, str], dict]:
    return {(row["value"], row["label"]): row for row in found.to_dict("records")}


def test_parts_are_compared_with_the_rest_within_a_label() -> None:
    sex = 10 * ["F"] + 10 * ["M"]
    labels = 2 * (5 * ["sick"] + 5 * ["well"])
    first = [*4 * [True], False, *5 * [True], *1 * [True], *4 * [False], *5 * [True]]
    second = [*5 * [True], *5 * [True], *2 * [True], *3 * [False], *5 * [True]]
    found = subgroups.table(
        SELECTION,
        pd.concat([answers(labels, first), answers(labels, second, seed=1)]),
        images(sex=sex),
        ["sex"],
        resamples=500,
    )
    assert list(found) == subgroups.COLUMNS
    rows = by_key(found)
    assert len(rows) == 6
    women = rows["F", "sick"]
    assert (women["images"], women["trainings"]) == (5, 2)
    assert women["accuracy"] == pytest.approx(0.9)
    assert women["accuracy_rest"] == pytest.approx(0.3)
    assert women["difference"] == pytest.approx(0.6)
    assert 0 < women["difference_low"] < 0.6 < women["difference_high"] <= 1
    assert rows["M", "sick"]["difference"] == pytest.approx(-0.6)
    assert rows["M", "all"]["accuracy"] == pytest.approx((0.3 + 1) / 2)
    assert rows["F", "well"]["difference_low"] == rows["F", "well"]["difference_high"] == 0


def test_columns_that_tell_nothing_and_parts_that_are_too_small() -> None:
    labels = 12 * ["sick"]
    table = images(
        site=["A"] * 12,
        code=[f"c{n}" for n in range(12)],
        view=[*4 * ["AP"], *6 * ["PA"], None, ""],
    )
    found = subgroups.table(
        SELECTION, answers(labels, 12 * [True]), table, ["site", "view"], resamples=50
    )
    rows = by_key(found)
    assert set(found["column"]) == {"view"}
    assert rows["AP", "sick"]["images"] == 4
    assert np.isnan(rows["AP", "sick"]["difference"])
    assert rows["AP", "sick"]["accuracy_rest"] == 1


def test_without_predictions_there_is_no_row() -> None:
    found = subgroups.table(SELECTION, answers([], []), images(sex=[]), ["sex"], resamples=10)
    assert found.empty
    assert list(found) == subgroups.COLUMNS


def test_means_of_all_images_have_the_interval_of_the_mean() -> None:
    random = np.random.default_rng(0)
    values, groups = random.random((3, 40)), np.repeat(np.arange(20), 2)
    means = bootstrap.means(values, groups, np.ones((1, 40), bool), 400, seed=5)
    assert bootstrap.ends(means[:, 0]) == pytest.approx(
        bootstrap.interval(values, groups, 400, seed=5)
    )
