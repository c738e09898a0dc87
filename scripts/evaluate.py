"""Score one training from its predictions alone: arithmetic, without any network.

Settings: the run's name (model, unfreeze, variant) and seed, which are copied into the table, and
for a binary model the probability from which an image is called sick.
Inputs: the predictions for validation and test images, what training recorded about itself, and
the sampling whose test images all four-class runs have in common.
Outputs: ``metrics.tsv`` (one row), ``confusion.tsv`` (one row a split, label and predicted label)
and ``per_class.tsv`` (one row a split and label, then macro and weighted means). A run that the
data could not fill has no predictions: its tables hold a header only.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.results import metrics
from pulmoscan.storage.atomic import replacing

COLUMNS = [
    "model",
    "unfreeze",
    "variant",
    "seed",
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
    "stages",
    "threshold",
]


def score(
    predictions: pd.DataFrame,
    training: dict,
    common: pd.DataFrame,
    run: dict,
    threshold: float | None = None,
) -> pd.DataFrame:
    """Return the one-row table of a training, or none where there are no predictions.

    Accuracies and F1 are shares (0 to 1); ``macro_f1`` is that of the test images; ``val_low`` to
    ``test_high`` are 95 % Wilson intervals. ``trained_layers`` to ``stages`` say what was trained
    (a number of layers, a name, a number of weights, bytes, a sentence); a classifier that is no
    network has none of them. ``run`` holds model, unfreeze, variant and seed.
    """
    if not len(predictions):
        return pd.DataFrame(columns=COLUMNS)
    row = dict(run)
    for split, short in (("validation", "val"), ("test", "test")):
        part = predictions[predictions["split"] == split]
        row[f"n_{split}"] = len(part)
        row[f"{short}_accuracy"] = value = metrics.accuracy(part, threshold)
        row[f"{short}_low"], row[f"{short}_high"] = metrics.wilson(value, len(part))
    row["test_accuracy_common"] = metrics.common_accuracy(predictions, common)
    of_test = metrics.per_class(predictions, threshold).query(
        "split == 'test' and label == 'macro'"
    )
    row["macro_f1"] = of_test["f1"].iloc[0] if len(of_test) else None
    for key in (
        "n_train",
        "epochs",
        "trainable_parameters",
        "seconds",
        "first_trained",
        "parameters",
    ):
        row[key] = training.get(key)
    layers = training.get("trained_layers")
    row["trained_layers"] = None if layers is None else len(layers)
    row["cached_bytes"] = training.get("cached")
    row["stages"] = described(training.get("stages") or [], bool(training.get("augmented")))
    row["threshold"] = threshold
    return pd.DataFrame([row])[COLUMNS]


def described(stages: Sequence[dict], augmented: bool) -> str:
    """Return how a network was trained, as in ``9 epochs at 0.001, cached``.

    *Cached* is a stage that was given the output of the frozen layers, which was computed once. Of
    several stages each says what it unfreezes.
    """
    parts = [
        (f"unfreeze {stage['unfreeze']}: " if len(stages) > 1 else "")
        + f"{stage['epochs']} epochs at {np.format_float_positional(stage['learning_rate'])}"
        + (", cached" if stage["cached"] else "")
        for stage in stages
    ]
    return "; ".join(parts + ["augmented, so nothing is cached"] * augmented)


def share(text: str) -> float | None:
    """Return a number between 0 and 1, None for an empty text or ``null``."""
    if text in ("", "null"):
        return None
    if not 0 <= float(text) <= 1:
        raise ValueError
    return float(text)


def main(argv: Sequence[str]) -> None:
    """Read the predictions of a training and write its three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--training", type=Path, required=True, help="what training recorded")
    parser.add_argument("--common", type=Path, required=True, help="sampling with common test set")
    parser.add_argument("--model", required=True)
    parser.add_argument("--unfreeze", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threshold", type=share, help="0..1, from which an image is sick")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    arguments = parser.parse_args(argv)

    predictions = pd.read_parquet(arguments.predictions)
    run = {key: getattr(arguments, key) for key in ("model", "unfreeze", "variant", "seed")}
    try:
        tables = {
            "metrics": score(
                predictions,
                json.loads(arguments.training.read_text()),
                pd.read_parquet(arguments.common),
                run,
                arguments.threshold,
            ),
            "confusion": metrics.confusion(predictions, arguments.threshold),
            "per_class": metrics.per_class(predictions, arguments.threshold),
        }
    except ValueError as error:
        raise ValueError(f"{arguments.predictions}: {error}") from error
    for name, table in tables.items():
        with replacing(arguments.output / f"{name}.tsv") as path:
            table.to_csv(path, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
