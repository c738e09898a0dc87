"""Training: repeatable, resumable, and right about when to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan import backend

backend.configure(threads=2)

import features  # noqa: E402
import keras  # noqa: E402
import train  # noqa: E402
import weights  # noqa: E402
from pulmoscan import checkpoint, training  # noqa: E402

SIZE = 32
LENET = {"architecture": "lenet5", "input_size": SIZE}
MOBILENET = {
    "backbone": "MobileNet",
    "arguments": {"alpha": 0.25},
    "input_size": SIZE,
    "head": {"dense": [16, 8], "dropout": 0.2},
}
SETTINGS = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.001,
    "patience": 5,
    "start_from_epoch": 0,
    "threads": 2,
    "mixed_precision": "auto",
    "xla": "auto",
}
LUNGS = {"region": "lungs"}
AUGMENTATION = {"translation": 0.1, "rotation": 10, "zoom": 0.15, "intensity": 0.1, "flip": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed arrays of 48 bright and dark noisy images, a sampling, random weights, features."""
    folder = tmp_path_factory.mktemp("data")
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
    line = ["--network", json.dumps(MOBILENET), "--weights", str(folder / "w.weights.h5")]
    line += ["--images", str(folder / "images.npy"), "--masks", str(folder / "masks.npy")]
    line += ["--pixels", json.dumps(LUNGS), "--samplings", str(folder / "sampling.parquet")]
    line += ["--output", str(folder / "f.npy"), "--rows", str(folder / "f.rows.npy")]
    features.main(line)
    return folder


def arguments(data: Path, output: Path, network: dict, unfreeze: str, **changed: object) -> list:
    """The command line of a training; ``changed`` replaces settings or options."""
    options = {"augment": None, "seed": 0, "checkpoint": output.with_suffix(".checkpoint")}
    options |= {key: changed.pop(key) for key in list(changed) if key not in SETTINGS}
    cached = options.pop("cached", False)
    line = ["--network", json.dumps(network), "--unfreeze", unfreeze, "--pixels", json.dumps(LUNGS)]
    line += ["--training", json.dumps(SETTINGS | changed), "--seed", str(options["seed"])]
    line += ["--augment", json.dumps(options["augment"])]
    line += ["--sampling", str(options.get("sampling", data / "sampling.parquet"))]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    if "backbone" in network:
        line += ["--weights", str(data / "w.weights.h5")]
    if cached:
        line += ["--features", str(data / "f.npy"), "--feature-rows", str(data / "f.rows.npy")]
    return [*line, "--checkpoint", str(options["checkpoint"]), "--output", str(output)]


def results(output: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and history of a training."""
    return (
        pd.read_parquet(output / "predictions.parquet"),
        pd.read_csv(output / "history.tsv", sep="\t"),
    )


def assert_same(one: Path, other: Path) -> None:
    """The two trainings are equal to the last bit."""
    for first, second in zip(results(one), results(other), strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)


CASES = {
    "lenet": (LENET, "all", {}),
    "head": (MOBILENET, "0", {"cached": True}),
    "augmented": (LENET, "all", {"augment": AUGMENTATION}),
}


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One uninterrupted training of every case."""
    folder = tmp_path_factory.mktemp("finished")
    for name, (network, unfreeze, changed) in CASES.items():
        train.main(arguments(data, folder / name, network, unfreeze, **changed))
    return {name: folder / name for name in CASES}


def test_outputs(data: Path, finished: dict[str, Path]) -> None:
    predictions, history = results(finished["lenet"])
    assert list(predictions) == ["image", "split", "label", "p_bright", "p_dark"]
    assert list(predictions["split"]) == ["validation"] * 10 + ["test"] * 10
    np.testing.assert_allclose(predictions[["p_bright", "p_dark"]].sum(axis=1), 1, atol=1e-9)
    assert list(history) == list(training.HISTORY)
    assert list(history["epoch"]) == [1, 2, 3]
    assert np.allclose(history["learning_rate"], 0.001)
    facts = json.loads((finished["lenet"] / "training.json").read_text())
    expected = 16 * 10 + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1) + 128 * (4 * 4 * 64 + 1) + 2 * 129
    assert facts["parameters"] == facts["trainable_parameters"] == expected
    assert (facts["n_train"], facts["epochs"], facts["cached_features"]) == (28, 3, False)
    assert facts["seconds"] > 0
    head = json.loads((finished["head"] / "training.json").read_text())
    assert head["trainable_parameters"] == 257 * 16 + 17 * 8 + 9 * 2
    assert head["cached_features"] is True
    assert not finished["lenet"].with_suffix(".checkpoint").exists()


