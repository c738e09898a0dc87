"""The published protocol beside the recommended one, over the same seeds, folds and images."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import protocols
from trainings import HEADER, SHORTFALL, Trainings, row_of

RUNS = f"""{HEADER}mobilenet\t19\tlungs\tsynthesis
warm\t19\tlungs
warm\t50\tlungs
warmer\t19\tlungs
"""
MODELS = {
    "mobilenet": {"like": None, "stages": None},
    "warm": {"like": "mobilenet", "stages": [{"unfreeze": 0}, {"learning_rate": 1e-5}]},
    "warmer": {"like": "warm", "stages": [{"unfreeze": 0}, {"learning_rate": 1e-6}]},
}
PAIR = "unfreeze == '19' and model in ['mobilenet', 'warm']"


def agresti_min(by_image):
    """The formula of Agresti and Min, written out."""
    centre = by_image.sum() / (len(by_image) + 2)
    squares = ((by_image**2).sum() + 1) / (len(by_image) + 2)
    error = np.sqrt(squares - centre**2) / np.sqrt(len(by_image) + 2)
    return centre - 1.959964 * error, centre + 1.959964 * error


def test_recommended_protocol_stands_beside_the_published_one(tmp_path):
    rng = np.random.default_rng(0)
    right = {
        (model, seed): rng.random(100) < share
        for model, share in (("mobilenet", 0.7), ("warm", 0.85))
        for seed in (0, 1, 2)
    }
    trainings = Trainings(tmp_path, RUNS, query=PAIR, seeds=(0, 1, 2), models=MODELS)
    for (model, seed), values in right.items():
        trainings.train(values, model=model, unfreeze="19", seed=seed)
    table = trainings.protocol()
    assert list(table.columns) == protocols.COLUMNS
    assert list(table["metric"]) == ["val_accuracy", "test_accuracy"]
    row = table.iloc[0]
    assert (row["model"], row["recommended_model"], row["unfreeze"]) == ("mobilenet", "warm", "19")
    assert (row["split"], row["published"], row["status"]) == ("grouped", "0.8", "run")
    means = {key: values.mean() for key, values in right.items()}
    base, staged = (pd.Series([means[m, s] for s in range(3)]) for m in ("mobilenet", "warm"))
    assert (row["reproduced"], row["sd"], row["n"]) == pytest.approx((base.mean(), base.std(), 3))
    assert (row["recommended"], row["recommended_sd"]) == pytest.approx(
        (staged.mean(), staged.std())
    )
    assert row["recommended_n"] == 3
    assert row["reproduced_difference"] == pytest.approx(base.mean() - 0.8)
    assert row["recommended_difference"] == pytest.approx(staged.mean() - 0.8)
    assert row["difference"] == pytest.approx((staged - base).mean())
    assert row["difference_sd"] == pytest.approx((staged - base).std())
    assert (row["pairs"], row["images"]) == (3, 100)
    by_image = sum(right["warm", s] * 1.0 - right["mobilenet", s] for s in range(3)) / 3
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(agresti_min(by_image))
    assert (row["asked"], row["got"]) == (2000, 1900)
    test = table.iloc[1]
    assert np.isnan(test["published_low"])
    assert test["recommended"] == pytest.approx(staged.mean())
    assert set(table[["reason", "difference_reason", "differs_in"]].to_numpy().ravel()) == {""}


def test_protocol_without_the_published_run_says_so(tmp_path):
    models = MODELS | {"mobilenet": MODELS["mobilenet"] | {"network": {"input_size": 256}}}
    models["warm"] = models["warm"] | {"network": {"input_size": 224}}
    query = "unfreeze == '50' or model == 'mobilenet'"
    trainings = Trainings(tmp_path, RUNS, query=query, models=models)
    trainings.train(80, model="warm", unfreeze="50")
    trainings.train(80, unfreeze="19")
    (row,) = trainings.protocol().query("metric == 'val_accuracy'").to_dict("records")
    assert (row["status"], row["reason"]) == ("not_run", "mobilenet: not in the run table")
    assert (row["published"], row["recommended"], row["n"]) == ("0.78", 0.8, 0)
    assert row["recommended_difference"] == pytest.approx(0.02)
    assert np.isnan(row["difference"])
    assert row["differs_in"] == "input_size"


@pytest.mark.parametrize(
    ("query", "missing", "expected"),
    [
        ("unfreeze == '19' and model == 'warm'", "", "mobilenet: left out by run_filter"),
        (PAIR, SHORTFALL, f"mobilenet: {SHORTFALL}; warm: {SHORTFALL}"),
    ],
)
def test_either_run_that_is_missing_says_why(tmp_path, query, missing, expected):
    resampling = [("balanced", "COVID", "COVID", "train", 100, 0 if missing else 100, missing)]
    trainings = Trainings(tmp_path, RUNS, query, models=MODELS, resampling=resampling)
    if not missing:
        trainings.train(80, model="warm", unfreeze="19")
    table = trainings.protocol()
    assert list(table["status"]) == ["not_run"] * 2
    assert list(table["reason"]) == [expected] * 2
    assert table[["difference", "asked", "got"]].isna().all(axis=None)


def test_a_study_without_staged_models_has_an_empty_table(tmp_path):
    trainings = Trainings(tmp_path, RUNS, query="model == 'mobilenet'", models=MODELS)
    trainings.train(80, unfreeze="19")
    table = trainings.protocol()
    assert list(table.columns) == protocols.COLUMNS
    assert len(table) == 0


def test_stages_of_the_study_itself_are_told(tmp_path):
    text = f"{HEADER}vgg19-progressive\tall\tlungs\tmore_images\n"
    models = {"vgg19-progressive": MODELS["warm"] | {"like": "vgg19"}}
    trainings = Trainings(tmp_path, text, models=models)
    trainings.train(80, model="vgg19-progressive", unfreeze="all")
    table = trainings.protocol()
    assert (table["model"][0], table["published"][0]) == ("vgg19", "0.91")
    assert table["published_recommended"].tolist() == ["0.91", ""]


def test_no_interval_of_a_difference_between_other_images(tmp_path):
    trainings = Trainings(tmp_path, RUNS, query=PAIR, models=MODELS)
    trainings.train(80, unfreeze="19")
    trainings.train(80, model="warm", unfreeze="19", first=50)
    table = trainings.protocol().set_index("metric")
    assert list(table["difference"]) == [0, 0]
    assert table["images"].isna().tolist() == [False, True]
    test = table.loc["test_accuracy"]
    assert np.isnan(test["difference_low"])
    assert test["difference_reason"] == "the two were scored on different images"
    assert (test["status"], test["reason"]) == ("run", "")


SIZES = (30, 20, 10)  # test images of the folds


def test_pairs_over_folds_are_of_the_same_fold_and_seed(tmp_path):
    """Every image tests in one fold: its difference is the mean over seeds of that fold."""
    rng = np.random.default_rng(1)
    text = f"split\t{HEADER}cv\tmobilenet\t19\tlungs\t\ncv\twarm\t19\tlungs\t\n"
    trainings = Trainings(
        tmp_path, text, seeds=(0, 1), split="cv", splits={"cv": {"folds": 3}}, models=MODELS
    )
    right, first = {}, 0
    for fold, images in enumerate(SIZES, start=1):
        for model, share in (("mobilenet", 0.5), ("warm", 0.8)):
            for seed in (0, 1):
                values = right[model, fold, seed] = rng.random(images) < share
                trainings.train(
                    *(values, ("COVID", "Normal")),
                    **{"first": first, "split_name": f"cv-{fold}", "seed": seed},
                    **{"model": model, "unfreeze": "19"},
                )
        first += images
    table = trainings.protocol()
    assert len(table) == 2
    row = row_of(table, "mobilenet", "19", metric="test_accuracy")
    assert (row["split"], row["status"]) == ("cv", "run")
    assert (row["n"], row["recommended_n"], row["pairs"], row["images"]) == (6, 6, 6, 60)
    keys = [(fold, seed) for fold in (1, 2, 3) for seed in (0, 1)]
    gains = pd.Series([right["warm", *k].mean() - right["mobilenet", *k].mean() for k in keys])
    assert row["difference"] == pytest.approx(gains.mean())
    assert row["difference_sd"] == pytest.approx(gains.std())
    by_image = np.concatenate(
        [
            np.mean([right["warm", f, s] * 1.0 - right["mobilenet", f, s] for s in (0, 1)], axis=0)
            for f in (1, 2, 3)
        ]
    )
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(agresti_min(by_image))
    # Each fold's sampling is as short as the others.
    assert (row["asked"], row["got"]) == (2000, 1900)
    # Images that validate in several folds have one difference, over all trainings.
    assert row_of(table, "mobilenet", "19")["images"] == max(SIZES)


def test_splits_with_similar_names_are_not_folds_of_one_another(tmp_path):
    splits = {"a.b": {}, "a.b-2": {}, "axb": {}}
    text = f"split\t{HEADER}" + "".join(
        f"{split}\t{model}\t19\tlungs\t\n" for split in splits for model in ("mobilenet", "warm")
    )
    trainings = Trainings(tmp_path, text, split="a.b", splits=splits, models=MODELS)
    for number, split in enumerate(splits):
        for model in ("mobilenet", "warm"):
            trainings.train(
                50 + number + 10 * (model == "warm"), model=model, unfreeze="19", split_name=split
            )
    table = trainings.protocol().query("metric == 'test_accuracy'")
    assert list(table["split"]) == list(splits)
    assert list(table["reproduced"]) == pytest.approx([0.5, 0.51, 0.52])
    assert list(table["recommended"]) == pytest.approx([0.6, 0.61, 0.62])
    assert list(table["n"]) == list(table["pairs"]) == [1, 1, 1]


def test_only_models_that_the_published_one_stands_behind_are_paired():
    """A staged model that is like a staged one has no published protocol beside it."""
    selected = pd.DataFrame(
        [("grouped", model, "19", "lungs") for model in MODELS],
        columns=["split", "model", "unfreeze", "variant"],
    )
    base, staged = (("grouped", model, "19", "lungs") for model in ("mobilenet", "warm"))
    assert protocols.pairs(selected, MODELS) == [(base, staged)]
    assert protocols.pairs(selected, {}) == []


def test_all_networks_of_a_pair_are_compared_key_by_key():
    one = {"network": {"backbone": "MobileNet", "input_size": 96, "head": ["flatten"]}}
    other = {"network": {"backbone": "MobileNet", "input_size": 64, "head": ["average_pooling"]}}
    assert protocols.differing(one, other) == "head, input_size"
    assert protocols.differing(one, one) == protocols.differing({}, one) == ""
