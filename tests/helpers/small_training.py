"""Trainings of a few seconds for tests: made-up images, a command line, and what it wrote.

Call `backend.configure` before importing this module.
"""

import json
from pathlib import Path

import features
import numpy as np
import pandas as pd
import weights

SIZE = 32
LENET = {
    "architecture": [
        {"conv2d": 16},
        "max_pooling",
        {"conv2d": 32},
        "max_pooling",
        {"conv2d": 64},
        "max_pooling",
        {"dropout": 0.3},
        "flatten",
        {"dense": 128},
    ],
    "input_size": SIZE,
}
MOBILENET = {
    "backbone": "MobileNet",
    "arguments": {"alpha": 0.25},
    "input_size": SIZE,
    "head": ["average_pooling", {"dense": 16}, {"dense": 8}, {"dropout": 0.2}],
}
SETTINGS = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.001,
    "patience": 5,
    "start_from_epoch": 0,
    "reduce_on_plateau": None,
    "stages": None,
    "threads": 2,
    "mixed_precision": "off",  # exact on a GPU too
    "xla": "auto",
}
LUNGS = {"region": "lungs"}
AUGMENTATION = {"translation": 0.1, "rotation": 10, "zoom": 0.15, "intensity": 0.1, "flip": True}
PROBABILITIES = ["p_bright", "p_dark"]

# A MobileNet in three stages: its head on pooled features; its last layers on features, until it
# stops improving, at a rate that is reduced; and more of it on pixels, as there are no features.
STAGES = [
    {"unfreeze": "0", "epochs": 2},
    {
        "unfreeze": "19",
        "epochs": 8,
        "learning_rate": 3e-3,
        "patience": 2,
        "reduce_on_plateau": {"factor": 0.2, "patience": 1},
    },
    {"epochs": 2, "patience": None, "learning_rate": 1e-4},
]
CASES = {
    "lenet": (LENET, "all", {}),
    "head": (MOBILENET, "0", {"cached": ["0"]}),
    "augmented": (LENET, "all", {"augment": AUGMENTATION}),
    "staged": (MOBILENET, "half", {"cached": ["0", "19"], "stages": STAGES}),
}


def write_data(folder: Path) -> None:
    """Write packed arrays of 48 bright and dark noisy images, a sampling, weights and features."""
    random = np.random.default_rng(0)
    labels = np.array(["dark", "bright"])[np.arange(48) % 2]
    images = random.integers(0, 120, (48, SIZE, SIZE)) + 100 * (labels == "bright")[:, None, None]
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "masks.npy", np.ones((48, SIZE, SIZE), np.uint8))
    table = pd.DataFrame({"row": np.arange(48), "label": labels})
    table["image"] = [f"Normal-{row}" for row in table["row"]]
    table["class"], table["source"], table["group"] = "Normal", "a", table["row"]
    table["split"] = np.repeat(["train", "validation", "test"], [28, 10, 10])
    table.to_parquet(folder / "sampling.parquet")
    backbone = ["--backbone", "MobileNet", "--arguments", '{"alpha": 0.25}']
    weights.main([*backbone, "--source", "none", "--output", str(folder / "w.weights.h5")])
    for unfreeze in ("0", "19"):
        write_features(folder, folder / f"unfreeze-{unfreeze}.npy", unfreeze)


def write_features(data: Path, output: Path, unfreeze: str, *more: str) -> None:
    """Run MobileNet up to the cut that unfreezing makes."""
    line = ["--network", json.dumps(MOBILENET), "--unfreeze", unfreeze]
    line += ["--weights", str(data / "w.weights.h5")]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    line += ["--pixels", json.dumps(LUNGS), "--samplings", str(data / "sampling.parquet")]
    line += ["--output", str(output), "--rows", str(output.with_suffix(".rows.npy"))]
    features.main([*line, "--description", str(output.with_suffix(".json")), *more])


def arguments(data: Path, output: Path, network: dict, unfreeze: str, **changed: object) -> list:
    """Return the command line of a training; ``changed`` replaces settings or options."""
    options = {"augment": None, "seed": 0, "checkpoint": output.with_suffix(".checkpoint")}
    options |= {key: changed.pop(key) for key in list(changed) if key not in SETTINGS}
    cached = options.pop("cached", ())
    pixels = options.pop("pixels", LUNGS)
    line = ["--network", json.dumps(network), "--unfreeze", unfreeze]
    line += ["--pixels", json.dumps(pixels)]
    line += ["--training", json.dumps(SETTINGS | changed), "--seed", str(options["seed"])]
    line += ["--augment", json.dumps(options["augment"])]
    line += ["--sampling", str(options.get("sampling", data / "sampling.parquet"))]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    if "backbone" in network:
        line += ["--weights", str(data / "w.weights.h5")]
    for key in cached:
        line += ["--features", f"{key}={data}/unfreeze-{key}.npy"]
    if "best" in options:
        line += ["--best", str(options["best"])]
    return [*line, "--checkpoint", str(options["checkpoint"]), "--output", str(output)]


def results(output: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the predictions and the history of a training."""
    return (
        pd.read_parquet(output / "predictions.parquet"),
        pd.read_csv(output / "history.tsv", sep="\t"),
    )


def facts_of(output: Path) -> dict:
    """Return the facts of a training."""
    return json.loads((output / "training.json").read_text())


def assert_same(one: Path, other: Path) -> None:
    """Assert that two trainings are equal to the last bit."""
    for first, second in zip(results(one), results(other), strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