@pytest.mark.parametrize("name", ["lenet", "head"])
def test_saved_model_is_the_whole_network(data: Path, finished: dict[str, Path], name: str) -> None:
    model = keras.saving.load_model(finished[name] / "model.keras")
    assert model.input_shape == (None, SIZE, SIZE, 1)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    grey = np.load(data / "images.npy")[28:, ..., None].astype("float32")
    predictions, _ = results(finished[name])
    found = model.predict(grey, verbose=0)
    np.testing.assert_allclose(found, predictions[["p_bright", "p_dark"]], atol=1e-5)


def test_same_seed_gives_the_same_bits_and_another_does_not(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    train.main(arguments(data, tmp_path / "again", LENET, "all"))
    assert_same(finished["lenet"], tmp_path / "again")
    train.main(arguments(data, tmp_path / "other", LENET, "all", seed=1, epochs=1))
    _, first = results(finished["lenet"])
    _, other = results(tmp_path / "other")
    assert first["loss"][0] != other["loss"][0]


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("lenet", "before an epoch is saved"),
        ("head", "between epochs"),
        ("augmented", "between epochs"),
    ],
)
def test_killed_training_ends_like_an_uninterrupted_one(
    data: Path,
    finished: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    moment: str,
) -> None:
    network, unfreeze, changed = CASES[name]
    line = arguments(data, tmp_path / "run", network, unfreeze, **changed)
    with monkeypatch.context() as patch:
        if moment == "between epochs":
            patch.setattr(training, "_print", lambda progress, *rest: kill_after(progress, 2))
        else:
            patch.setattr(training, "_save", kill_instead_of_third(training._save))
        with pytest.raises(KilledError):
            train.main(line)
    assert not (tmp_path / "run" / "predictions.parquet").exists()
    assert (tmp_path / "run.checkpoint" / checkpoint.FILE).exists()
    train.main(line)
    assert_same(finished[name], tmp_path / "run")
    assert not (tmp_path / "run.checkpoint").exists()


def kill_after(progress: training.Progress, epochs: int) -> None:
    """End the training when it has seen so many epochs."""
    if len(progress.history) == epochs:
        raise KilledError


def kill_instead_of_third(save: Callable) -> Callable:
    """End the training when its third epoch has changed it, but is not saved."""

    def wrapped(*values: object) -> None:
        if len(values[4].history) == 3:
            raise KilledError
        save(*values)

    return wrapped


def test_process_killed_for_good(data: Path, finished: dict[str, Path], tmp_path: Path) -> None:
    line = arguments(data, tmp_path / "run", LENET, "all")
    process = subprocess.Popen([sys.executable, train.__file__, *line], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run.checkpoint" / checkpoint.FILE).exists():
        assert time.monotonic() < deadline
        assert process.poll() in (None, 0)
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    train.main(line)
    assert_same(finished["lenet"], tmp_path / "run")


def test_checkpoint_of_another_training_is_thrown_away(
    data: Path, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    line = arguments(data, tmp_path / "a", LENET, "all", learning_rate=0.1, checkpoint=folder)
    with monkeypatch.context() as patch:
        patch.setattr(training, "_print", lambda progress, *rest: kill_after(progress, 1))
        with pytest.raises(KilledError):
            train.main(line)
    train.main(arguments(data, tmp_path / "b", LENET, "all", checkpoint=folder))
    assert_same(finished["lenet"], tmp_path / "b")


def test_damaged_checkpoint_is_thrown_away(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "x", {"wait": 1}, {"model": [np.ones(3)], "best": []})
    values, arrays = checkpoint.load(tmp_path, "x")
    assert values == {"wait": 1}
    assert arrays["best"] == []
    np.testing.assert_array_equal(arrays["model"][0], np.ones(3))
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:100])
    assert checkpoint.load(tmp_path, "x") is None
    assert not path.exists()


