"""Training after a cut, on cached outputs, gives the numbers of training the whole network."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import features  # noqa: E402
import train  # noqa: E402
import weights  # noqa: E402

IMAGES = 44
EPOCHS = 3
HEAD = ["average_pooling", {"dense": 16}, {"dense": 8}, {"dropout": 0.3}]
FLAT = ["flatten", {"dense": 8}, {"dropout": 0.3}]
# Backbone, arguments, pixels, head, layers unfrozen, learning rate, tensors that cross the cut.
CASES = {
    "chain": ("VGG16", {}, 32, HEAD, "4", 1e-3, ["block4_pool"]),
    "residual, inside a block": (
        "ResNet50V2",
        {},
        64,
        HEAD,
        "20",
        1e-4,
        ["conv5_block2_2_pad", "conv5_block1_out"],
    ),
    "dense": (
        "DenseNet121",
        {},
        32,
        HEAD,
        "60",
        1e-4,
        ["conv5_block8_1_relu", "conv5_block7_concat"],
    ),
    "depthwise": ("MobileNet", {"alpha": 0.25}, 48, HEAD, "19", 1e-3, ["conv_pw_10_relu"]),
    "flattened head": ("MobileNet", {"alpha": 0.25}, 48, FLAT, "0", 1e-2, ["conv_pw_13_relu"]),
}


def packed(folder: Path, size: int) -> None:
    """Write bright and dark noisy images, all lungs, and a sampling of them."""
    random = np.random.default_rng(0)
    labels = np.array(["dark", "bright"])[np.arange(IMAGES) % 2]
    images = random.integers(0, 160, (IMAGES, size, size))
    images += 60 * (labels == "bright")[:, None, None]
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "masks.npy", np.ones((IMAGES, size, size), np.uint8))
    table = pd.DataFrame({"row": np.arange(IMAGES), "label": labels})
    table["image"] = [f"Normal-{row}" for row in table["row"]]
    table["split"] = np.repeat(["train", "validation", "test"], [28, 8, 8])
    table.to_parquet(folder / "sampling.parquet")


def source(folder: Path, network: dict, unfreeze: str) -> list[str]:
    """The options that features.py and train.py share."""
    line = ["--network", json.dumps(network), "--unfreeze", unfreeze]
    line += ["--pixels", '{"region": "lungs"}', "--weights", str(folder / "w.weights.h5")]
    return [*line, "--images", str(folder / "images.npy"), "--masks", str(folder / "masks.npy")]


@pytest.mark.parametrize("name", CASES)
def test_cached_and_whole_training_predict_the_same(tmp_path: Path, name: str) -> None:
    backbone, arguments, size, head, unfreeze, rate, crossing = CASES[name]
    packed(tmp_path, size)
    line = ["--backbone", backbone, "--arguments", json.dumps(arguments), "--source", "none"]
    weights.main([*line, "--output", str(tmp_path / "w.weights.h5")])
    network = {"backbone": backbone, "arguments": arguments, "input_size": size}

    line = source(tmp_path, network | {"head": head[:1]}, unfreeze)
    line += ["--samplings", str(tmp_path / "sampling.parquet"), "--batch-size", "16"]
    line += ["--output", str(tmp_path / "f.npy"), "--rows", str(tmp_path / "f.rows.npy")]
    features.main([*line, "--description", str(tmp_path / "f.json")])
    described = json.loads((tmp_path / "f.json").read_text())
    assert [tensor["layer"] for tensor in described["tensors"]] == crossing

    def training(output: str, *more: str) -> tuple[np.ndarray, pd.DataFrame]:
        settings = {"epochs": EPOCHS, "batch_size": 8, "learning_rate": rate, "patience": None}
        settings |= {"start_from_epoch": 0, "threads": 2, "mixed_precision": "off", "xla": "off"}
        line = [*source(tmp_path, network | {"head": head}, unfreeze), *more, "--seed", "0"]
        line += ["--sampling", str(tmp_path / "sampling.parquet")]
        line += ["--training", json.dumps(settings)]
        line += ["--checkpoint", str(tmp_path / "c"), "--output", str(tmp_path / output)]
        train.main(line)
        table = pd.read_parquet(tmp_path / output / "predictions.parquet")
        history = pd.read_csv(tmp_path / output / "history.tsv", sep="\t")
        return np.log(table[["p_bright", "p_dark"]].to_numpy()), history

    whole, steps = training("whole")
    cached, cached_steps = training("cached", "--features", f"{unfreeze}={tmp_path}/f.npy")
    np.testing.assert_allclose(cached, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cached_steps, steps, rtol=1e-4, atol=1e-5)
    # Training moves the predictions by far more than that.
    assert np.ptp(steps["val_loss"]) > 5e-3
    facts = [
        json.loads((tmp_path / output / "training.json").read_text())
        for output in ("whole", "cached")
    ]
    assert [fact["stages"][0]["cached"] for fact in facts] == [False, True]
    assert [fact["cached"] for fact in facts] == [None, described["bytes"]]
    assert facts[0]["trained_layers"] == facts[1]["trained_layers"]
    assert facts[0]["trainable_parameters"] == facts[1]["trainable_parameters"]
