"""Accuracy, confusion and per-class measures of predictions, and intervals of proportions.

Predictions have one row per image: ``image, split, label`` and a probability ``p_<label>`` for
every label. The predicted label is the one with the highest probability, the first among equals.
With a threshold it is the positive one of two labels where that label's probability is at least the
threshold, otherwise the other label.
"""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from pulmoscan.data.layout import POSITIVE

SPLITS = ("validation", "test")
PREFIX = "p_"


def wilson(proportion: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion measured on ``n`` images (NaN without images).

    ``proportion`` may be the mean over several trainings scored on the same ``n`` images, so
    ``proportion * n`` need not be a whole number.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not n > 0 or math.isnan(proportion):
        return math.nan, math.nan
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (proportion + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(proportion * (1 - proportion) / n + (z / (2 * n)) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_interval(differences: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval of the mean difference between two runs scored on the same images.

    It says how far another draw of as many images could move the mean, and nothing about how much
    another training would. Half an image is added that only the first run gets right, half an image
    that only the second does, and one image on which they agree: by the plain variance alone, two
    runs that agree on every image of a small set would be equal beyond doubt.

    Args:
        differences: one value per image, from -1 to 1: the share of trainings of the second run
            that are right about it, minus that of the first.
        confidence: of the interval (0 to 1).

    Returns:
        Both ends (NaN without images), within -1 and 1.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions", for one training of each run.
    """
    if not len(differences):
        return math.nan, math.nan
    n = len(differences) + 2
    total, squares = math.fsum(differences), math.fsum(np.square(differences)) + 1
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(squares - total**2 / n) / n
    return max(-1.0, total / n - half), min(1.0, total / n + half)


def labels_of(predictions: pd.DataFrame) -> list[str]:
    """Return the labels that the predictions hold a probability for, in the order of the columns.

    Raises:
        ValueError: when there is none, a label has no probability, an image appears twice in a
            split, or a probability is not a finite number.
    """
    labels = [
        column.removeprefix(PREFIX) for column in predictions.columns if column.startswith(PREFIX)
    ]
    if not labels and len(predictions):
        raise ValueError(f"the predictions hold no probability (no column {PREFIX}<label>)")
    if strangers := sorted(set(predictions["label"]) - set(labels)):
        raise ValueError(f"the predictions hold no probability for the label {strangers[0]!r}")
    if (twice := predictions.duplicated(["split", "image"])).any():
        raise ValueError(f"{predictions['image'][twice].iloc[0]} is predicted twice in one split")
    values = predictions[[PREFIX + label for label in labels]].to_numpy(float)
    if not np.isfinite(values).all():
        image = predictions["image"].iloc[int(np.argmin(np.isfinite(values).all(axis=1)))]
        raise ValueError(f"the prediction for {image} is not a finite number")
    return labels


def predicted(
    predictions: pd.DataFrame, threshold: float | None = None, positive: str = POSITIVE
) -> pd.Series:
    """Return the predicted label of every image, with the index of ``predictions``.

    Raises:
        ValueError: for a threshold where the labels are not ``positive`` and one other.
    """
    labels = np.array(labels_of(predictions), object)
    if not len(predictions):
        return pd.Series(index=predictions.index, dtype=object)
    if threshold is not None:
        if len(labels) != 2 or positive not in labels:
            raise ValueError(
                f"a threshold needs the labels {positive} and one other: "
                f"the predictions have {', '.join(labels)}"
            )
        reached = predictions[PREFIX + positive] >= threshold
        other = labels[labels != positive][0]
        return pd.Series(np.where(reached, positive, other), reached.index)
    values = predictions[[PREFIX + label for label in labels]].to_numpy(float)
    return pd.Series(labels[values.argmax(axis=1)], index=predictions.index)


def accuracy(
    predictions: pd.DataFrame, threshold: float | None = None, positive: str = POSITIVE
) -> float:
    """Return the share of images whose label is predicted, NaN without images."""
    right = predicted(predictions, threshold, positive) == predictions["label"]
    return float(right.mean()) if len(right) else math.nan


def common_accuracy(predictions: pd.DataFrame, common: pd.DataFrame) -> float:
    """Return the accuracy on the test images of the common sampling (columns image, label, split).

    It is NaN where the number would not compare with that of other runs: when the run was scored
    on other labels (three classes, sick or normal), or lacks some of the common test images.
    """
    trained = set(common["label"])  # of some there may be no test image
    common = common[common["split"] == "test"]
    test = predictions[predictions["split"] == "test"].set_index("image")
    if not len(common) or not set(common["image"]) <= set(test.index):
        return math.nan
    test = test.loc[common["image"]]
    same = np.array_equal(test["label"].to_numpy(object), common["label"].to_numpy(object))
    if not same or set(labels_of(predictions)) != trained:
        return math.nan
    return accuracy(test.reset_index())


def confusion(
    predictions: pd.DataFrame, threshold: float | None = None, positive: str = POSITIVE
) -> pd.DataFrame:
    """Return how many images of each label were given each label, zeros included.

    Columns: ``split, label, predicted, images``.
    """
    labels = labels_of(predictions)
    tables = []
    for split in SPLITS:
        part = predictions[predictions["split"] == split]
        if not len(part):
            continue
        counts = _confusion(part["label"], predicted(part, threshold, positive), labels)
        grid = pd.DataFrame(
            [(split, label, given) for label in labels for given in labels],
            columns=["split", "label", "predicted"],
        )
        tables.append(grid.assign(images=counts.ravel()))
    columns = ["split", "label", "predicted", "images"]
    return pd.concat(tables) if tables else pd.DataFrame(columns=columns)


def _confusion(truth: pd.Series, given: pd.Series, labels: list[str]) -> np.ndarray:
    """Return how many images of each label (row) were given each label (column).

    That of scikit-learn warns of a single label, although it is given the labels.
    """
    index, number = pd.Index(labels), len(labels)
    pairs = index.get_indexer(truth) * number + index.get_indexer(given)
    return np.bincount(pairs, minlength=number**2).reshape(number, number)


def per_class(
    predictions: pd.DataFrame, threshold: float | None = None, positive: str = POSITIVE
) -> pd.DataFrame:
    """Return the measures of each label against the others, and their means.

    Columns: ``split, label, precision, recall, specificity, f1, support, tp, fn, fp, tn``. Recall
    is sensitivity. ``macro`` is the plain mean over labels, ``weighted`` that by support; both lack
    the counts. A label that is never given has precision 0, as in scikit-learn. A label of no image
    has a specificity and counts alone: its other measures are NaN, and no part of the means.
    """
    columns = ["precision", "recall", "specificity", "f1", "support", "tp", "fn", "fp", "tn"]
    tables = []
    for split in SPLITS:
        part = predictions[predictions["split"] == split]
        if not len(part):
            continue
        labels = labels_of(part)
        given = predicted(part, threshold, positive)
        precision, recall, f1, support = precision_recall_fscore_support(
            part["label"], given, labels=labels, zero_division=0
        )
        precision, recall, f1 = (
            np.where(support > 0, values, np.nan) for values in (precision, recall, f1)
        )
        matrix = _confusion(part["label"], given, labels)
        tp = matrix.diagonal()
        fn, fp = matrix.sum(axis=1) - tp, matrix.sum(axis=0) - tp
        tn = matrix.sum() - tp - fn - fp
        with np.errstate(invalid="ignore"):
            specificity = tn / (tn + fp)
        table = pd.DataFrame(
            dict(
                zip(
                    columns,
                    (precision, recall, specificity, f1, support, tp, fn, fp, tn),
                    strict=True,
                )
            )
        )
        means = table[columns[:4]]
        weights = support / support.sum()
        measured = means.notna().mul(weights, axis=0).sum().where(means.isna().any(), 1)
        table.insert(0, "label", labels)
        table.loc[len(table)] = {"label": "macro", **means.mean(), "support": support.sum()}
        table.loc[len(table)] = {
            "label": "weighted",
            **means.mul(weights, axis=0).sum() / measured,
            "support": support.sum(),
        }
        table.insert(0, "split", split)
        tables.append(table)
    if not tables:
        return pd.DataFrame(columns=["split", "label", *columns])
    result = pd.concat(tables)
    counts = ["support", "tp", "fn", "fp", "tn"]
    return result.astype(dict.fromkeys(counts, "Int64"))
