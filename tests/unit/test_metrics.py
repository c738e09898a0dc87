"""Scores of predictions against scikit-learn, SciPy and hand computation."""

import json

import evaluate
import numpy as np
import pandas as pd
import pytest
from pulmoscan import metrics
from scipy.stats import binomtest
from sklearn import metrics as reference

FOUR = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]


def predictions_of(labels, n=120, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(len(labels)), size=2 * n)
    table = pd.DataFrame(values, columns=[f"p_{label}" for label in labels])
    table.insert(0, "label", rng.choice(labels, size=2 * n))
    table.insert(0, "split", ["validation"] * n + ["test"] * n)
    table.insert(0, "image", [f"Normal-{i}" for i in range(2 * n)])
    return table


def given(table, labels):
    return np.array(labels)[table[[f"p_{label}" for label in labels]].to_numpy().argmax(axis=1)]


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (7, 9), (783, 860), (528, 807)])
def test_wilson_is_scipys(k, n):
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert metrics.wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_image_has_no_interval():
    assert np.isnan(metrics.wilson(0.5, 0)).all()
    assert np.isnan(metrics.wilson(float("nan"), 10)).all()


def test_per_class_is_scikit_learns():
    table = predictions_of(FOUR)
    measured = metrics.per_class(table)
    for split in metrics.SPLITS:
        part = table[table["split"] == split]
        expected = reference.classification_report(
            part["label"], given(part, FOUR), labels=FOUR, output_dict=True, zero_division=0
        )
        rows = measured[measured["split"] == split].set_index("label")
        for label in [*FOUR, "macro", "weighted"]:
            wanted = expected[label if label in FOUR else f"{label} avg"]
            assert rows.loc[label, "precision"] == pytest.approx(wanted["precision"])
            assert rows.loc[label, "recall"] == pytest.approx(wanted["recall"])
            assert rows.loc[label, "f1"] == pytest.approx(wanted["f1-score"])
            assert rows.loc[label, "support"] == wanted["support"]


def test_specificity_is_the_recall_of_the_rest():
    table = predictions_of(FOUR)
    part = table[table["split"] == "test"]
    for label in FOUR:
        expected = reference.recall_score(part["label"] != label, given(part, FOUR) != label)
        row = metrics.per_class(table).query("split == 'test' and label == @label")
        assert row["specificity"].item() == pytest.approx(expected)


def test_confusion_is_scikit_learns():
    table = predictions_of(FOUR)
    part = table[table["split"] == "test"]
    expected = reference.confusion_matrix(part["label"], given(part, FOUR), labels=FOUR)
    measured = metrics.confusion(table).query("split == 'test'")
    matrix = measured.pivot(index="label", columns="predicted", values="images")
    assert (matrix.loc[FOUR, FOUR].to_numpy() == expected).all()


def test_the_studys_binary_matrix():
    """764 and 528 right of 807 each: sensitivity 94.67 %, specificity 65.4 %, accuracy 80.05 %."""
    label = ["sick"] * 807 + ["normal"] * 807
    sick = [1] * 764 + [0] * 43 + [1] * 279 + [0] * 528
    table = pd.DataFrame(
        {
            "image": [f"Normal-{i}" for i in range(1614)],
            "split": "test",
            "label": label,
            "p_normal": 1 - np.array(sick, float),
            "p_sick": np.array(sick, float),
        }
    )
    row = metrics.per_class(table).set_index("label").loc["sick"]
    assert (row["tp"], row["fn"], row["fp"], row["tn"]) == (764, 43, 279, 528)
    assert row["recall"] == pytest.approx(0.9467, abs=5e-5)
    assert row["specificity"] == pytest.approx(0.654, abs=5e-4)
    assert metrics.accuracy(table) == pytest.approx(0.8005, abs=5e-5)


def test_common_accuracy_is_that_of_the_common_test_images():
    table = predictions_of(FOUR)
    test = table[table["split"] == "test"]
    common = test.iloc[10:60][["image", "label", "split"]].sample(frac=1, random_state=0)
    part = test.iloc[10:60]
    expected = (part["label"].to_numpy() == given(part, FOUR)).mean()
    assert metrics.common_accuracy(table, common) == pytest.approx(expected)


def test_no_common_accuracy_where_it_would_not_compare():
    four = predictions_of(FOUR)
    common = four[four["split"] == "test"][["image", "label", "split"]]
    three = four[four["label"] != "Lung_Opacity"].drop(columns="p_Lung_Opacity")
    assert np.isnan(metrics.common_accuracy(three, common))
    assert np.isnan(metrics.common_accuracy(four.iloc[:-1], common))
    binary = predictions_of(["normal", "sick"])
    assert np.isnan(metrics.common_accuracy(binary, common))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.assign(p_Normal=np.nan), "Normal-0 is not a finite"),
        (lambda t: t.drop(columns="p_COVID"), "no probability for the label 'COVID'"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "Normal-0 is predicted twice"),
    ],
)
def test_predictions_that_cannot_be_scored_are_named(spoil, message):
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(spoil(predictions_of(FOUR)))


def run_evaluate(folder, table):
    table.to_parquet(folder / "predictions.parquet")
    common = table[table["split"] == "test"][["image", "label", "split"]]
    common.to_parquet(folder / "common.parquet")
    training = {"n_train": 7, "epochs": 3, "trainable_parameters": 11, "seconds": 1.5}
    (folder / "training.json").write_text(json.dumps(training))
    evaluate.main(
        f"--predictions {folder}/predictions.parquet --training {folder}/training.json "
        f"--common {folder}/common.parquet --model mobilenet --unfreeze 0 --variant lungs "
        f"--seed 3 --output {folder}/out".split()
    )


def test_evaluate_writes_one_row(tmp_path):
    table = predictions_of(FOUR)
    run_evaluate(tmp_path, table)
    measured = pd.read_csv(tmp_path / "out/metrics.tsv", sep="\t", dtype={"unfreeze": str})
    assert list(measured.columns) == evaluate.COLUMNS
    row = measured.iloc[0]
    part = table[table["split"] == "validation"]
    right = int((part["label"].to_numpy() == given(part, FOUR)).sum())
    interval = binomtest(right, 120).proportion_ci(method="wilson")
    assert row["val_accuracy"] == pytest.approx(right / 120)
    assert (row["val_low"], row["val_high"]) == pytest.approx((interval.low, interval.high))
    assert row["test_accuracy_common"] == row["test_accuracy"]
    assert (row["unfreeze"], row["seed"], row["n_train"], row["n_test"]) == ("0", 3, 7, 120)
    assert row["macro_f1"] == pytest.approx(
        reference.f1_score(table["label"][120:], given(table[120:], FOUR), average="macro")
    )


def test_evaluate_without_predictions_writes_headers_only(tmp_path):
    run_evaluate(tmp_path, predictions_of(FOUR).iloc[:0])
    for name in ("metrics", "confusion", "per_class"):
        table = pd.read_csv(tmp_path / f"out/{name}.tsv", sep="\t")
        assert len(table) == 0
        assert len(table.columns) > 3


def test_evaluate_leaves_nothing_behind_when_it_fails(tmp_path):
    with pytest.raises(ValueError, match=r"predictions\.parquet: .*not a finite"):
        run_evaluate(tmp_path, predictions_of(FOUR).assign(p_COVID=np.inf))
    assert not (tmp_path / "out").exists()
