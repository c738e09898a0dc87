"""Published figures beside reproduced ones: means, intervals, and why a run is missing."""

import json

import compare
import evaluate
import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import comparison, protocols, published
from scipy.stats import binomtest

FOUR = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
RUNS = """model	unfreeze	variant	tables
mobilenet	0	lungs	synthesis
vgg16	0	lungs	synthesis
vgg19	0	lungs-large	region
lenet1d-tuned	all	histogram-binary	histogram_binary
"""
RESAMPLING = [
    ("balanced", "COVID", "COVID", "train", 1000, 900, ""),
    ("balanced", "Normal", "Normal", "train", 1000, 1000, ""),
    ("large", "COVID", "COVID", "train", 100, 0, "large asks for 100 of COVID, there are 0"),
]
VARIANTS = {
    "lungs": {"sampling": "balanced", "pixels": "lungs"},
    "lungs-large": {"sampling": "large", "pixels": "lungs"},
    "histogram-binary": {"sampling": "binary", "pixels": "lungs-histogram"},
}


def train(folder, right, labels=FOUR, seed=0, model="mobilenet", unfreeze="0", variant="lungs"):
    """Write the scores of a training with ``right`` of 100 validation and 100 test images.

    ``right`` may also be 100 truth values, one an image.
    """
    right = np.arange(100) < right if np.ndim(right) == 0 else right
    run = folder / "runs" / variant / model / f"unfreeze-{unfreeze}" / f"seed-{seed}"
    run.mkdir(parents=True)
    truth = np.arange(200) % len(labels)
    given = np.where(np.tile(right, 2), truth, (truth + 1) % len(labels))
    table = pd.DataFrame(np.eye(len(labels))[given], columns=[f"p_{label}" for label in labels])
    table.insert(0, "label", np.array(labels)[truth])
    table.insert(0, "split", ["validation"] * 100 + ["test"] * 100)
    table.insert(0, "image", [f"Normal-{i}" for i in range(200)])
    table.to_parquet(run / "predictions.parquet")
    table[["image", "label", "split"]].to_parquet(run / "common.parquet")
    (run / "training.json").write_text(json.dumps({"epochs": 2}))
    evaluate.main(
        f"--predictions {run}/predictions.parquet --training {run}/training.json --common "
        f"{run}/common.parquet --model {model} --unfreeze {unfreeze} --variant {variant} "
        f"--seed {seed} --output {run}".split()
    )
    return table


def run_compare(folder, repository, *, query="", seeds=(0,), table=RUNS, models=None, tuned=None):
    (folder / "runs.tsv").write_text(table)
    pd.DataFrame(
        RESAMPLING, columns=["sampling", "class", "label", "split", "asked", "got", "shortfall"]
    ).to_csv(folder / "resampling.tsv", sep="\t", index=False)
    compare.main(
        [
            *f"--runs {folder}/runs.tsv --seeds {' '.join(map(str, seeds))}".split(),
            *("--filter", query, "--variants", json.dumps(VARIANTS)),
            *f"--results {folder}/runs --resampling {folder}/resampling.tsv".split(),
            *f"--published {repository}/workflow/study/published_results.tsv --output {folder}/tables".split(),
            *("--models", json.dumps(models or {}), "--tuned", json.dumps(tuned or {})),
            *("--tuning", str(folder / "tuning")),
        ]
    )
    return {
        path.stem: pd.read_csv(path, sep="\t", dtype={"unfreeze": str, "published": str})
        for path in (folder / "tables").glob("*.tsv")
    }


def row_of(table, model, unfreeze="0", variant="lungs", metric="val_accuracy"):
    keys = {"model": model, "unfreeze": unfreeze, "variant": variant, "metric": metric}
    return table[(table[list(keys)] == list(keys.values())).all(axis=1)].squeeze()


