"""The hardest images: how many trainings get each of them wrong, against a count by hand."""

import hardest_images
import numpy as np
import pandas as pd
import pytest
from pulmoscan.results.hardest_images import COLUMNS, hardest
from pulmoscan.storage import tables
from trainings import FOUR, HEADER, Trainings

IMAGES = pd.DataFrame(
    {
        "image": [f"Normal-{i}" for i in range(30)],
        "class": "Normal",
        "source": ["RSNA"] * 29 + [None],
    }
)


def predictions(rows):
    """Gathered predictions of one run, each given as (seed, image, label, predicted)."""
    table = pd.DataFrame(rows, columns=["seed", "image", "label", "predicted"])
    return table.assign(
        split_name="grouped", split="test", correct=table["label"] == table["predicted"]
    )


@pytest.fixture
def many():
    """Predictions of 12 trainings of two splits; not all of them see every image."""
    rng = np.random.default_rng(0)
    parts = []
    for seed in range(12):
        seen = rng.choice(30, size=20, replace=False)
        part = predictions(
            [(seed, f"Normal-{i}", FOUR[i % 4], FOUR[rng.integers(4)]) for i in seen]
        )
        parts.append(
            part.assign(
                split_name=["grouped", "naive"][seed % 2],
                split=np.where(seen % 3 == 0, "validation", "test"),
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_counts_are_those_of_a_loop_by_hand(many):
    table = hardest(many, IMAGES)
    assert list(table.columns) == COLUMNS
    seen = {}
    for row in many.itertuples():
        key = (row.split_name, row.split, row.image, row.label)
        seen.setdefault(key, []).append(row.predicted)
    assert len(table) == len(seen)
    for row in table.itertuples():
        given = seen[row.split_name, row.split, row.image, row.label]
        wrong = sum(label != row.label for label in given)
        assert (row.trainings, row.wrong) == (len(given), wrong)
        assert row.share_wrong == wrong / len(given)
        times = {label: given.count(label) for label in sorted(given)}
        assert row.most_predicted == max(times, key=times.get)
    assert table["class"].eq("Normal").all()
    named = table.set_index("image")["source"]
    assert named.drop("Normal-29", errors="ignore").eq("RSNA").all()


def test_the_hardest_come_first_and_equals_in_the_order_of_their_names(many):
    table = hardest(many, IMAGES)
    assert table["share_wrong"].is_monotonic_decreasing
    for _, part in table.groupby(["share_wrong", "trainings"]):
        assert part["image"].is_monotonic_increasing


def test_which_images_every_run_gets_wrong_is_one_line(many):
    of_test = many[(many["split"] == "test") & (many["split_name"] == "grouped")]
    never_right = of_test.groupby("image")["correct"].max()
    table = hardest(of_test, IMAGES)
    assert set(table.loc[table["share_wrong"] == 1, "image"]) == set(
        never_right[~never_right].index
    )
    assert 0 < (~never_right).sum() < len(never_right)


def test_an_image_with_two_labels_has_a_row_for_each():
    """A binary run asks another question about the same image."""
    table = hardest(
        predictions([(0, "Normal-1", "Normal", "COVID"), (1, "Normal-1", "normal", "normal")]),
        IMAGES,
    )
    assert table[["label", "wrong", "most_predicted"]].to_numpy().tolist() == [
        ["Normal", 1, "COVID"],
        ["normal", 0, "normal"],
    ]


def test_of_labels_that_are_given_equally_often_the_first_by_name_is_told():
    rows = [(0, "Normal-1", "Normal", "Lung_Opacity"), (1, "Normal-1", "Normal", "COVID")]
    assert hardest(predictions(rows), IMAGES)["most_predicted"].tolist() == ["COVID"]
    assert hardest(predictions(rows[::-1]), IMAGES)["most_predicted"].tolist() == ["COVID"]


def run_script(folder):
    tables.write(folder / "images.parquet", IMAGES)
    hardest_images.main(
        [
            *("--predictions", f"{folder}/gathered/predictions.parquet"),
            *("--images", f"{folder}/images.parquet", "--output", f"{folder}/hardest.tsv"),
        ]
    )
    return tables.read(folder / "hardest.tsv", "hardest_images", ["image", "source"])


def test_the_table_is_that_of_what_was_gathered(tmp_path):
    trainings = Trainings(tmp_path, f"{HEADER}mobilenet\t0\tlungs\t\n", seeds=(0, 1))
    trainings.train(6, images=10)
    trainings.train(8, images=10, seed=1)
    trainings.gather("predictions")
    table = run_script(tmp_path)
    assert list(table.columns) == COLUMNS
    test = table[table["split"] == "test"].set_index("image")
    assert test["wrong"].to_dict() == {
        **{f"Normal-{i}": 0 for i in range(6)},
        **{"Normal-6": 1, "Normal-7": 1, "Normal-8": 2, "Normal-9": 2},
    }
    assert list(test.index[:2]) == ["Normal-8", "Normal-9"]
    assert test["trainings"].eq(2).all()


def test_without_a_training_there_is_no_image(tmp_path):
    Trainings(tmp_path, f"{HEADER}vgg19\t0\tlungs-large\t\n").gather("predictions")
    table = run_script(tmp_path)
    assert list(table.columns) == COLUMNS
    assert len(table) == 0
