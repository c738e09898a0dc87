"""Published figures beside reproduced ones: means, intervals, and why a run is missing."""

import json

import compare
import evaluate
import numpy as np
import pandas as pd
import pytest
from pulmoscan import published
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
    """Write the scores of a training with ``right`` of 100 validation and 100 test images."""
    run = folder / "runs" / variant / model / f"unfreeze-{unfreeze}" / f"seed-{seed}"
    run.mkdir(parents=True)
    truth = np.arange(200) % len(labels)
    given = np.where(np.arange(200) % 100 < right, truth, (truth + 1) % len(labels))
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


def run_compare(folder, repository, *, query="", seeds=(0,), table=RUNS):
    (folder / "runs.tsv").write_text(table)
    pd.DataFrame(
        RESAMPLING, columns=["sampling", "class", "label", "split", "asked", "got", "shortfall"]
    ).to_csv(folder / "resampling.tsv", sep="\t", index=False)
    compare.main(
        [
            *f"--runs {folder}/runs.tsv --seeds {' '.join(map(str, seeds))}".split(),
            *("--filter", query, "--variants", json.dumps(VARIANTS)),
            *f"--results {folder}/runs --resampling {folder}/resampling.tsv".split(),
            *f"--published {repository}/workflow/published.tsv --output {folder}/tables".split(),
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
    figures = published.read(repository / "workflow/published.tsv")
    assert set(tables) == {"runs", *figures["table"]}
    for name, part in figures.groupby("table"):
        assert list(tables[name].columns) == compare.COLUMNS
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


def test_filter_that_leaves_nothing_is_an_error(tmp_path, repository):
    with pytest.raises(ValueError, match="leaves none of the 4 runs"):
        run_compare(tmp_path, repository, query="model == 'mobilnet'")
    assert not (tmp_path / "tables").exists()


def test_every_published_metric_can_be_measured(repository):
    nothing = published.Training(
        pd.DataFrame({"val_accuracy": [], "test_accuracy": [], "n_test": [], "n_validation": []}),
        pd.DataFrame({"split": [], "label": []}),
    )
    for metric in published.read(repository / "workflow/published.tsv")["metric"].unique():
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