def test_every_published_figure_has_a_row_in_its_table(tmp_path, repository):
    tables = run_compare(tmp_path, repository)
    figures = published.read(repository / "workflow/study/published_results.tsv")
    assert set(tables) == {"runs", "protocol", *figures["table"]}
    for name, part in figures.groupby("table"):
        assert list(tables[name].columns) == comparison.COLUMNS
        wanted = part[["model", "unfreeze", "variant", "metric"]].to_numpy().tolist()
        assert (
            tables[name][["model", "unfreeze", "variant", "metric"]].to_numpy().tolist() == wanted
        )
        assert list(tables[name]["published"].fillna("")) == list(part["value"])
    assert len(tables["synthesis"]) == 43  # 42 figures, and EfficientNetB1 without one


def test_one_seed_has_the_wilson_interval_of_its_images(tmp_path, repository):
    train(tmp_path, right=81)
    row = row_of(run_compare(tmp_path, repository)["synthesis"], "mobilenet")
    interval = binomtest(81, 100).proportion_ci(method="wilson")
    assert row["reproduced"] == pytest.approx(0.81)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["difference"] == pytest.approx(0.81 - 0.83)
    assert np.isnan(row["sd"])
    assert (row["n"], row["status"], row["published"]) == (1, "run", "0.83")


def test_several_seeds_are_averaged_and_do_not_count_as_more_images(tmp_path, repository):
    for seed, right in enumerate((70, 80, 90)):
        train(tmp_path, right=right, seed=seed)
    tables = run_compare(tmp_path, repository, seeds=(0, 1, 2))
    row = row_of(tables["synthesis"], "mobilenet")
    interval = binomtest(80, 100).proportion_ci(method="wilson")
    assert (row["n"], row["reproduced"], row["sd"]) == pytest.approx((3, 0.8, 0.1))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert list(tables["runs"].query("model == 'mobilenet'")["val_accuracy"]) == [0.7, 0.8, 0.9]


def test_published_figure_has_its_own_interval(tmp_path, repository):
    row = row_of(run_compare(tmp_path, repository)["synthesis"], "vgg19", unfreeze="all")
    interval = binomtest(783, 860).proportion_ci(method="wilson")  # 0.91 of 860, to a whole image
    assert (row["published_low"], row["published_high"]) == pytest.approx(
        (interval.low, interval.high)
    )
    assert (interval.low, interval.high) == pytest.approx((0.890, 0.928), abs=5e-4)


def test_each_missing_run_says_why(tmp_path, repository):
    train(tmp_path, right=80)
    tables = run_compare(tmp_path, repository, query="model in ['mobilenet', 'vgg19']")
    synthesis = tables["synthesis"]
    assert row_of(synthesis, "mobilenet")["status"] == "run"
    assert row_of(synthesis, "vgg16")["status"] == "not run: left out by run_filter"
    assert row_of(synthesis, "xception")["status"] == "not run: not in the run table"
    region = row_of(tables["region"], "vgg19", variant="lungs-large")
    assert region["status"] == "not run: large asks for 100 of COVID, there are 0"
    assert region["n"] == 0
    assert np.isnan(region["reproduced"])
    assert list(tables["runs"]["status"]) == ["run", region["status"]]


def test_scores_left_by_an_earlier_configuration_are_not_taken(tmp_path, repository):
    train(tmp_path, right=80, model="vgg19", variant="lungs-large")
    region = row_of(run_compare(tmp_path, repository)["region"], "vgg19", variant="lungs-large")
    assert region["status"] == "not run: large asks for 100 of COVID, there are 0"


def test_run_on_fewer_images_than_asked_says_so(tmp_path, repository):
    train(tmp_path, right=80)
    row = row_of(run_compare(tmp_path, repository)["synthesis"], "mobilenet")
    assert row["note"] == "sampling 'balanced' got 1,900 of the 2,000 images asked for"


def test_selected_run_without_scores_is_marked(tmp_path, repository):
    tables = run_compare(tmp_path, repository)
    assert row_of(tables["synthesis"], "vgg16")["status"] == "not run: no scores found"


