"""Published figures, and the value that this project's runs give for each.

A published figure is named by its table, its run (model, unfreeze, variant) and a metric:
``val_accuracy``, ``test_accuracy``, ``test_sensitivity``, ``test_<measure>/<label>`` (precision,
recall or f1 of a label, ``macro`` or ``weighted``), ``TP``, ``FN``, ``FP``, ``TN`` (test images, of
the positive label) or ``best/<setting>`` (of a search for a head).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.results.metrics import wilson

COLUMNS = ["table", *runs.NAME, "metric", "value", "n", "note"]
COUNTS = ("TP", "FN", "FP", "TN")
SETTING = "best/"
NOT_COMPARED = "not compared with the study, which differs in "
ADJUSTED = "made with other settings than in the study: "
SPLIT_OF = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Measured:
    """One metric of a run: a value per training, and the images that a proportion was measured on.

    ``images`` is NaN where the metric is not a proportion of images, ``folds`` the number of splits
    that the trainings were made on.
    """

    values: list[float]
    images: float
    folds: int = 1

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
        much trainings differ. Folds test on different images, which are counted together.
        """
        return wilson(self.mean, self.images)


def read(path: str | Path) -> pd.DataFrame:
    """Return the published figures, all columns as text.

    ``value`` is as printed (a share, a count, a bound such as ``<0.60``, or nothing), ``n`` the
    number of images it was measured on where the study says so.

    Raises:
        ValueError: when the columns are others, or a figure appears twice.
    """
    figures = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if list(figures.columns) != COLUMNS:
        raise ValueError(f"{path}: its columns must be {', '.join(COLUMNS)}")
    identity = ["table", *runs.NAME, "metric"]
    if (twice := figures.duplicated(identity)).any():
        figure = " ".join(figures.loc[twice.idxmax(), identity])
        raise ValueError(f"{path}, line {twice.idxmax() + 2}: {figure} appears twice")
    return figures


def comparable(figures: pd.DataFrame, differing: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return published figures without the values of runs that measure something else.

    Args:
        figures: see `read`.
        differing: by the name of a run, the settings in which it differs from the study, see
            `reference.redefined`. They are told in the note of its figures.
    """
    figures = figures.copy()
    for index, *run in figures[runs.NAME].itertuples(name=None):
        settings = differing.get(runs.name(*run), {})
        if settings.get("redefined"):
            note = f"{NOT_COMPARED}{settings['redefined']}"
            figures.loc[index, ["value", "n", "note"]] = ["", "", note]
        elif settings.get("adjusted"):
            parts = filter(None, [figures.at[index, "note"], f"{ADJUSTED}{settings['adjusted']}"])
            figures.at[index, "note"] = "; ".join(parts)
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


def measure(metric: str, metrics: pd.DataFrame, per_class: pd.DataFrame) -> Measured | None:
    """Return a published metric of a run's trainings, or None if they do not contain it.

    Args:
        metric: its name, see above.
        metrics: gathered metrics of the run, one row per training; at least one.
        per_class: gathered measures by class of the same trainings.

    Raises:
        ValueError: when the metric is not one that the module knows.
    """
    if is_setting(metric):
        return None
    if metric in COUNTS:
        return _of_class(metrics, per_class, "test", _positive(metrics), metric.lower())
    short, _, rest = metric.partition("_")
    name, _, label = rest.partition("/")
    if short in SPLIT_OF and rest == "accuracy":
        return _accuracy(metrics, short)
    if short in SPLIT_OF and rest == "sensitivity":
        return _of_class(metrics, per_class, SPLIT_OF[short], _positive(metrics), "recall")
    if short in SPLIT_OF and name in ("precision", "recall", "specificity", "f1") and label:
        return _of_class(metrics, per_class, SPLIT_OF[short], label, name)
    raise ValueError(f"no way to measure the published metric {metric!r}")


def _positive(metrics: pd.DataFrame) -> str:
    """Return the positive label of a run; "" where it has none."""
    return metrics["positive"].iloc[0]


def _accuracy(metrics: pd.DataFrame, short: str) -> Measured | None:
    values = metrics[f"{short}_accuracy"]
    if values.isna().any():
        return None
    images = _images(metrics, f"n_{SPLIT_OF[short]}", short)
    return Measured(list(values), images, metrics["split_name"].nunique())


def _of_class(
    metrics: pd.DataFrame, per_class: pd.DataFrame, split: str, label: str, column: str
) -> Measured | None:
    rows = per_class[(per_class["split"] == split) & (per_class["label"] == label)]
    if len(rows) != len(metrics) or rows[column].isna().any():
        return None
    # Recall of a class is a share of its images; a mean of recalls and the rest are not shares.
    proportion = column == "recall" and label not in ("macro", "weighted")
    images = _images(rows, "support", split) if proportion else math.nan
    return Measured(list(rows[column].astype(float)), images, rows["split_name"].nunique())


def _images(rows: pd.DataFrame, column: str, split: str) -> float:
    """Return the images of one evaluation: those of all folds, which share no test image."""
    by_split = rows.groupby("split_name")[column].min()
    return float(by_split.sum() if split == "test" else by_split.min())
