"""Score one training from its predictions alone: arithmetic, without any network.

Settings: the training's key (split_name, model, unfreeze, variant, seed), which is the beginning of
every row, the label that is positive where it is one of two, and for a binary model the probability
from which an image is given that label.
Inputs: the predictions for validation and test images, what training recorded about itself, and the
sampling whose test images all four-class runs have in common.
Outputs: ``metrics.tsv`` (one row), ``confusion.tsv`` (one row per split, label and predicted
label), ``per_class.tsv`` (one row per split and label, then macro and weighted means) and
``stages.tsv`` (one row per stage of the training; none for a classifier).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pulmoscan import command
from pulmoscan.config.runs import TRAINING
from pulmoscan.data import labelling, samplings
from pulmoscan.data.layout import POSITIVE
from pulmoscan.results import metrics, scores
from pulmoscan.storage import tables


def main(argv: Sequence[str]) -> None:
    """Read the predictions of a training and write its tables."""
    arguments = _parse(argv)
    predictions = labelling.read_predictions(arguments.predictions)
    training = scores.read_training(arguments.training)
    common = samplings.read_images(arguments.common)
    decision = arguments.threshold, arguments.positive
    try:
        written = {
            "metrics": scores.metrics_row(predictions, training, common, *decision),
            "confusion": metrics.confusion(predictions, *decision),
            "per_class": metrics.per_class(predictions, *decision),
            "stages": scores.stages(training),
        }
    except ValueError as error:
        raise ValueError(f"{arguments.predictions}: {error}") from error
    key = {name: getattr(arguments, name) for name in TRAINING}
    for name, table in written.items():
        keyed = table.assign(**key)[[*key, *table.columns]]
        tables.write(arguments.output / f"{name}.tsv", keyed)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--training", type=Path, required=True, help="what training recorded")
    parser.add_argument("--common", type=Path, required=True, help="sampling with common test set")
    parser.add_argument("--split-name", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--unfreeze", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threshold", type=_share, help="0..1, from which an image is positive")
    parser.add_argument("--positive", default=POSITIVE, help="label, where it is one of two")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    return parser.parse_args(argv)


def _share(text: str) -> float | None:
    return None if text in ("", "null") else float(text)


if __name__ == "__main__":
    command.run(main)
