"""One training is scored from its predictions and what it recorded: four tables with its key."""

import json

import evaluate
import numpy as np
import pandas as pd
import pytest
from pulmoscan.config.runs import TRAINING as KEY
from pulmoscan.results import scores
from pulmoscan.storage import tables
from scipy.stats import binomtest
from sklearn import metrics as reference

FOUR = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
RECORD = {
    "n_train": 7,
    "epochs": 5,
    "parameters": 400,
    "trainable_parameters": 11,
    "seconds": 1.5,
    "trained_layers": ["conv_a", "dense", "logits"],
    "first_trained": "conv_a",
    "cached": 2048,
    "stages": [
        {
            **{"unfreeze": "0", "epochs": 3, "learning_rate": 1e-3},
            **{"trainable_parameters": 5, "cached": True},
        },
        {
            **{"unfreeze": "19", "epochs": 2, "learning_rate": 1e-5},
            **{"trainable_parameters": 11, "cached": False},
        },
    ],
}
CLASSIFIER = dict.fromkeys(RECORD) | {"n_train": 7, "seconds": 1.5}


def predictions_of(labels, n=120, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(len(labels)), size=2 * n)
    table = pd.DataFrame(values, columns=[f"p_{label}" for label in labels])
    table.insert(0, "label", rng.choice(labels, size=2 * n))
    table.insert(0, "split", ["validation"] * n + ["test"] * n)
    table.insert(0, "image", [f"Normal-{i}" for i in range(2 * n)])
    return table


def given(table):
    return np.array(FOUR)[table[[f"p_{label}" for label in FOUR]].to_numpy().argmax(axis=1)]


def run_evaluate(folder, table, record=RECORD, threshold=""):
    """Evaluate a training, and return its one row of metrics."""
    tables.write(folder / "predictions.parquet", table)
    common = table[table["split"] == "test"][["image", "label", "split"]]
    tables.write(folder / "common.parquet", common)
    (folder / "training.json").write_text(json.dumps(record))
    evaluate.main(
        f"--predictions {folder}/predictions.parquet --training {folder}/training.json "
        f"--common {folder}/common.parquet --split-name naive --model mobilenet --unfreeze 0 "
        f"--variant lungs --seed 3 --threshold={threshold} --output {folder}/out".split()
    )
    measured = pd.read_csv(folder / "out/metrics.tsv", sep="\t", dtype={"unfreeze": str})
    assert len(measured) == 1
    return measured.iloc[0]


def test_one_row_of_metrics(tmp_path):
    table = predictions_of(FOUR)
    row = run_evaluate(tmp_path, table)
    assert list(row.index) == [*KEY, *scores.METRICS]
    part = table[table["split"] == "validation"]
    right = int((part["label"].to_numpy() == given(part)).sum())
    interval = binomtest(right, 120).proportion_ci(method="wilson")
    assert row["val_accuracy"] == pytest.approx(right / 120)
    assert (row["val_low"], row["val_high"]) == pytest.approx((interval.low, interval.high))
    assert row["test_accuracy_common"] == row["test_accuracy"]
    assert (row["unfreeze"], row["seed"], row["n_train"], row["n_test"]) == ("0", 3, 7, 120)
    assert row["macro_f1"] == pytest.approx(
        reference.f1_score(table["label"][120:], given(table[120:]), average="macro")
    )


def test_every_table_begins_with_the_key_of_the_training(tmp_path):
    run_evaluate(tmp_path, predictions_of(FOUR))
    rows = {"metrics": 1, "confusion": 2 * 16, "per_class": 2 * 6, "stages": 2}
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(rows)
    for name, number in rows.items():
        table = pd.read_csv(tmp_path / f"out/{name}.tsv", sep="\t", dtype={"unfreeze": str})
        assert list(table.columns[:5]) == KEY
        assert table[KEY].to_numpy().tolist() == [["naive", "mobilenet", "0", "lungs", 3]] * number


def test_what_was_trained(tmp_path):
    row = run_evaluate(tmp_path, predictions_of(FOUR))
    assert (row["trained_layers"], row["first_trained"], row["cached_bytes"]) == (3, "conv_a", 2048)
    assert (row["parameters"], row["trainable_parameters"], row["epochs"]) == (400, 11, 5)