def test_binary_figures_come_from_the_test_images(tmp_path, repository):
    run = {"model": "lenet1d-tuned", "unfreeze": "all", "variant": "histogram-binary"}
    train(tmp_path, right=90, labels=["normal", "sick"], **run)
    table = run_compare(tmp_path, repository)["histogram_binary"]
    values = {m: row_of(table, **run, metric=m)["reproduced"] for m in table["metric"]}
    assert [values[m] for m in ("TP", "FN", "FP", "TN")] == [45, 5, 5, 45]
    assert values["test_sensitivity"] == pytest.approx(0.9)
    sensitivity = row_of(table, **run, metric="test_sensitivity")
    interval = binomtest(45, 50).proportion_ci(method="wilson")
    assert (sensitivity["low"], sensitivity["high"]) == pytest.approx((interval.low, interval.high))
    bound = row_of(table, "knn", "all", "histogram-binary", "test_accuracy")
    assert bound["published"] == "<0.60"
    assert np.isnan(bound["difference"])


def write_best(folder, model, variant="lungs", **found):
    path = folder / "tuning" / model / variant / "best.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"hyperparameters": found, "val_accuracy": 0.8, "trials": 3}))


TUNED = """model	unfreeze	variant	tables
vgg16-tuned	0	lungs	synthesis,tuned_heads
lenet5-tuned	all	lungs	tuned_heads
of-mine	0	lungs	tuned_heads
"""


def test_settings_of_a_search_stand_beside_the_published_ones(tmp_path, repository):
    write_best(tmp_path, "vgg16-tuned", dropout_base=0.1, dense_1=128, learning_rate=1e-3)
    table = run_compare(
        tmp_path, repository, table=TUNED, tuned={"vgg16-tuned": "lungs", "lenet5-tuned": "lungs"}
    )["tuned_heads"]
    row = row_of(table, "vgg16-tuned", metric="best/learning_rate")
    assert (row["published"], row["reproduced"], row["difference"]) == ("0.001", 0.001, 0)
    assert (row["n"], row["status"]) == (1, "run")
    assert row_of(table, "vgg16-tuned", metric="best/dropout_base")["difference"] == 0.1
    assert row_of(table, "vgg16-tuned", metric="best/dense_1")["difference"] == 0
    head = row_of(table, "vgg16-tuned", metric="best/dropout_head")
    assert (head["status"], head["n"]) == ("not run: not in the search space", 0)
    lenet = row_of(table, "lenet5-tuned", "all", metric="best/dense_1")
    assert lenet["status"] == "not run: no search found"
    own = row_of(table, "of-mine", metric="best/dropout_base")
    assert (own["status"], own["note"]) == ("not run: no search found", "not in the study")


def test_settings_that_the_study_does_not_give_have_rows_too(tmp_path, repository):
    write_best(tmp_path, "lenet5-tuned", dense_1=256, filters_1=48, activation="tanh")
    write_best(tmp_path, "of-mine", "lungs-large", units=7)
    table = run_compare(
        *(tmp_path, repository),
        table=TUNED,
        tuned={"lenet5-tuned": "lungs", "of-mine": "lungs-large"},
    )["tuned_heads"]
    filters = row_of(table, "lenet5-tuned", "all", metric="best/filters_1")
    assert (float(filters["reproduced"]), filters["note"]) == (48, comparison.NO_FIGURE)
    activation = row_of(table, "lenet5-tuned", "all", metric="best/activation")
    assert (activation["published"], activation["reproduced"]) == ("relu", "tanh")
    assert np.isnan(activation["difference"])
    (own,) = table[table["model"] == "of-mine"].to_dict("records")
    assert (own["metric"], float(own["reproduced"])) == ("best/units", 7)
    assert own["note"] == "not in the study; searched on lungs-large"


def test_search_of_a_model_that_is_left_out_is_not_taken(tmp_path, repository):
    write_best(tmp_path, "vgg16-tuned", dense_1=128)
    tables = run_compare(tmp_path, repository, table=TUNED, query="model == 'of-mine'")
    row = row_of(tables["tuned_heads"], "vgg16-tuned", metric="best/dense_1")
    assert row["status"] == "not run: left out by run_filter"


