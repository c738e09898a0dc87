"""Train one scikit-learn classifier on grey-level histograms, and predict with it.

Settings: the classifier (an entry of ``models:``), the pixels, which must reduce an image to its
histogram, and the seed. Inputs: the sampling (Parquet: row, image, label, split) and the packed
images and masks.

Outputs, in one folder: ``predictions.parquet`` (image, split, label and ``p_<label>`` of the
validation and test images) and ``training.json``, which has the keys of a network's, null where a
classifier has no such figure. The classifier itself is not kept: only a pickle could hold it.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.data import labelling
from pulmoscan.inputs import pixels
from pulmoscan.networks import classifiers
from pulmoscan.storage import arrays
from pulmoscan.storage.atomic import replacing

BATCH = 256  # images; a histogram takes 1 kB
# What training.json says of a network and cannot say of a classifier.
NONE = (
    "epochs",
    "parameters",
    "trainable_parameters",
    "trained_layers",
    "first_trained",
    "cached",
    "stages",
    "features_dtype",
)


def check(classifier: Mapping, settings: Mapping) -> None:
    """Raise ``ValueError`` where a classifier cannot be built, or is not given histograms."""
    if problems := classifiers.problems(classifier):
        raise ValueError("; ".join(problems))
    pixels.validate(settings)
    if settings.get("reduce") != "histogram":
        raise ValueError(
            f"{classifier['classifier']} takes histograms: its pixels need `reduce: histogram`, "
            f"not {json.dumps(settings)}"
        )


def histograms(
    images: np.ndarray | arrays.NpyFile,
    masks: np.ndarray | arrays.NpyFile,
    rows: np.ndarray,
    settings: Mapping,
) -> np.ndarray:
    """Return the histograms (n x 256 float32 in 0..1) of rows of the packed arrays, in their order.

    A batch of images is in memory at a time.
    """
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    read = [pixels.apply(images[part], masks[part], settings) for part in parts]
    return np.concatenate(read) if read else np.zeros((0, pixels.GREY_LEVELS), np.float32)


def main(argv: Sequence[str]) -> None:
    """Train, and write the folder ``--output``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--sampling", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args(argv)

    check(options.classifier, options.pixels)
    sampling = pd.read_parquet(options.sampling)
    labelling.labels_of(sampling, options.sampling)
    started = time.perf_counter()
    values = histograms(
        arrays.NpyFile(options.images),
        arrays.NpyFile(options.masks),
        sampling["row"].to_numpy(),
        options.pixels,
    )
    train = (sampling["split"] == "train").to_numpy()
    pipeline = classifiers.build(options.classifier, options.seed)
    try:
        pipeline.fit(values[train], sampling.loc[train, "label"].to_numpy(str))
        probabilities = pipeline.predict_proba(values[~train])
    except ValueError as error:  # the value of an argument, or one that the data are too few for
        reason = " ".join(str(error).split())
        raise ValueError(f"{options.classifier['classifier']}: {reason}") from error
    seconds = time.perf_counter() - started

    table = sampling.loc[~train, ["image", "split", "label"]].reset_index(drop=True)
    for label, column in zip(pipeline.classes_, probabilities.T, strict=True):
        table[f"p_{label}"] = column
    with replacing(options.output / "predictions.parquet") as path:
        table.to_parquet(path, index=False)
    facts = {
        "n_train": int(train.sum()),
        **dict.fromkeys(NONE),
        "seconds": round(seconds, 3),
        "scikit-learn": _version(),
    }
    with replacing(options.output / "training.json") as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _version() -> str:
    import sklearn

    return sklearn.__version__


if __name__ == "__main__":
    command.run(main)
