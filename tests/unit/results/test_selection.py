"""Which runs are made: the selected ones that the data fill; every other one says why not."""

import pandas as pd
from pulmoscan.config import runs
from pulmoscan.results import selection
from pulmoscan.storage import tables
from trainings import HEADER, RUNS, SHORTFALL, Trainings


def selected(trainings):
    return tables.read(trainings.select(), "selection", selection.TEXT)


def test_every_run_of_the_run_table_has_a_row_per_seed(tmp_path):
    table = selected(Trainings(tmp_path, RUNS, query="model != 'vgg16'", seeds=(5, 3)))
    assert list(table.columns) == selection.COLUMNS
    assert len(table) == 8
    assert list(table["seed"]) == [5, 3] * 4  # the order of the configuration
    assert list(table["model"][::2]) == ["mobilenet", "vgg16", "vgg19", "lenet1d-tuned"]
    reasons = dict(zip(table["model"], table["reason"], strict=True))
    assert reasons == {
        "mobilenet": "",
        "vgg16": "left out by run_filter",
        "vgg19": SHORTFALL,
        "lenet1d-tuned": "",
    }
    assert list(table["status"] == "run") == [reason == "" for reason in table["reason"]]
    assert list(table["selected"]) == [model != "vgg16" for model in table["model"]]
    assert set(table["tables"]) == {"synthesis", "region", "histogram_binary"}
    assert set(table["split"]) == set(table["split_name"]) == {"grouped"}


def test_the_kind_of_a_model_is_given_where_its_run_is_selected(tmp_path):
    trainings = Trainings(tmp_path, query="model != 'vgg16'", classifiers=("lenet1d-tuned",))
    assert list(selected(trainings)["kind"]) == ["network", "", "network", "classifier"]


def test_a_search_on_a_sampling_that_is_empty_stops_its_runs(tmp_path):
    """Its run on another variant has the images, and no setting to train with."""
    text = f"{HEADER}vgg16\t0\tlungs\t\nvgg19\t0\tlungs\t\n"
    table = selected(Trainings(tmp_path, text, tuned={"vgg19": "lungs-large"}))
    assert list(table["reason"]) == ["", SHORTFALL]


def test_each_split_and_fold_has_shortfalls_of_its_own():
    text = [("cv", "m", "0", "lungs", "synthesis"), ("naive", "m", "0", "lungs", "")]
    table = pd.DataFrame(text, columns=[*runs.KEY, "tables"])
    resampling = pd.DataFrame(
        [
            ("cv-1", "balanced", 10, 10, ""),
            ("cv-2", "balanced", 10, 0, "too few"),
            ("cv-2", "balanced", 10, 0, "too few"),
            ("naive", "balanced", 10, 8, ""),
        ],
        columns=["split_name", "sampling", "asked", "got", "shortfall"],
    )
    splits = {"cv": {"folds": 2}, "naive": {}}
    found = selection.selection(
        table, "", [0], splits, {"m/lungs": ["balanced"]}, {"m": "network"}, resampling
    )
    columns = ["split_name", "split", "tables", "status", "reason"]
    assert found[columns].to_numpy().tolist() == [
        ["cv-1", "cv", "synthesis", "run", ""],
        ["cv-2", "cv", "synthesis", "not_run", "too few"],
        ["naive", "naive", "", "run", ""],
    ]
    short = selection.asked_and_got(resampling)
    assert selection.shortened(short, ["cv-1", "cv-2"], "balanced") == {"asked": 20, "got": 0}
    assert selection.shortened(short, ["cv-1"], "balanced") == {}
    assert selection.shortened(short, ["naive"], "balanced") == {"asked": 10, "got": 8}
    assert selection.shortened(short, ["naive"], "large") == {}


def test_several_reasons_of_one_sampling_are_one_sentence():
    resampling = pd.DataFrame(
        [("grouped", "large", "few of COVID"), ("grouped", "large", "few of Normal")] * 2,
        columns=["split_name", "sampling", "shortfall"],
    )
    assert selection.shortfalls(resampling) == {("grouped", "large"): "few of COVID; few of Normal"}
