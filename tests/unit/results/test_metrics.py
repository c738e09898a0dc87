"""Scores of predictions against scikit-learn, SciPy and hand computation."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import metrics
from scipy.stats import binomtest, bootstrap
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


def test_of_equal_probabilities_the_first_label_is_predicted():
    table = predictions_of(FOUR).head(2)
    table[[f"p_{label}" for label in FOUR]] = [[0.2, 0.4, 0.4, 0.0], [0.25] * 4]
    assert metrics.predicted(table).tolist() == ["Lung_Opacity", "COVID"]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_threshold_decides_who_is_sick(threshold):
    table = predictions_of(["normal", "sick"])
    part = table[table["split"] == "test"]
    truth, said = part["label"] == "sick", part["p_sick"] >= threshold
    row = metrics.per_class(table, threshold).set_index(["split", "label"]).loc[("test", "sick")]
    assert row["recall"] == pytest.approx(reference.recall_score(truth, said))
    assert row["precision"] == pytest.approx(reference.precision_score(truth, said))
    assert row["specificity"] == pytest.approx(reference.recall_score(~truth, ~said))
    assert metrics.accuracy(part, threshold) == pytest.approx((truth == said).mean())
    counts = metrics.confusion(table, threshold).query("split == 'test'")["images"].tolist()
    assert counts == reference.confusion_matrix(truth, said).ravel().tolist()


def test_a_probability_that_equals_the_threshold_is_sick():
    table = predictions_of(["normal", "sick"]).head(3)
    table["p_sick"] = [0.3, np.nextafter(0.3, 0), 0.7]
    assert metrics.predicted(table, 0.3).tolist() == ["sick", "normal", "sick"]


@pytest.mark.parametrize("labels", [FOUR, ["COVID", "Normal"]])
def test_threshold_without_sick_or_normal_is_refused(labels):
    with pytest.raises(ValueError, match=r"needs the labels sick and one other: .*COV"):
        metrics.predicted(predictions_of(labels), 0.3)


def test_paired_interval_of_a_published_example():
    """Approval of a prime minister, asked twice of 1,600 people: 150 changed one way, 86 the other.

    Agresti, Categorical Data Analysis (2002), section 10.1.1: 0.040, 95 % interval 0.021 to 0.059
    (without the added images, which are few beside 1,600).
    """
    changes = np.repeat([1, -1, 0], [150, 86, 794 + 570])
    low, high = metrics.paired_interval(changes)
    assert (round(low, 3), round(high, 3)) == (0.021, 0.059)
    assert metrics.paired_interval(-changes) == pytest.approx((-high, -low))


def test_paired_interval_is_close_to_a_bootstrap_of_images():
    rng = np.random.default_rng(0)
    differences = rng.choice(
        [-1, -2 / 3, -1 / 3, 0, 1 / 3, 2 / 3, 1],
        800,
        p=[0.02, 0.06, 0.06, 0.7, 0.05, 0.05, 0.06],
    )
    expected = bootstrap((differences,), np.mean, rng=0, n_resamples=5000).confidence_interval
    assert metrics.paired_interval(differences) == pytest.approx(expected, abs=2e-3)


def test_runs_that_agree_on_few_images_are_not_equal_without_doubt():
    low, high = metrics.paired_interval(np.zeros(20))
    assert -low == high == pytest.approx(1.96 / 22, abs=1e-3)
    assert np.isnan(metrics.paired_interval(np.zeros(0))).all()


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


def test_a_label_that_does_not_test_has_no_sensitivity_and_lowers_no_mean():
    table = predictions_of(FOUR)
    table = table[(table["split"] != "test") | (table["label"] != "COVID")]
    found = metrics.per_class(table).set_index(["split", "label"]).loc["test"]
    assert found.loc["COVID", ["precision", "recall", "f1"]].isna().all()
    said = pd.Series(given(table[table["split"] == "test"], FOUR))
    of_others = (said != "COVID").mean()
    assert found.loc["COVID", "specificity"] == pytest.approx(of_others)
    assert found.loc["COVID", ["tp", "fn", "support"]].tolist() == [0, 0, 0]
    for mean in ("recall", "f1", "precision"):
        others = found.loc[["Lung_Opacity", "Normal", "Viral Pneumonia"], mean]
        assert found.loc["macro", mean] == pytest.approx(others.mean())
        weights = found.loc[others.index, "support"].astype(float)
        assert found.loc["weighted", mean] == pytest.approx(np.average(others, weights=weights))
    counted = metrics.confusion(table).query("split == 'test' and label == 'COVID'")
    alone = table[(table["split"] != "test") | (table["label"] == "Normal")]
    found_alone = metrics.per_class(alone).set_index(["split", "label"]).loc["test"]
    assert np.isnan(found_alone.loc["Normal", "specificity"])
    assert np.isnan(found_alone.loc["weighted", "specificity"])
    assert found_alone.loc["weighted", "recall"] == found_alone.loc["Normal", "recall"]
    assert counted["images"].tolist() == [0] * 4


def test_common_accuracy_where_a_label_does_not_test():
    table = predictions_of(FOUR)
    table = table[(table["split"] != "test") | (table["label"] != "COVID")]
    common = table[["image", "label", "split"]]
    of_test = table[table["split"] == "test"]
    assert metrics.common_accuracy(table, common) == metrics.accuracy(of_test)
    of_three = table[table["label"] != "COVID"].drop(columns="p_COVID")
    assert np.isnan(metrics.common_accuracy(of_three, common))


def test_another_label_may_be_positive():
    table = predictions_of(["COVID", "Normal"])
    reached = table["p_COVID"] >= 0.3
    said = metrics.predicted(table, 0.3, "COVID")
    assert said.tolist() == np.where(reached, "COVID", "Normal").tolist()
    right = (said == table["label"])[table["split"] == "test"].mean()
    assert metrics.accuracy(table[table["split"] == "test"], 0.3, "COVID") == right
    with pytest.raises(ValueError, match="needs the labels sick and one other"):
        metrics.predicted(table, 0.3)


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
