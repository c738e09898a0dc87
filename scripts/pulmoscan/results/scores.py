"""The scores of one training, and how it was trained, as tables without its key."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pulmoscan.data.layout import POSITIVE
from pulmoscan.results import metrics
from pulmoscan.storage import tables

METRICS = [
    "val_accuracy",
    "test_accuracy",
    "test_accuracy_common",
    "macro_f1",
    "n_train",
    "n_validation",
    "n_test",
    "epochs",
    "trainable_parameters",
    "seconds",
    "val_low",
    "val_high",
    "test_low",
    "test_high",
    "trained_layers",
    "first_trained",
    "parameters",
    "cached_bytes",
    "threshold",
    "positive",
]
TEXT = ("first_trained", "positive")
# Whole numbers, of which some trainings have none.
COUNTS = (
    "n_train",
    "n_validation",
    "n_test",
    "epochs",
    "trainable_parameters",
    "trained_layers",
    "parameters",
    "cached_bytes",
)
RECORDED = ("n_train", "epochs", "trainable_parameters", "seconds", "first_trained", "parameters")
STAGES = [
    "stage",
    "stage_unfreeze",
    "epochs",
    "learning_rate",
    "trainable_parameters",
    "cached",
    "augmented",
]


# What ``training.json`` holds of a training and of each of its stages.
NUMBER = int | float
TRAINING = {
    "n_train": int,
    "seconds": NUMBER,
    "first_trained": str | None,
    "trained_layers": list | None,
    "stages": list | None,
    "augmented": bool | None,
    **dict.fromkeys(("epochs", "trainable_parameters", "parameters", "cached"), int | None),
}
STAGE = {
    "unfreeze": str,
    "epochs": int,
    "learning_rate": NUMBER,
    "trainable_parameters": int,
    "cached": bool,
}


def read_training(path: str | Path) -> dict:
    """Return what a training recorded about itself.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(training: dict) -> None:
        for stage in training.get("stages") or []:
            tables.check_keys(stage, STAGE)

    return tables.read_json(path, "the training", TRAINING, then=check)


def metrics_row(
    predictions: pd.DataFrame,
    training: Mapping,
    common: pd.DataFrame,
    threshold: float | None = None,
    positive: str = POSITIVE,
) -> pd.DataFrame:
    """Return one row with the columns `METRICS`.

    Accuracies and F1 are shares (0 to 1); ``macro_f1`` is that of the test images; ``val_low`` to
    ``test_high`` are 95 % Wilson intervals. ``trained_layers`` to ``cached_bytes`` say what was
    trained (a number of layers, a name, a number of weights, bytes); a classifier has none of them.
    ``positive`` is "" where it is not one of two labels.

    Args:
        predictions: ``image, split, label, p_<label>...`` of validation and test images.
        training: what the training recorded about itself, ``training.json``.
        common: the sampling whose test images all four-class runs have in common.
        threshold: of a binary model, 0 to 1.
        positive: the label that sensitivity is about, where it is one of two.
    """
    row: dict[str, object] = {key: training.get(key) for key in RECORDED}
    for split, short in (("validation", "val"), ("test", "test")):
        part = predictions[predictions["split"] == split]
        row[f"n_{split}"] = len(part)
        row[f"{short}_accuracy"] = value = metrics.accuracy(part, threshold, positive)
        row[f"{short}_low"], row[f"{short}_high"] = metrics.wilson(value, len(part))
    row["test_accuracy_common"] = metrics.common_accuracy(predictions, common)
    of_test = metrics.per_class(predictions, threshold, positive).query(
        "split == 'test' and label == 'macro'"
    )
    row["macro_f1"] = of_test["f1"].iloc[0] if len(of_test) else None
    layers = training.get("trained_layers")
    row["trained_layers"] = None if layers is None else len(layers)
    row["cached_bytes"] = training.get("cached")
    row["threshold"] = threshold
    labels = metrics.labels_of(predictions)
    row["positive"] = positive if len(labels) == 2 and positive in labels else ""
    return pd.DataFrame([row])[METRICS]


def stages(training: Mapping) -> pd.DataFrame:
    """Return one row per stage of a training, from 1, with the columns `STAGES`.

    ``cached`` is whether the stage was given the output of the frozen layers, computed once.
    """
    rows = [
        {
            "stage": number,
            "stage_unfreeze": stage["unfreeze"],
            **{
                key: stage[key]
                for key in ("epochs", "learning_rate", "trainable_parameters", "cached")
            },
            "augmented": bool(training.get("augmented")),
        }
        for number, stage in enumerate(training.get("stages") or [], start=1)
    ]
    return pd.DataFrame(rows, columns=STAGES)
