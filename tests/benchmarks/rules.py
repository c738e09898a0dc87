"""The workflow's way: the commands that its rules run, without Snakemake.

See ``workflow/rules/models.smk`` and ``explain.smk``. Every function returns a command for
`measure.run`; what it writes lies in the folder that it is given.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import python

HEAD = ("average_pooling", {"dense": 128}, {"dense": 32}, {"dropout": 0.2})
# The search of the study for the head of VGG16. With these settings Hyperband makes 30 trials.
TUNED_HEAD = (
    "average_pooling",
    {"dropout": "$base_dropout"},
    {"dense": "$dense_1"},
    {"dense": "$dense_2"},
    {"dropout": "$dropout"},
)
SPACE = {
    "base_dropout": {"min": 0, "max": 0.5, "step": 0.1},
    "dense_1": {"values": [0, 32, 64, 128, 256, 512]},
    "dense_2": {"values": [0, 32, 64, 128, 256, 512]},
    "dropout": {"min": 0, "max": 0.5, "step": 0.1},
    "learning_rate": {"values": [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]},
}
LUNGS = {"region": "lungs"}
VARIANT = "lungs"
BATCH_SIZE = 32
LIMIT_GB = 20


@dataclass(frozen=True)
class Inputs:
    """What the rules read, and the settings that they share.

    ``network`` has backbone, arguments and input size; ``threads`` are those of a training.
    """

    images: Path
    masks: Path
    sampling: Path
    weights: Path
    network: Mapping
    threads: int
    epochs: int


def features(inputs: Inputs, unfreeze: str, folder: Path) -> list[str]:
    """Return the command that computes the outputs of the frozen part, once."""
    return python(
        "scripts/features.py",
        *("--network", json.dumps({**inputs.network, "head": HEAD[:1]})),
        *("--unfreeze", unfreeze, "--weights", inputs.weights),
        *_pixels(inputs),
        *("--samplings", inputs.sampling, "--limit-gb", LIMIT_GB),
        *("--batch-size", BATCH_SIZE, "--threads", inputs.threads),
        *("--output", cache(folder), "--rows", cache(folder).with_suffix(".rows.npy")),
        *("--description", cache(folder).with_suffix(".json")),
    )


def cache(folder: Path) -> Path:
    """Return where `features` writes them."""
    return folder / "features.npy"


def train(
    inputs: Inputs, unfreeze: str, folder: Path, features: Path | None = None, seed: int = 0
) -> list[str]:
    """Return the command that trains one run, on cached features where they are given."""
    return python(
        "scripts/train.py",
        *("--network", json.dumps({**inputs.network, "head": HEAD}), "--unfreeze", unfreeze),
        *_pixels(inputs),
        *("--augment", "null", "--training", json.dumps(training(inputs)), "--seed", seed),
        *("--sampling", inputs.sampling, "--weights", inputs.weights),
        *_cached(unfreeze, features),
        *("--checkpoint", folder / "checkpoint", "--output", folder),
    )


def tune(
    inputs: Inputs, folder: Path, features: Path | None, factor: int = 3, iterations: int = 1
) -> list[str]:
    """Return the command that searches the published head on cached features."""
    search = {
        "variant": VARIANT,
        "max_epochs": inputs.epochs,
        "factor": factor,
        "iterations": iterations,
        "seed": 42,
        "space": SPACE,
    }
    return python(
        "scripts/tune.py",
        *("--network", json.dumps({**inputs.network, "head": TUNED_HEAD}), "--unfreeze", "0"),
        *("--tune", json.dumps(search), "--training", json.dumps(training(inputs))),
        *_pixels(inputs),
        *("--sampling", inputs.sampling, "--weights", inputs.weights),
        *_cached("0", features),
        *("--checkpoint", folder / "checkpoint", "--output", folder),
    )


def gradcam(inputs: Inputs, run: Path, sampling: Path, folder: Path, per_class: int) -> list[str]:
    """Return the command that explains ``per_class`` test images of each class of a sampling.

    ``run`` is the folder of a training.
    """
    return python(
        "scripts/gradcam.py",
        *("--model", run / "model.keras", "--predictions", run / "predictions.parquet"),
        *("--sampling", sampling),
        *_pixels(inputs),
        *("--explain", json.dumps({"per_class": per_class, "seed": 0, "images": []})),
        *("--batch-size", BATCH_SIZE, "--threads", inputs.threads, "--output", folder),
    )


def training(inputs: Inputs) -> dict:
    """Return the published settings of a training, without early stopping."""
    return {
        "epochs": inputs.epochs,
        "batch_size": BATCH_SIZE,
        "learning_rate": 0.001,
        "patience": None,
        "start_from_epoch": 0,
        "reduce_on_plateau": None,
        "stages": None,
        "threads": inputs.threads,
        "mixed_precision": "auto",
        "xla": "auto",
    }


def _pixels(inputs: Inputs) -> Sequence[object]:
    return ["--images", inputs.images, "--masks", inputs.masks, "--pixels", json.dumps(LUNGS)]


def _cached(unfreeze: str, features: Path | None) -> Sequence[object]:
    return [] if features is None else ["--features", f"{unfreeze}={features}"]
