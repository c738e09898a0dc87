"""Searches of a few seconds for tests: made-up features, a command line, and what it wrote.

Call `backend.configure` before importing this module.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

SIZE, FEATURES = 32, 12
HEAD = {
    "backbone": "MobileNet",
    "arguments": {"alpha": 0.25},
    "input_size": SIZE,
    "head": ["average_pooling", {"dropout": "$drop"}, {"dense": "$units"}],
}
HEAD_SPACE = {
    "units": {"values": [0, 8, 16]},
    "drop": {"min": 0, "max": 0.4, "step": 0.2},
    "learning_rate": {"values": [0.1, 0.01, 0.001]},
}
SETTINGS = {
    "epochs": 99,
    "batch_size": 8,
    "learning_rate": 0.001,
    "patience": None,
    "start_from_epoch": 0,
    "reduce_on_plateau": None,
    "stages": None,
    "threads": 2,
    "mixed_precision": "auto",
    "xla": "auto",
}
# A bracket of 3 trials of 1 epoch, one of which continues to 3 epochs, and one of 2 trials of 3.
SMALL = {"variant": "lungs", "max_epochs": 3, "factor": 3, "iterations": 1, "seed": 7}
LUNGS = {"region": "lungs"}


def write_data(folder: Path) -> None:
    """Write packed arrays of 60 bright and dark noisy images, a sampling, and made-up features."""
    random = np.random.default_rng(0)
    labels = np.array(["dark", "bright"])[np.arange(60) % 2]
    images = random.integers(0, 150, (60, SIZE, SIZE)) + 50 * (labels == "bright")[:, None, None]
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "masks.npy", np.ones((60, SIZE, SIZE), np.uint8))
    table = pd.DataFrame({"row": np.arange(60), "label": labels})
    table["image"] = [f"Normal-{row}" for row in table["row"]]
    table["class"], table["source"], table["group"] = "Normal", "a", table["row"]
    table["split"] = np.repeat(["train", "validation", "test"], [28, 22, 10])
    table.to_parquet(folder / "sampling.parquet")
    features = random.normal(size=(60, FEATURES)) + 0.5 * (labels == "bright")[:, None]
    np.save(folder / "f.npy", features.astype(np.float32))
    np.save(folder / "f.rows.npy", np.arange(60))
    description = {
        "tensors": [{"layer": "pooled", "shape": [FEATURES]}],
        "first_trained": "dense_1",
        "bytes": 4 * 60 * FEATURES,
        "bytes_per_image": 4 * FEATURES,
        "dtype": "float32",
        "kept": True,
        "sha256": "of the values",
    }
    (folder / "f.json").write_text(json.dumps(description))


def arguments(data: Path, output: Path, network: dict, space: dict, **changed: object) -> list:
    """Return the command line of a search; ``changed`` replaces settings or parts of it."""
    search = SMALL | {key: changed.pop(key) for key in list(changed) if key in SMALL}
    line = ["--pixels", json.dumps(changed.pop("pixels", LUNGS))]
    line += ["--checkpoint", str(changed.pop("checkpoint", output.with_suffix(".checkpoint")))]
    line += ["--sampling", str(changed.pop("sampling", data / "sampling.parquet"))]
    if "backbone" in network:
        line += ["--unfreeze", "0", "--features", f"0={changed.pop('features', data / 'f.npy')}"]
    else:
        line += ["--unfreeze", "all"]
    line += ["--network", json.dumps(network), "--tune", json.dumps(search | {"space": space})]
    line += ["--training", json.dumps(SETTINGS | changed)]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    return [*line, "--output", str(output)]


def results(output: Path) -> tuple[pd.DataFrame, dict]:
    """Return the trials and the best of a search, without the seconds."""
    best = json.loads((output / "best.json").read_text())
    del best["seconds"]
    trials = pd.read_csv(output / "trials.tsv", sep="\t", dtype={"trial": str})
    return trials.drop(columns="seconds"), best


def assert_same(one: Path, other: Path) -> None:
    """Assert that two searches are equal to the last bit."""
    (trials, best), (other_trials, other_best) = results(one), results(other)
    pd.testing.assert_frame_equal(trials, other_trials, check_exact=True)
    assert best == other_best