def test_one_row_per_stage():
    assert scores.stages(RECORD).to_dict("records") == [
        {
            **{"stage": 1, "stage_unfreeze": "0", "epochs": 3, "learning_rate": 0.001},
            **{"trainable_parameters": 5, "cached": True, "augmented": False},
        },
        {
            **{"stage": 2, "stage_unfreeze": "19", "epochs": 2, "learning_rate": 0.00001},
            **{"trainable_parameters": 11, "cached": False, "augmented": False},
        },
    ]


def test_an_augmented_training_has_no_cache(tmp_path):
    stage = RECORD["stages"][0] | {"cached": False}
    record = RECORD | {"stages": [stage], "cached": None, "augmented": True}
    row = run_evaluate(tmp_path, predictions_of(FOUR), record)
    assert np.isnan(row["cached_bytes"])
    (written,) = pd.read_csv(tmp_path / "out/stages.tsv", sep="\t").to_dict("records")
    assert (written["cached"], written["augmented"]) == (False, True)


def test_a_classifier_leaves_cells_empty_and_has_no_stage(tmp_path):
    run_evaluate(tmp_path, predictions_of(["normal", "sick"]), CLASSIFIER)
    written = pd.read_csv(tmp_path / "out/metrics.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert [name for name in written if written[name][0] == ""] == [
        *("epochs", "trainable_parameters", "trained_layers", "first_trained", "parameters"),
        *("cached_bytes", "threshold"),
    ]
    stages = pd.read_csv(tmp_path / "out/stages.tsv", sep="\t")
    assert list(stages.columns) == [*KEY, *scores.STAGES]
    assert len(stages) == 0


def test_a_threshold(tmp_path):
    table = predictions_of(["normal", "sick"])
    row = run_evaluate(tmp_path, table, threshold="0.3")
    test = table[120:]
    said = np.where(test["p_sick"] >= 0.3, "sick", "normal")
    assert row["threshold"] == 0.3
    assert row["test_accuracy"] == pytest.approx((said == test["label"]).mean())
    assert row["macro_f1"] == pytest.approx(
        reference.f1_score(test["label"], said, average="macro")
    )
    confusion = pd.read_csv(tmp_path / "out/confusion.tsv", sep="\t").query("split == 'test'")
    assert confusion["images"].tolist() == (
        reference.confusion_matrix(test["label"], said).ravel().tolist()
    )


@pytest.mark.parametrize("threshold", ["", "null"])
def test_without_a_threshold_the_larger_probability_decides(tmp_path, threshold):
    table = predictions_of(["normal", "sick"])
    row = run_evaluate(tmp_path, table, threshold=threshold)
    assert row["test_accuracy"] == pytest.approx(
        ((table["p_sick"] > 0.5) == (table["label"] == "sick"))[120:].mean()
    )
    assert np.isnan(row["threshold"])


def test_without_predictions_no_score_has_a_value(tmp_path):
    row = run_evaluate(tmp_path, predictions_of(FOUR).iloc[:0])
    assert (row["n_validation"], row["n_test"]) == (0, 0)
    measured = ["val_accuracy", "test_accuracy", "test_accuracy_common", "macro_f1", "val_low"]
    assert row[measured].isna().all()
    for name in ("confusion", "per_class"):
        table = pd.read_csv(tmp_path / f"out/{name}.tsv", sep="\t")
        assert len(table) == 0
        assert len(table.columns) > 3 + len(KEY)


def test_nothing_is_written_when_predictions_cannot_be_scored(tmp_path):
    with pytest.raises(ValueError, match=r"predictions\.parquet is damaged .*from 0 to 1"):
        run_evaluate(tmp_path, predictions_of(FOUR).assign(p_COVID=np.inf))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["predictions.parquet", "training.json", "common.parquet"])
def test_a_damaged_file_is_named(tmp_path, name):
    run_evaluate(tmp_path, predictions_of(FOUR))
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=f"^{tmp_path}/{name} is damaged .* again$"):
        evaluate.main(
            f"--predictions {tmp_path}/predictions.parquet --training {tmp_path}/training.json "
            f"--common {tmp_path}/common.parquet --split-name naive --model mobilenet --unfreeze 0 "
            f"--variant lungs --seed 3 --output {tmp_path}/other".split()
        )
    assert not (tmp_path / "other").exists()