def test_features_and_the_whole_network_train_alike(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    train.main(arguments(data, tmp_path / "whole", MOBILENET, "0"))
    on_features, _ = results(finished["head"])
    whole, _ = results(tmp_path / "whole")
    probabilities = ["p_bright", "p_dark"]
    np.testing.assert_allclose(on_features[probabilities], whole[probabilities], atol=1e-5)


@pytest.mark.parametrize("patience", [0, 1, 2])
@pytest.mark.parametrize("start", [0, 2])
def test_early_stopping_is_that_of_keras(tmp_path: Path, patience: int, start: int) -> None:
    losses = [3.0, 2.0, 2.5, 1.5, 1.7, 1.6, 1.6, 1.4]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    training.compile_model(model, 0.1, jit_compile=backend.Settings(1, "", False).jit_compile)
    callback = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, start_from_epoch=start, restore_best_weights=True
    )
    callback.set_model(model)
    callback.on_train_begin()
    model.stop_training = False
    progress, best = training.Progress(), None
    settings = training.Settings(8, 0.1, patience, start)
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        if training._improves(progress, loss, epoch, settings):
            best = epoch
        assert progress.stopped == model.stop_training
        if progress.stopped:
            break
    assert progress.best == callback.best
    assert best == callback.best_epoch


def test_best_weights_are_restored_and_without_patience_the_last_are_kept(
    data: Path, tmp_path: Path
) -> None:
    fast = {"learning_rate": 0.05, "epochs": 5, "cached": True}
    train.main(arguments(data, tmp_path / "best", MOBILENET, "0", **fast, patience=8))
    train.main(arguments(data, tmp_path / "last", MOBILENET, "0", **fast, patience=None))
    for name, pick in (("best", "min"), ("last", "last")):
        predictions, history = results(tmp_path / name)
        validation = predictions[predictions["split"] == "validation"]
        own = [row[f"p_{row['label']}"] for _, row in validation.iterrows()]
        losses = history["val_loss"]
        expected = losses.min() if pick == "min" else losses.iloc[-1]
        assert -np.log(own).mean() == pytest.approx(expected, abs=1e-4)


def test_diverging_training_fails_and_leaves_no_results(data: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path / "run", LENET, "all", learning_rate=1e30)
    with pytest.raises(
        ValueError, match=r"in epoch 1: training diverged; lower training\.learning"
    ):
        train.main(line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (None, "has no train image: the data do not fill this sampling"),
        ("validation", "has no validation image"),
        ("dark", "trains on the labels bright only, but has images of dark"),
    ],
)
def test_sampling_that_cannot_be_trained_on(
    data: Path, tmp_path: Path, split: str | None, message: str
) -> None:
    table = pd.read_parquet(data / "sampling.parquet")
    if split is None:
        table = table.iloc[:0]
    elif split == "validation":
        table = table[table["split"] != "validation"]
    else:
        table = table[(table["split"] != "train") | (table["label"] == "bright")]
    table.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(ValueError, match=message):
        train.main(arguments(data, tmp_path / "o", LENET, "all", sampling=tmp_path / "s.parquet"))


def test_features_are_refused_where_the_backbone_changes(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only a frozen backbone without augmentation"):
        train.main(arguments(data, tmp_path / "o", MOBILENET, "19", cached=True))


def test_the_digest_of_rows_is_that_of_their_pixels_alone() -> None:
    array = np.random.default_rng(0).integers(0, 255, (6, 4, 4), dtype=np.uint8)
    before = checkpoint.rows_digest(array, np.array([1, 4]))
    assert before == sha256(array[[1, 4]].tobytes()).hexdigest()
    array[2] += 1
    assert checkpoint.rows_digest(array, np.array([1, 4])) == before
    array[4, 0, 0] += 1
    assert checkpoint.rows_digest(array, np.array([1, 4])) != before
