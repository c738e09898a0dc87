"""Published figures, and the value that this project's runs give for each.

A published figure is named by its table, its run (model, unfreeze, variant) and a metric:
``val_accuracy``, ``test_accuracy``, ``test_sensitivity``, ``test_<measure>/<label>`` (precision,
recall or f1 of a label, ``macro`` or ``weighted``), ``TP``, ``FN``, ``FP``, ``TN`` (test images,
positive = sick) or ``best/<setting>`` (of a search for a head).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results.metrics import POSITIVE, wilson

COLUMNS = ["table", *runs.KEY, "metric", "value", "n", "note"]
COUNTS = ("TP", "FN", "FP", "TN")
SETTING = "best/"
SPLIT_OF = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Training:
    """The tables that ``evaluate`` writes of one training."""

    metrics: pd.DataFrame  # one row
    per_class: pd.DataFrame


@dataclass(frozen=True)
class Measured:
    """One metric of a run: a value a training, and the images that a proportion was measured on."""

    values: list[float]
    images: float  # NaN when the metric is not a proportion of images

    @property
    def mean(self) -> float:
        """The mean over trainings, NaN without any."""
        return math.fsum(self.values) / len(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        """The standard deviation between trainings (n - 1), NaN below two."""
        return float(pd.Series(self.values, dtype=float).std())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the mean, on the images of one evaluation.

        All seeds of a run are scored on the same images, so more seeds do not make more images: the
        interval says how far another draw of as many images could move the mean, and ``sd`` how
        much trainings differ.
        """
        return wilson(self.mean, self.images)


def read(path: str | Path) -> pd.DataFrame:
    """Return the published figures, all columns as text.

    ``value`` is as printed (a share, a count, a bound such as ``<0.60``, or nothing), ``n`` the
    number of images it was measured on where the study says so.

    Raises:
        ValueError: when the columns are others, or a figure stands twice.
    """
    figures = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if list(figures.columns) != COLUMNS:
        raise ValueError(f"{path}: its columns must be {', '.join(COLUMNS)}")
    identity = ["table", *runs.KEY, "metric"]
    if (twice := figures.duplicated(identity)).any():
        figure = " ".join(figures.loc[twice.idxmax(), identity])
        raise ValueError(f"{path}, line {twice.idxmax() + 2}: {figure} stands twice")
    return figures


def number(text: str) -> float:
    """Return a printed figure as a number, NaN for a bound (``<0.60``) or nothing."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def interval(value: float, images: float) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a printed share of a number of images, NaN without one.

    A printed share is rounded; the nearest whole number of images is what was counted.
    """
    if math.isnan(value) or math.isnan(images):
        return math.nan, math.nan
    return wilson(round(value * images) / images, images)


def is_setting(metric: str) -> bool:
    """Return whether a metric is a hyperparameter that a search found."""
    return metric.startswith(SETTING)


def measure(metric: str, trainings: list[Training]) -> Measured | None:
    """Return a published metric of a run's trainings, or None when they do not hold it.

    Raises:
        ValueError: when the metric is not one that the module knows.
    """
    if is_setting(metric):
        return None
    if metric in COUNTS:
        return _of_class(trainings, "test", POSITIVE, metric.lower())
    short, _, rest = metric.partition("_")
    measure_name, _, label = rest.partition("/")
    if short in SPLIT_OF and rest == "accuracy":
        return _accuracy(trainings, short)
    if short in SPLIT_OF and rest == "sensitivity":
        return _of_class(trainings, SPLIT_OF[short], POSITIVE, "recall")
    if short in SPLIT_OF and measure_name in ("precision", "recall", "specificity", "f1") and label:
        return _of_class(trainings, SPLIT_OF[short], label, measure_name)
    raise ValueError(f"no way to measure the published metric {metric!r}")


def _accuracy(trainings: list[Training], short: str) -> Measured | None:
    rows = pd.concat([training.metrics for training in trainings])
    if rows[f"{short}_accuracy"].isna().any():
        return None
    return Measured(list(rows[f"{short}_accuracy"]), rows[f"n_{SPLIT_OF[short]}"].min())


def _of_class(trainings: list[Training], split: str, label: str, column: str) -> Measured | None:
    rows = pd.concat([training.per_class for training in trainings])
    rows = rows[(rows["split"] == split) & (rows["label"] == label)]
    if len(rows) != len(trainings) or rows[column].isna().any():
        return None
    # Recall of a class is a share of its images; a mean of recalls and the rest are not shares.
    proportion = column == "recall" and label not in ("macro", "weighted")
    return Measured(list(rows[column]), rows["support"].min() if proportion else math.nan)
