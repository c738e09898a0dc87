"""Training: resumable to the last bit, and equal to Keras' own `fit`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
import train  # noqa: E402
from pulmoscan.networks import build  # noqa: E402
from pulmoscan.storage import checkpoint  # noqa: E402
from pulmoscan.training import loop  # noqa: E402
from small_training import (  # noqa: E402
    CASES,
    LENET,
    MOBILENET,
    PROBABILITIES,
    arguments,
    assert_same,
    results,
)


class KilledError(Exception):
    """Stands in for the end of a process."""


@pytest.mark.parametrize(
    ("name", "epochs", "moment"),
    [
        ("lenet", 2, "before an epoch is saved"),
        ("head", 2, "between epochs"),
        ("augmented", 2, "between epochs"),
        ("staged", 1, "between epochs"),
        ("staged", 2, "between epochs"),
        ("staged", 4, "before an epoch is saved"),
        ("staged", -1, "between epochs"),
    ],
)
def test_a_killed_training_ends_like_an_uninterrupted_one(
    data: Path,
    finished: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    name: str,
    epochs: int,
    moment: str,
) -> None:
    network, unfreeze, changed = CASES[name]
    line = arguments(data, tmp_path / "run", network, unfreeze, **changed)
    if epochs < 0:
        epochs += len(results(finished[name])[1])
    with monkeypatch.context() as patch:
        if moment == "between epochs":
            patch.setattr(loop, "_line", lambda progress, *rest: kill_after(progress, epochs))
        else:
            patch.setattr(loop, "_save", kill_instead_of(loop._save, epochs + 1))
        with pytest.raises(KilledError):
            train.main(line)
    assert not (tmp_path / "run" / "predictions.parquet").exists()
    assert (tmp_path / "run.checkpoint" / checkpoint.FILE).exists()
    train.main(line)
    assert f"run: resuming after epoch {epochs}\n" in capsys.readouterr().out
    assert_same(finished[name], tmp_path / "run")
    assert not (tmp_path / "run.checkpoint").exists()


def kill_after(progress: loop.Progress, epochs: int) -> None:
    """End the training after a number of epochs."""
    if len(progress.history) == epochs:
        raise KilledError


def kill_instead_of(save: Callable, epoch: int) -> Callable:
    """End the training when an epoch has changed it but is not saved yet."""

    def wrapped(*values: object) -> None:
        if len(values[2].history) == epoch:
            raise KilledError
        save(*values)

    return wrapped


def test_a_killed_process_ends_like_an_uninterrupted_one(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    line = arguments(data, tmp_path / "run", LENET, "all")
    process = subprocess.Popen([sys.executable, train.__file__, *line], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run.checkpoint" / checkpoint.FILE).exists():
        assert time.monotonic() < deadline
        assert process.poll() in (None, 0)
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    train.main(line)
    assert_same(finished["lenet"], tmp_path / "run")


def test_the_checkpoint_of_another_training_is_ignored(
    data: Path, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    line = arguments(data, tmp_path / "a", LENET, "all", learning_rate=0.1, checkpoint=folder)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_line", lambda progress, *rest: kill_after(progress, 1))
        with pytest.raises(KilledError):
            train.main(line)
    train.main(arguments(data, tmp_path / "b", LENET, "all", checkpoint=folder))
    assert_same(finished["lenet"], tmp_path / "b")


def test_a_damaged_checkpoint_is_ignored(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "x", {"wait": 1}, {"model": [np.ones(3)], "best": []})
    values, arrays = checkpoint.load(tmp_path, "x")
    assert values == {"wait": 1}
    assert arrays["best"] == []
    np.testing.assert_array_equal(arrays["model"][0], np.ones(3))
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:100])
    assert checkpoint.load(tmp_path, "x") is None
    assert not path.exists()


class Ordered(keras.utils.PyDataset):
    """The training batches of an epoch, in the order that a training uses."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y, self.epoch = x, y, 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple:
        order = np.random.default_rng([0, self.epoch]).permutation(28)[8 * index : 8 * index + 8]
        return self.x[order], self.y[order]


def test_stages_are_one_fit_after_another(data: Path, tmp_path: Path) -> None:
    rates = {"factor": 0.5, "patience": 1}
    entries = [{"unfreeze": "0", "epochs": 3}, {"learning_rate": 1e-4, "reduce_on_plateau": rates}]
    line = arguments(
        data, tmp_path / "run", MOBILENET, "19", stages=entries, epochs=4, learning_rate=1e-2
    )
    train.main(line)
    predictions, history = results(tmp_path / "run")

    keras.utils.set_random_seed(0)
    model = build.build(MOBILENET, 2, data / "w.weights.h5").model
    base = model.layers.index(model.get_layer("conv_pw_13_relu")) + 1
    x = np.load(data / "images.npy")[..., None].astype("float32")
    y = (np.arange(48) % 2 == 0).astype("int32")  # bright is class 0
    losses, dataset = [], Ordered(x, y)
    for first_trained, epochs, rate, more in ((base, 3, 1e-2, []), (base - 19, 4, 1e-4, [rates])):
        for index, layer in enumerate(model.layers):
            layer.trainable = index >= first_trained
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
        first = len(losses)
        count = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _, first=first: setattr(dataset, "epoch", first + epoch)
        )
        callbacks = [count, stop] + [keras.callbacks.ReduceLROnPlateau(**one) for one in more]
        found = model.fit(
            dataset,
            validation_data=(x[28:38], y[28:38]),
            epochs=epochs,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
        losses += found.history["val_loss"]
    np.testing.assert_allclose(history["val_loss"], losses, rtol=1e-3)
    expected = model.predict(x[28:], verbose=0)
    np.testing.assert_allclose(predictions[PROBABILITIES], expected, atol=1e-3)
    assert np.abs(expected - 0.5).max() > 0.05


def test_best_weights_are_restored_and_without_patience_the_last_are_kept(
    data: Path, tmp_path: Path
) -> None:
    fast = {"learning_rate": 0.05, "epochs": 5, "cached": ["0"]}
    train.main(arguments(data, tmp_path / "best", MOBILENET, "0", **fast, patience=8))
    train.main(arguments(data, tmp_path / "last", MOBILENET, "0", **fast, patience=None))
    for name, pick in (("best", "min"), ("last", "last")):
        predictions, history = results(tmp_path / name)
        validation = predictions[predictions["split"] == "validation"]
        own = [row[f"p_{row['label']}"] for _, row in validation.iterrows()]
        losses = history["val_loss"]
        expected = losses.min() if pick == "min" else losses.iloc[-1]
        assert -np.log(own).mean() == pytest.approx(expected, abs=1e-4)