PROTOCOL = """model	unfreeze	variant	tables
mobilenet	19	lungs	synthesis
warm	19	lungs
warm	50	lungs
warmer	19	lungs
"""
STAGED = {
    "mobilenet": {"like": None, "stages": None},
    "warm": {"like": "mobilenet", "stages": [{"unfreeze": 0}, {"learning_rate": 1e-5}]},
    "warmer": {"like": "warm", "stages": [{"unfreeze": 0}, {"learning_rate": 1e-6}]},
}


def test_recommended_protocol_stands_beside_the_published_one(tmp_path, repository):
    rng = np.random.default_rng(0)
    right = {
        (model, seed): rng.random(100) < share
        for model, share in (("mobilenet", 0.7), ("warm", 0.85))
        for seed in (0, 1, 2)
    }
    for (model, seed), values in right.items():
        train(tmp_path, values, model=model, unfreeze="19", seed=seed)
    table = run_compare(tmp_path, repository, seeds=(0, 1, 2), table=PROTOCOL, models=STAGED)[
        "protocol"
    ]
    assert list(table.columns) == protocols.COLUMNS
    assert list(table["metric"]) == ["val_accuracy", "test_accuracy"] * 2
    row = table.iloc[0]
    assert (row["model"], row["recommended_model"], row["unfreeze"]) == ("mobilenet", "warm", "19")
    assert (row["published"], row["status"]) == ("0.8", "run")
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
    # The formula of Agresti and Min, written out, on the mean over seeds of each image.
    by_image = sum(right["warm", s] * 1.0 - right["mobilenet", s] for s in range(3)) / 3
    centre = by_image.sum() / 102
    error = np.sqrt(((by_image**2).sum() + 1) / 102 - centre**2) / np.sqrt(102)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(
        (centre - 1.959964 * error, centre + 1.959964 * error)
    )
    test = table.iloc[1]
    assert np.isnan(test["published_low"])
    assert test["recommended"] == pytest.approx(staged.mean())


def test_protocol_without_the_published_run_says_so(tmp_path, repository):
    train(tmp_path, 80, model="warm", unfreeze="50")
    models = STAGED | {"mobilenet": STAGED["mobilenet"] | {"network": {"input_size": 256}}}
    models["warm"] = models["warm"] | {"network": {"input_size": 224}}
    table = run_compare(tmp_path, repository, table=PROTOCOL, models=models)["protocol"]
    row = table[table["unfreeze"] == "50"].iloc[0]
    assert row["status"] == "not run: mobilenet: not in the run table"
    assert (row["published"], row["recommended"], row["n"]) == ("0.78", 0.8, 0)
    assert row["recommended_difference"] == pytest.approx(0.02)
    assert np.isnan(row["difference"])
    assert row["note"] == "the two also differ in input_size"
    neither = table[table["unfreeze"] == "19"].iloc[0]
    assert neither["status"] == "not run: mobilenet: no scores found; warm: no scores found"


def test_stages_of_the_study_itself_are_told(tmp_path, repository):
    progressive = {"vgg19-progressive": STAGED["warm"] | {"like": "vgg19"}}
    table = run_compare(
        *(tmp_path, repository),
        table="model\tunfreeze\tvariant\ttables\nvgg19-progressive\tall\tlungs\tmore_images\n",
        models=progressive,
    )["protocol"]
    assert (table["model"][0], table["published"][0]) == ("vgg19", "0.91")
    assert table["note"][0] == "the study gives 0.91 for vgg19-progressive itself"


def test_no_interval_of_a_difference_between_other_images(tmp_path, repository):
    for model in ("mobilenet", "warm"):
        train(tmp_path, 80, model=model, unfreeze="19")
    path = tmp_path / "runs/lungs/warm/unfreeze-19/seed-0/predictions.parquet"
    other = pd.read_parquet(path).assign(image=lambda t: "other-" + t["image"])
    other.to_parquet(path)
    table = run_compare(tmp_path, repository, table=PROTOCOL, models=STAGED)["protocol"]
    assert table["difference"][0] == 0
    assert np.isnan(table["difference_low"][0])
    assert table["note"][0].startswith(
        "no interval of the difference: the two were scored on other"
    )


