"""Published figures beside reproduced ones: means, intervals, and why a run is missing."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import comparison, published
from pulmoscan.storage import tables
from scipy.stats import binomtest
from trainings import BINARY, FIGURES, HEADER, RUNS, SHORTFALL, Trainings, row_of

ONE = f"{HEADER}mobilenet\t0\tlungs\tsynthesis\n"


@pytest.fixture
def one(tmp_path):
    """The run of MobileNet, trained once, right about 81 of 100 images."""
    trainings = Trainings(tmp_path, ONE)
    trainings.train(right=81)
    return trainings


def wilson(right, images):
    interval = binomtest(right, images).proportion_ci(method="wilson")
    return interval.low, interval.high


@pytest.mark.parametrize("name", published.read(FIGURES)["table"].unique())
def test_every_published_figure_has_a_row_in_its_table(one, name):
    part = published.read(FIGURES).query("table == @name")
    table = one.compare(name)
    assert list(table.columns) == comparison.COLUMNS
    assert len(table) == {"synthesis": 43}.get(name, len(part))
    columns = ["model", "unfreeze", "variant", "metric"]
    assert table[columns].to_numpy().tolist() == part[columns].to_numpy().tolist()
    assert list(table["published"]) == list(part["value"])
    made = (table["model"] == "mobilenet") & (table["unfreeze"] == "0")
    assert list(table["status"]) == ["run" if run else "not_run" for run in made]
    assert set(table.loc[~made, "reason"]) <= {"not in the run table"}
    assert set(table.loc[made, "reason"]) <= {""}


def test_one_seed_has_the_wilson_interval_of_its_images(one):
    row = row_of(one.compare("synthesis"), "mobilenet")
    assert row["reproduced"] == pytest.approx(0.81)
    assert (row["low"], row["high"]) == pytest.approx(wilson(81, 100))
    assert row["difference"] == pytest.approx(0.81 - 0.83)
    assert np.isnan(row["sd"])
    assert (row["n"], row["folds"], row["published"]) == (1, 1, "0.83")
    assert (row["split"], row["status"], row["reason"]) == ("grouped", "run", "")


def test_several_seeds_are_averaged_and_do_not_count_as_more_images(tmp_path):
    trainings = Trainings(tmp_path, ONE, seeds=(0, 1, 2))
    for seed, right in enumerate((70, 80, 90)):
        trainings.train(right=right, seed=seed)
    row = row_of(trainings.compare("synthesis"), "mobilenet")
    assert (row["n"], row["reproduced"], row["sd"]) == pytest.approx((3, 0.8, 0.1))
    assert (row["low"], row["high"]) == pytest.approx(wilson(80, 100))
    assert list(trainings.compare_runs()["val_accuracy"]) == [0.7, 0.8, 0.9]


def test_published_figure_has_its_own_interval(one):
    row = row_of(one.compare("synthesis"), "vgg19", unfreeze="all")
    interval = wilson(783, 860)  # 0.91 of 860, to a whole image
    assert (row["published_low"], row["published_high"]) == pytest.approx(interval)
    assert interval == pytest.approx((0.890, 0.928), abs=5e-4)


def test_each_missing_run_says_why(tmp_path):
    trainings = Trainings(tmp_path, query="model in ['mobilenet', 'vgg19']")
    trainings.train(right=80)
    synthesis = trainings.compare("synthesis")
    why = {model: row_of(synthesis, model)["reason"] for model in ("vgg16", "xception")}
    assert why == {"vgg16": "left out by run_filter", "xception": "not in the run table"}
    assert row_of(synthesis, "mobilenet")["status"] == "run"
    region = row_of(trainings.compare("region"), "vgg19", variant="lungs-large")
    assert (region["status"], region["reason"], region["n"]) == ("not_run", SHORTFALL, 0)
    assert np.isnan(region["reproduced"])
    runs = trainings.compare_runs()
    assert list(runs["status"]) == ["run", "not_run"]
    assert list(runs["reason"]) == ["", SHORTFALL]


def test_scores_left_by_an_earlier_configuration_are_not_taken(tmp_path):
    trainings = Trainings(tmp_path, query="model == 'vgg19'")
    trainings.train(right=80, model="vgg19", variant="lungs-large")
    region = row_of(trainings.compare("region"), "vgg19", variant="lungs-large")
    assert (region["status"], region["reason"]) == ("not_run", SHORTFALL)
    assert np.isnan(region["reproduced"])


@pytest.mark.parametrize("table", ["region", "synthesis", "tuned_heads"])
def test_where_no_run_is_made_every_row_says_why(tmp_path, table):
    trainings = Trainings(tmp_path, query="model == 'vgg19'", tuned={"vgg16": "lungs"})
    assert set(trainings.compare(table)["status"]) == {"not_run"}
    runs = trainings.compare_runs()
    assert runs[["model", "status", "reason"]].to_numpy().tolist() == [
        ["vgg19", "not_run", SHORTFALL]
    ]
    assert runs["val_accuracy"].isna().all()


def test_run_on_fewer_images_than_asked_says_so(one):
    row = row_of(one.compare("synthesis"), "mobilenet")
    assert (row["asked"], row["got"]) == (2000, 1900)
    one.resampling = [("balanced", "COVID", "COVID", "train", 1000, 1000, "")]
    row = row_of(one.compare("synthesis"), "mobilenet")
    assert row[["asked", "got"]].isna().all()


def test_selected_run_without_scores_is_an_error_that_names_the_file(tmp_path):
    trainings = Trainings(tmp_path, ONE)
    with pytest.raises(OSError, match=r"seed-0/metrics\.tsv: No such file .*; run evaluate again"):
        trainings.compare("synthesis")


def test_binary_figures_come_from_the_test_images(tmp_path):
    run = {"model": "lenet1d-tuned", "unfreeze": "all", "variant": "histogram-binary"}
    trainings = Trainings(tmp_path, query="model == 'lenet1d-tuned'")
    trainings.train(right=90, labels=BINARY, **run)
    table = trainings.compare("histogram_binary")
    own = table[table["model"] == "lenet1d-tuned"]
    values = {m: row_of(table, **run, metric=m)["reproduced"] for m in own["metric"]}
    assert [values[m] for m in ("TP", "FN", "FP", "TN")] == [45, 5, 5, 45]
    assert values["test_sensitivity"] == pytest.approx(0.9)
    sensitivity = row_of(table, **run, metric="test_sensitivity")
    assert (sensitivity["low"], sensitivity["high"]) == pytest.approx(wilson(45, 50))
    bound = row_of(table, "knn", "all", "histogram-binary", "test_accuracy")
    assert bound["published"] == "<0.60"
    assert np.isnan(bound["difference"])


TUNED = f"""{HEADER}vgg16-tuned\t0\tlungs\tsynthesis,tuned_heads
lenet5-tuned\tall\tlungs\ttuned_heads
of-mine\t0\tlungs\ttuned_heads
"""


def tuned(folder, query="", **searched):
    """Trainings of the three models, of which some are searched."""
    trainings = Trainings(folder, TUNED, query=query, tuned=searched)
    for model in ("vgg16-tuned", "of-mine"):
        trainings.train(right=80, model=model)
    trainings.train(right=80, model="lenet5-tuned", unfreeze="all")
    return trainings


def test_settings_of_a_search_stand_beside_the_published_ones(tmp_path):
    trainings = tuned(tmp_path, **{"vgg16-tuned": "lungs"})
    trainings.search("vgg16-tuned", dropout_base=0.1, dense_1=128, learning_rate=1e-3)
    table = trainings.compare("tuned_heads")
    row = row_of(table, "vgg16-tuned", metric="best/learning_rate")
    assert (row["published"], row["reproduced"], row["difference"]) == ("0.001", 0.001, 0)
    assert (row["n"], row["folds"], row["status"], row["searched_on"]) == (1, 1, "run", "")
    assert row_of(table, "vgg16-tuned", metric="best/dropout_base")["difference"] == 0.1
    assert row_of(table, "vgg16-tuned", metric="best/dense_1")["difference"] == 0
    head = row_of(table, "vgg16-tuned", metric="best/dropout_head")
    assert (head["status"], head["n"]) == ("not_run", 0)
    assert head["reason"] == "not in the search space"
    lenet = row_of(table, "lenet5-tuned", "all", metric="best/dense_1")
    assert (lenet["status"], lenet["reason"]) == ("not_run", "no search found")
    own = row_of(table, "of-mine", metric="best/dropout_base")
    assert (own["status"], own["reason"]) == ("not_run", "no search found")
    assert own["note"] == "not in the study"


def test_settings_that_the_study_does_not_give_have_rows_too(tmp_path):
    trainings = tuned(tmp_path, **{"lenet5-tuned": "lungs", "of-mine": "lungs-large"})
    trainings.search("lenet5-tuned", dense_1=256, filters_1=48, activation="tanh")
    trainings.search("of-mine", "lungs-large", units=7)
    trainings.resampling = trainings.resampling[:2]
    table = trainings.compare("tuned_heads")
    filters = row_of(table, "lenet5-tuned", "all", metric="best/filters_1")
    assert (float(filters["reproduced"]), filters["note"]) == (48, comparison.NO_FIGURE)
    activation = row_of(table, "lenet5-tuned", "all", metric="best/activation")
    assert (activation["published"], activation["reproduced"]) == ("relu", "tanh")
    assert np.isnan(activation["difference"])
    (own,) = table[table["model"] == "of-mine"].to_dict("records")
    assert (own["metric"], float(own["reproduced"])) == ("best/units", 7)
    assert (own["note"], own["searched_on"]) == ("not in the study", "lungs-large")


def test_search_of_a_model_that_is_left_out_is_not_taken(tmp_path):
    searched = {"vgg16-tuned": "lungs"}
    trainings = tuned(tmp_path, "model == 'of-mine'", **searched)
    trainings.search("vgg16-tuned", dense_1=128)
    row = row_of(trainings.compare("tuned_heads"), "vgg16-tuned", metric="best/dense_1")
    assert (row["status"], row["reason"]) == ("not_run", "left out by run_filter")


def test_runs_say_what_was_trained(tmp_path):
    trainings = Trainings(tmp_path, query="model in ['mobilenet', 'vgg19']")
    trainings.train(80)
    place = trainings.place() / "metrics.tsv"
    scores = tables.read(place, "evaluate", ["model", "unfreeze", "variant", "split_name"])
    found = {"trained_layers": 3, "first_trained": "dense_1", "cached_bytes": 4096}
    tables.write(place, scores.assign(**found))
    table = trainings.compare_runs()
    assert table.loc[0, list(found)].to_dict() == found
    assert table.loc[1, ["status", "first_trained"]].tolist() == ["not_run", ""]


def test_unknown_published_table_is_named_before_anything_is_written(one):
    with pytest.raises(ValueError, match="no published table 'synthese'; there are synthesis"):
        one.compare("synthese")
    assert not (one.folder / "tables/synthese.tsv").exists()


OWN = f"{HEADER}of-mine\t0\tlungs\t"


def test_a_run_of_ones_own_stands_in_the_table_it_names(tmp_path):
    trainings = Trainings(tmp_path, f"{OWN}region, synthesis\n")
    trainings.train(70, model="of-mine")
    for name in ("region", "synthesis"):
        row = trainings.compare(name).iloc[-1]
        assert (row["model"], row["variant"], row["status"]) == ("of-mine", "lungs", "run")
        assert (row["metric"], row["reproduced"]) == ("val_accuracy", 0.7)
        assert row["published"] == ""
        assert np.isnan(row["difference"])
        assert (row["note"], row["asked"], row["got"]) == ("not in the study", 2000, 1900)


def test_a_run_of_ones_own_is_given_the_accuracies_of_its_table(tmp_path):
    trainings = Trainings(tmp_path, f"{OWN}three_classes, histogram_binary\n")
    trainings.train(70, model="of-mine")
    for name, expected in (
        ("three_classes", ["val_accuracy", "test_accuracy"]),
        ("histogram_binary", ["test_accuracy"]),
    ):
        table = trainings.compare(name)
        assert table.loc[table["model"] == "of-mine", "metric"].tolist() == expected


def test_a_run_on_two_splits_has_two_rows_in_its_table(tmp_path):
    splits = {"grouped": {}, "naive": {}}
    table = f"split\t{HEADER}" + "".join(f"{x}\tmobilenet\t0\tlungs\t\n" for x in splits)
    trainings = Trainings(tmp_path, table, splits=splits)
    trainings.train(70)
    trainings.train(90, split_name="naive")
    found = trainings.compare("synthesis").query("status == 'run'")
    assert found[["split", "reproduced", "published"]].to_numpy().tolist() == [
        ["grouped", 0.7, "0.83"],
        ["naive", 0.9, "0.83"],
    ]
    runs = trainings.compare_runs()
    assert list(runs["split_name"]) == ["grouped", "naive"]
    assert list(runs["test_accuracy"]) == [0.7, 0.9]


def test_a_run_of_ones_own_stands_in_a_table_on_the_split_that_names_it(tmp_path):
    """The same run on another split, which names no table, is none of its business."""
    table = f"split\t{HEADER}\tof-mine\t0\tlungs\tregion\nnaive\tof-mine\t0\tlungs\t\n"
    trainings = Trainings(tmp_path, table, splits={"grouped": {}, "naive": {}})
    trainings.train(70, model="of-mine")  # nothing on naive, which the table does not wait for
    found = trainings.compare("region").query("model == 'of-mine'")
    assert found[["split", "status", "reproduced"]].to_numpy().tolist() == [["grouped", "run", 0.7]]


FOLDS = {1: (100, 80), 2: (60, 30), 3: (40, 38)}  # images tested on, and those that are right


def on_folds(folder, seeds=(0, 1)):
    """A run on three folds whose test sets differ; its second seed is right about one more."""
    text = f"split\t{HEADER}cv\tmobilenet\t0\tlungs\tsynthesis\n"
    trainings = Trainings(folder, text, seeds=seeds, splits={"cv": {"folds": 3}})
    first = 0
    for fold, (images, right) in FOLDS.items():
        for seed in seeds:
            trainings.train(
                right + seed, images=images, first=first, seed=seed, split_name=f"cv-{fold}"
            )
        first += images
    return trainings


def test_a_run_on_folds_is_one_row_over_all_of_its_trainings(tmp_path):
    figures = published.read(FIGURES)
    figures = figures.assign(metric=figures["metric"].replace("val_accuracy", "test_accuracy"))
    figures = figures.drop_duplicates(["table", "model", "unfreeze", "variant", "metric"])
    figures.to_csv(tmp_path / "figures.tsv", sep="\t", index=False)
    trainings = on_folds(tmp_path)
    (row,) = (
        trainings.compare("synthesis", tmp_path / "figures.tsv")
        .query("status == 'run'")
        .to_dict("records")
    )
    shares = [(right + seed) / images for seed in (0, 1) for images, right in FOLDS.values()]
    assert (row["split"], row["n"], row["folds"]) == ("cv", 6, 3)
    assert row["reproduced"] == pytest.approx(np.mean(shares))
    assert row["sd"] == pytest.approx(np.std(shares, ddof=1))
    # Every image tests once: the interval is that of all 200, and no seed adds any.
    mean, z = np.mean(shares), 1.959964
    centre = (mean + z**2 / 400) / (1 + z**2 / 200)
    half = z / (1 + z**2 / 200) * np.sqrt(mean * (1 - mean) / 200 + (z / 400) ** 2)
    assert (row["low"], row["high"]) == pytest.approx((centre - half, centre + half))
    # Short in every fold by the same 100 images.
    assert (row["asked"], row["got"]) == (2000, 1900)


def test_an_interval_over_folds_of_validation_images_is_that_of_one_fold(tmp_path):
    row = row_of(on_folds(tmp_path, seeds=(0,)).compare("synthesis"), "mobilenet")
    images = min(images for images, _ in FOLDS.values())
    mean = np.mean([right / images for images, right in FOLDS.values()])
    assert row["low"] < mean < row["high"]
    assert row["high"] - row["low"] > np.diff(wilson(round(mean * 200), 200)).item()
    assert (row["low"], row["high"]) == pytest.approx(
        wilson(round(mean * images), images), abs=0.02
    )
    assert list(pd.Series([row["n"], row["folds"]])) == [3, 3]


def test_filter_that_leaves_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="leaves none of the 4 runs"):
        Trainings(tmp_path, RUNS, query="model == 'mobilnet'").compare("synthesis")
    assert not (tmp_path / "gathered").exists()
