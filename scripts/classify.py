"""Train one scikit-learn classifier on grey-level histograms, and predict with it.

Settings: the classifier (an entry of ``models:``), the pixels, which reduce an image to its
histogram, and the seed.

Inputs: the sampling (Parquet: row, image, label, split) and the packed images and masks.

Outputs, in one folder: ``predictions.parquet`` (image, split, label and ``p_<label>`` of the
validation and test images) and ``training.json``, which has the keys of a network's, null where a
classifier has no such figure. The classifier itself is not kept: only a pickle could hold it.
"""

import argparse
import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pulmoscan import command
from pulmoscan.data import labelling, packed, samplings
from pulmoscan.inputs import pixels
from pulmoscan.networks import classifiers
from pulmoscan.storage import tables
from pulmoscan.storage.atomic import replacing

# Figures of a network in training.json that a classifier does not have.
NETWORKS_ONLY = (
    "epochs",
    "parameters",
    "trainable_parameters",
    "trained_layers",
    "first_trained",
    "cached",
    "stages",
    "features_dtype",
)


def main(argv: Sequence[str]) -> None:
    """Train, and write the folder ``--output``."""
    options = _parse(argv)
    sampling = samplings.read(options.sampling)
    labelling.labels_of(sampling, options.sampling)
    train = (sampling["split"] == "train").to_numpy()
    images = packed.opened(options.images, options.masks)
    started = time.perf_counter()
    values = pixels.apply_to_rows(*images, sampling["row"].to_numpy(), options.pixels)
    labels, probabilities = classifiers.predict(
        options.classifier,
        options.seed,
        values[train],
        sampling.loc[train, "label"].to_numpy(str),
        values[~train],
    )
    seconds = time.perf_counter() - started

    predictions = sampling.loc[~train, ["image", "split", "label"]].reset_index(drop=True)
    for label, column in zip(labels, probabilities.T, strict=True):
        predictions[f"p_{label}"] = column
    tables.write(options.output / "predictions.parquet", predictions)
    facts = {
        "n_train": int(train.sum()),
        **dict.fromkeys(NETWORKS_ONLY),
        "seconds": round(seconds, 3),
        "scikit-learn": version("scikit-learn"),
    }
    with replacing(options.output / "training.json") as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--sampling", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    command.run(main)