def test_runs_say_what_was_trained(tmp_path, repository):
    train(tmp_path, 80)
    run = tmp_path / "runs/lungs/mobilenet/unfreeze-0/seed-0"
    scores = pd.read_csv(run / "metrics.tsv", sep="\t")
    scores.assign(trained_layers=3, first_trained="dense", cached_bytes=4096).to_csv(
        run / "metrics.tsv", sep="\t", index=False
    )
    run_compare(tmp_path, repository)
    table = pd.read_csv(tmp_path / "tables/runs.tsv", sep="\t", dtype=str)
    assert table.loc[0, ["trained_layers", "first_trained", "cached_bytes"]].tolist() == [
        *("3", "dense", "4096"),
    ]
    assert table.loc[1, "status"] == "not run: no scores found"


def test_unknown_published_table_is_named_before_anything_is_written(tmp_path, repository):
    with pytest.raises(ValueError, match="no published table 'synthese'; there are synthesis"):
        run_compare(tmp_path, repository, table=RUNS.replace("\tsynthesis", "\tsynthese"))
    assert not (tmp_path / "tables").exists()


def test_a_run_of_ones_own_stands_in_the_table_it_names(tmp_path, repository):
    train(tmp_path, 70, model="of-mine")
    own = RUNS.splitlines()[0] + "\nof-mine\t0\tlungs\tregion, synthesis\n"
    run_compare(tmp_path, repository, table=own)
    for name in ("region", "synthesis"):
        rows = pd.read_csv(tmp_path / "tables" / f"{name}.tsv", sep="\t")
        row = rows.iloc[-1]
        assert (row["model"], row["variant"], row["status"]) == ("of-mine", "lungs", "run")
        assert (row["metric"], row["reproduced"]) == ("val_accuracy", 0.7)
        assert np.isnan(row["published"])
        assert np.isnan(row["difference"])
        assert row["note"].startswith("not in the study; sampling 'balanced' got 1,900")


def test_a_run_of_ones_own_is_given_the_accuracies_of_its_table(tmp_path, repository):
    own = RUNS.splitlines()[0] + "\nof-mine\t0\tlungs\tthree_classes, histogram_binary\n"
    tables = run_compare(tmp_path, repository, table=own)
    for name, expected in (
        ("three_classes", ["val_accuracy", "test_accuracy"]),
        ("histogram_binary", ["test_accuracy"]),
    ):
        rows = tables[name][tables[name]["model"] == "of-mine"]
        assert rows["metric"].tolist() == expected


def test_filter_that_leaves_nothing_is_an_error(tmp_path, repository):
    with pytest.raises(ValueError, match="leaves none of the 4 runs"):
        run_compare(tmp_path, repository, query="model == 'mobilnet'")
    assert not (tmp_path / "tables").exists()


def test_every_published_metric_can_be_measured(repository):
    nothing = published.Training(
        pd.DataFrame({"val_accuracy": [], "test_accuracy": [], "n_test": [], "n_validation": []}),
        pd.DataFrame({"split": [], "label": []}),
    )
    for metric in published.read(repository / "workflow/study/published_results.tsv")["metric"].unique():
        published.measure(metric, [nothing])
    with pytest.raises(ValueError, match="no way to measure the published metric 'auc'"):
        published.measure("auc", [nothing])


def test_figure_published_twice_is_refused(tmp_path):
    lines = (
        "\t".join(published.COLUMNS) + "\n" + "synthesis\tm\t0\tlungs\tval_accuracy\t0.8\t\t\n" * 2
    )
    (tmp_path / "published.tsv").write_text(lines)
    with pytest.raises(ValueError, match="line 3: synthesis m 0 lungs val_accuracy stands twice"):
        published.read(tmp_path / "published.tsv")
