"""What all runs gave, in one table of each kind: the right rows, their types, and no others."""

import json

import numpy as np
import pandas as pd
import pytest
from pulmoscan.config import runs
from pulmoscan.results import gather, scores
from pulmoscan.storage import tables
from trainings import BINARY, FOUR, GATHERED, HEADER, Trainings

RUNS = f"""{HEADER}mobilenet\t0\tlungs\t
tuned\t0\tlungs\tsynthesis
sick\tall\thistogram-binary\t
knn\tall\thistogram-binary\t
"""
KINDS = {"classifiers": ("knn",), "thresholds": {"sick": 0.3}, "tuned": {"tuned": "lungs"}}


def probabilities(labels, images=40, seed=0):
    """Predictions of any labels, none of them sure."""
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(len(labels)), size=2 * images)
    table = pd.DataFrame(values, columns=[f"p_{label}" for label in labels])
    table.insert(0, "label", rng.choice(labels, size=2 * images))
    table.insert(0, "split", ["validation"] * images + ["test"] * images)
    table.insert(0, "image", [f"Normal-{i}" for i in range(2 * images)])
    return table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Trainings of all kinds, with two seeds."""
    folder = tmp_path_factory.mktemp("results")
    trainings = Trainings(folder, RUNS, seeds=(3, 4), **KINDS)
    for seed in trainings.seeds:
        for model in ("mobilenet", "tuned"):
            trainings.record(probabilities(FOUR, seed=seed), model=model, seed=seed)
        for model in ("sick", "knn"):
            run = {"model": model, "unfreeze": "all", "variant": "histogram-binary"}
            trainings.record(probabilities(BINARY, seed=seed), **run, seed=seed)
    trainings.search("tuned", dense_1=64, rate=0.001, activation="tanh")
    return trainings


@pytest.fixture(scope="module")
def gathered(made):
    return made.gather()


@pytest.mark.parametrize("name", GATHERED)
def test_the_key_comes_first_and_is_that_of_trainings_or_searches(gathered, name):
    table = gathered[name]
    searched = name in ("searches", "trials")
    key = ["split_name", "model", "variant"] if searched else runs.TRAINING
    assert list(table.columns[: len(key)]) == key
    models = ["mobilenet", "tuned", "sick", "knn"]  # in the order of the run table
    if name in ("history", "stages", "explained"):
        models.remove("knn")
    assert list(table["model"].unique()) == (["tuned"] if searched else models)
    assert set(table["split_name"]) == {"grouped"}
    if not searched:
        seeds = [3] if name == "explained" else [3, 4]
        assert set(table.groupby("model")["seed"].unique().map(list).map(tuple)) == {tuple(seeds)}


def test_the_predicted_label_is_the_most_probable_one_or_that_of_the_threshold(gathered):
    table = gathered["predictions"]
    assert len(table) == 8 * 80
    four = table[table["model"].isin(["mobilenet", "tuned"])]
    columns = [f"p_{label}" for label in FOUR]
    assert (four["predicted"] == np.array(FOUR)[four[columns].to_numpy().argmax(axis=1)]).all()
    sick = table[table["model"] == "sick"]
    assert (sick["predicted"] == np.where(sick["p_sick"] >= 0.3, "sick", "normal")).all()
    assert (sick["predicted"] != np.where(sick["p_sick"] > 0.5, "sick", "normal")).any()
    knn = table[table["model"] == "knn"]
    assert (knn["predicted"] == np.where(knn["p_sick"] > 0.5, "sick", "normal")).all()
    assert table["correct"].dtype == bool
    assert (table["correct"] == (table["predicted"] == table["label"])).all()
    assert four[["p_normal", "p_sick"]].isna().all(axis=None)
    assert knn[columns].isna().all(axis=None)


def test_predictions_and_scores_are_those_of_the_training(made, gathered):
    for run in gathered["metrics"].itertuples():
        key = [getattr(run, name) for name in runs.TRAINING]
        place = made.place(run.model, run.unfreeze, run.variant, run.seed)
        written = pd.read_parquet(place / "predictions.parquet")
        table = gathered["predictions"]
        part = table[(table[runs.TRAINING] == key).all(axis=1)].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[written.columns], written, check_exact=True)
        test = part[part["split"] == "test"]
        assert run.test_accuracy == test["correct"].mean()
        counts = gathered["confusion"].query("split == 'test'")
        counts = counts[(counts[runs.TRAINING] == key).all(axis=1)]
        for row in counts.itertuples():
            both = (test["label"] == row.label) & (test["predicted"] == row.predicted)
            assert both.sum() == row.images


def test_columns_have_the_types_of_their_content(gathered):
    metrics = gathered["metrics"]
    assert list(metrics.columns) == [*runs.TRAINING, *scores.METRICS]
    network, knn = metrics.iloc[0], metrics.iloc[-1]
    assert (network["parameters"], network["trained_layers"], network["cached_bytes"]) == (9, 2, 64)
    assert (network["first_trained"], knn["first_trained"]) == ("dense", "")
    assert metrics["n_test"].dtype == metrics["cached_bytes"].dtype == "Int64"
    assert metrics.loc[metrics["model"] == "knn", "parameters"].isna().all()
    assert metrics["threshold"].dropna().unique().tolist() == [0.3]
    assert metrics["test_accuracy_common"].dtype == metrics["threshold"].dtype == float
    stages = gathered["stages"]
    assert list(stages.columns) == [*runs.TRAINING, *scores.STAGES]
    assert stages["cached"].dtype == stages["augmented"].dtype == bool
    assert list(stages["stage_unfreeze"]) == ["0"] * 4 + ["all"] * 2
    assert gathered["per_class"]["support"].dtype == gathered["per_class"]["tp"].dtype == "Int64"
    assert list(gathered["history"]["epoch"][:4]) == [1, 2, 1, 2]


def test_what_searches_found_is_one_row_per_setting_and_trial(gathered):
    found = gathered["searches"][["setting", "value"]].to_numpy().tolist()
    assert found == [["dense_1", "64"], ["rate", "0.001"], ["activation", "tanh"]]
    trials = gathered["trials"]
    assert list(trials["trial"]) == ["0000", "0001"]
    assert list(trials["best"]) == [False, True]
    values = {"dense_1": 64, "rate": 0.001, "activation": "tanh"}
    assert [json.loads(text) for text in trials["hyperparameters"]] == [values] * 2
    assert not {"dense_1", "rate", "activation"} & set(trials)


def test_a_run_that_is_no_longer_selected_is_in_no_table(made):
    """Its files still lie there."""
    before = made.query
    try:
        made.query = "model == 'mobilenet'"
        for name, table in made.gather().items():
            expected = set() if name in ("searches", "trials") else {"mobilenet"}
            assert set(table["model"]) == expected, name
        made.query, made.seeds = "", (4,)
        for name in ("predictions", "metrics", "history", "stages"):
            assert set(made.gather(name)[name]["seed"]) == {4}
    finally:
        made.query, made.seeds = before, (3, 4)


@pytest.mark.parametrize("name", GATHERED)
def test_a_run_that_the_data_cannot_fill_is_in_no_table(tmp_path, name):
    trainings = Trainings(tmp_path, f"{HEADER}vgg19\t0\tlungs-large\t\n", tuned={"vgg19": "lungs"})
    trainings.train(80, model="vgg19", variant="lungs-large")
    trainings.search("vgg19", dense_1=64)
    table = trainings.gather(name)[name]
    assert list(table.columns) == gather.TABLES[name][1]
    assert len(table) == 0


@pytest.mark.parametrize("missing", ["NA", "nan", "null"])
def test_names_that_look_like_missing_numbers_stay_text(tmp_path, missing):
    text = f"{HEADER}{missing}\tall\t{missing}\tsynthesis\n"
    trainings = Trainings(tmp_path, text, samplings={missing: "balanced"}, tuned={missing: missing})
    labels = (missing, "COVID")
    run = {"model": missing, "unfreeze": "all", "variant": missing}
    trainings.record(probabilities(labels), **run)
    trainings.search(missing, missing, activation=missing)
    found = trainings.gather()
    for name, table in found.items():
        assert set(table["model"]) == set(table["variant"]) == {missing}, name
    for name in ("predictions", "per_class", "confusion", "explained"):
        assert missing in set(found[name]["label"]), name
    for name in ("predictions", "confusion", "explained"):
        assert set(found[name]["predicted"]) <= set(labels), name
    assert set(found["predictions"]["predicted"]) == set(labels)
    assert found["searches"]["value"].tolist() == [missing]
    assert found["metrics"]["test_accuracy"].notna().all()
    selection = tables.read(tmp_path / "gathered/selection.tsv", "selection", ["model", "variant"])
    assert selection[["model", "variant"]].to_numpy().tolist() == [[missing, missing]]
    row = trainings.compare("synthesis").iloc[-1]
    assert (row["model"], row["variant"], row["status"]) == (missing, missing, "run")
    runs_table = trainings.compare_runs()
    assert (runs_table["model"][0], runs_table["status"][0]) == (missing, "run")
    assert runs_table["test_accuracy"].notna().all()


PLACE = "runs/grouped/lungs/mobilenet/unfreeze-0/seed-0"
FILES = {
    "predictions": f"{PLACE}/predictions.parquet",
    "history": f"{PLACE}/history.tsv",
    "stages": f"{PLACE}/stages.tsv",
    "metrics": f"{PLACE}/metrics.tsv",
    "per_class": f"{PLACE}/per_class.tsv",
    "confusion": f"{PLACE}/confusion.tsv",
    "explained": "explain/grouped/lungs/mobilenet/unfreeze-0/scores.tsv",
    "searches": "tuning/grouped/mobilenet/lungs/best.json",
    "trials": "tuning/grouped/mobilenet/lungs/trials.tsv",
}
DAMAGED = [
    (name, damage)
    for damage in ("missing", "empty", "cut", "bytes")
    for name in GATHERED
    if (name, damage) != ("history", "cut")  # its first columns alone are a table too
]


@pytest.mark.parametrize(("name", "damage"), DAMAGED)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, name, damage):
    text = f"{HEADER}mobilenet\t0\tlungs\t\n"
    trainings = Trainings(tmp_path, text, tuned={"mobilenet": "lungs"})
    trainings.train(8, images=10)
    trainings.search("mobilenet", dense_1=64)
    path = tmp_path / FILES[name]
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        left = {"empty": b"", "cut": content[:7], "bytes": b"\xff\xfe\x00\x01"}
        path.write_bytes(left[damage])
    with pytest.raises((OSError, ValueError)) as error:
        trainings.gather(name)
    assert FILES[name] in str(error.value)
    assert "\n" not in str(error.value)
    assert "again" in str(error.value)
    assert not (tmp_path / f"gathered/{name}.parquet").exists()
