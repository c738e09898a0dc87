"""Published figures, and the values that trainings give for each."""

import numpy as np
import pandas as pd
import pytest
from pulmoscan.results import published
from scipy.stats import binomtest
from trainings import FIGURES

METRICS = pd.DataFrame(
    {
        "split_name": ["cv-1", "cv-1", "cv-2", "cv-2"],
        "val_accuracy": [0.5, 0.6, 0.7, 0.8],
        "test_accuracy": [0.6, 0.7, 0.8, 0.9],
        "n_validation": [40, 40, 50, 50],
        "n_test": [30, 30, 20, 20],
        "positive": "sick",
    }
)


def per_class(label="sick", **columns):
    """Measures of one label on the test images of the four trainings."""
    values = {"split": "test", "label": label, "support": [15, 15, 10, 10]} | columns
    return METRICS[["split_name"]].assign(**values)


def test_every_published_metric_can_be_measured():
    for metric in published.read(FIGURES)["metric"].unique():
        measured = published.measure(metric, METRICS, per_class("none").iloc[:0])
        assert (measured is None) == (not metric.endswith("_accuracy"))
    with pytest.raises(ValueError, match="no way to measure the published metric 'auc'"):
        published.measure("auc", METRICS, per_class())


def test_accuracy_is_one_value_per_training():
    measured = published.measure("test_accuracy", METRICS, per_class())
    assert measured.values == [0.6, 0.7, 0.8, 0.9]
    assert measured.folds == 2
    assert measured.mean == pytest.approx(0.75)
    assert measured.sd == pytest.approx(np.std(measured.values, ddof=1))


def test_folds_test_on_different_images_and_validate_on_the_same():
    assert published.measure("test_accuracy", METRICS, per_class()).images == 30 + 20
    assert published.measure("val_accuracy", METRICS, per_class()).images == 40
    one = METRICS.iloc[:2]
    measured = published.measure("test_accuracy", one, per_class().iloc[:2])
    assert (measured.images, measured.folds) == (30, 1)


def test_the_interval_is_wilsons_on_those_images():
    measured = published.Measured([0.6, 0.8], 50)
    expected = binomtest(35, 50).proportion_ci(method="wilson")
    assert measured.interval == pytest.approx((expected.low, expected.high))


def test_a_training_without_validation_images_leaves_nothing_to_measure():
    metrics = METRICS.assign(val_accuracy=[0.5, np.nan, 0.7, 0.8])
    assert published.measure("val_accuracy", metrics, per_class()) is None
    assert published.measure("test_accuracy", metrics, per_class()) is not None


@pytest.mark.parametrize(
    ("metric", "label", "images"),
    [
        ("test_sensitivity", "sick", 25),
        ("test_recall/COVID", "COVID", 25),
        ("test_recall/macro", "macro", np.nan),
        ("test_recall/weighted", "weighted", np.nan),
    ],
)
def test_recall_of_a_class_is_a_share_of_its_images_and_means_are_not(metric, label, images):
    values = [0.4, 0.5, 0.6, 0.7]
    measured = published.measure(metric, METRICS, per_class(label, recall=values))
    assert measured.values == values
    np.testing.assert_equal(measured.images, images)
    assert np.isnan(measured.interval[0]) == np.isnan(images)


@pytest.mark.parametrize(
    ("metric", "column"), [("test_precision/COVID", "precision"), ("test_f1/COVID", "f1")]
)
def test_other_measures_of_a_class_have_no_interval(metric, column):
    values = [0.4, 0.5, 0.6, 0.7]
    measured = published.measure(metric, METRICS, per_class("COVID", **{column: values}))
    assert measured.values == values
    assert np.isnan(measured.interval).all()


def test_counts_are_those_of_the_sick():
    table = per_class(tp=[8, 9, 4, 5], fn=[7, 6, 6, 5])
    assert published.measure("TP", METRICS, table).values == [8, 9, 4, 5]
    assert published.measure("FN", METRICS, table).values == [7, 6, 6, 5]


def test_sensitivity_is_that_of_the_positive_label():
    table = pd.concat([per_class(tp=[1, 2, 3, 4]), per_class("COVID", tp=[8, 9, 4, 5])])
    measured = published.measure("TP", METRICS.assign(positive="COVID"), table)
    assert measured.values == [8, 9, 4, 5]
    assert published.measure("TP", METRICS.assign(positive=""), table) is None


def test_a_label_that_a_training_lacks_cannot_be_measured():
    assert published.measure("test_recall/COVID", METRICS, per_class("Normal", recall=1)) is None
    some = per_class("COVID", recall=1.0).iloc[:3]
    assert published.measure("test_recall/COVID", METRICS, some) is None


def test_a_printed_share_is_that_of_whole_images():
    expected = binomtest(783, 860).proportion_ci(method="wilson")
    assert published.interval(0.91, 860) == pytest.approx((expected.low, expected.high))
    assert np.isnan(published.interval(0.91, np.nan)).all()
    assert np.isnan(published.interval(np.nan, 860)).all()


@pytest.mark.parametrize(("text", "value"), [("0.8", 0.8), ("<0.60", np.nan), ("", np.nan)])
def test_bounds_are_no_numbers(text, value):
    np.testing.assert_equal(published.number(text), value)


def written(folder, *rows, columns=published.COLUMNS):
    path = folder / "published.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in (columns, *rows)))
    return path


FIGURE = ("synthesis", "m", "0", "lungs", "val_accuracy", "0.8", "", "")


def test_figure_published_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="line 3: synthesis m 0 lungs val_accuracy appears twice"):
        published.read(written(tmp_path, FIGURE, FIGURE))


def test_other_columns_are_refused(tmp_path):
    columns = [*published.COLUMNS[:-1], "remark"]
    with pytest.raises(ValueError, match="its columns must be table, model, unfreeze, variant, m"):
        published.read(written(tmp_path, FIGURE, columns=columns))


def test_figures_that_look_like_missing_numbers_stay_text(tmp_path):
    figure = ("nan", "NA", "0", "null", "val_accuracy", "", "", "NaN")
    table = published.read(written(tmp_path, figure))
    assert table.to_numpy().tolist() == [list(figure)]
