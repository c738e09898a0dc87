"""Trials are trained as Keras does, each as if it were the only one."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.config import stages  # noqa: E402
from pulmoscan.inputs import batches  # noqa: E402
from pulmoscan.training import trainer as trainers  # noqa: E402
from pulmoscan.training.oracle import Trial  # noqa: E402
from small_search import FEATURES, HEAD, SETTINGS  # noqa: E402


def trainer(search_data: Path, **changed: object) -> trainers.Trainer:
    """Return what trains the trials of a search on the made-up features."""
    features = batches.Features.open(search_data / "f.npy")
    labels = np.arange(60) % 2
    return trainers.Trainer(
        partial(trainers.model_of, HEAD, features.tensors, 2),
        lambda seed, epoch: batches.Batches(
            features, np.arange(24), labels[:24], 8, seed=seed, epoch=epoch
        ),
        batches.Batches(features, np.arange(28, 50), labels[28:50], 8),
        stages.single(SETTINGS | changed, "0"),
        seed=3,
        jit_compile=False,
    )


def a_trial(name: str = "0000", stop: int = 4, start: int = 0, **values: object) -> Trial:
    chosen = {"units": 8, "drop": 0.4, "learning_rate": 0.01} | values
    return Trial(name, 1, 0, start, stop, None, True, chosen)


@pytest.mark.parametrize("patience", [None, 1])
def test_a_trial_trains_as_keras_does(search_data: Path, patience: int | None) -> None:
    rates = {"patience": patience, "start_from_epoch": 2, "reduce_on_plateau": None}
    rates["reduce_on_plateau"] = {"factor": 0.1, "patience": 1}
    trial = a_trial(stop=12, learning_rate=0.3)
    outcome = trainer(search_data, **rates).run(trial)

    seed = trainers.trial_seed(3, trial.name)
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((FEATURES,)), keras.layers.Dropout(0.4)]
    layers += [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.3), loss, metrics=["accuracy"], jit_compile=False)
    x, y = np.load(search_data / "f.npy"), np.arange(60) % 2

    order = np.concatenate([batches.order_of(seed, epoch, 24) for epoch in range(12)])
    callbacks = [keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0)]
    if patience is not None:
        callbacks.append(keras.callbacks.EarlyStopping(patience=patience, start_from_epoch=2))
    history = model.fit(
        x[order],
        y[order],
        batch_size=8,
        steps_per_epoch=3,
        validation_data=(x[28:50], y[28:50]),
        epochs=12,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    ).history
    best = int(np.argmax(history["val_accuracy"]))
    assert outcome.epochs == len(history["loss"])
    assert (outcome.epochs < 12) == (patience is not None)
    assert outcome.val_accuracy == pytest.approx(history["val_accuracy"][best], abs=1e-6)
    assert outcome.val_loss == pytest.approx(history["val_loss"][best], rel=1e-4)
    assert outcome.status == "completed"


def test_the_weights_kept_are_those_of_the_best_epoch(search_data: Path) -> None:
    outcome = trainer(search_data).run(a_trial(stop=8, learning_rate=0.3))
    kernel_1, bias_1, kernel_2, bias_2 = outcome.weights
    x, y = np.load(search_data / "f.npy")[28:50], np.arange(28, 50) % 2
    logits = np.maximum(x @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
    assert np.mean(logits.argmax(axis=1) == y) == pytest.approx(outcome.val_accuracy)
    powers = np.exp(logits)
    own = powers[np.arange(22), y] / powers.sum(axis=1)
    assert -np.log(own).mean() == pytest.approx(outcome.val_loss, rel=1e-4)


def test_a_trial_does_not_depend_on_those_that_share_its_model(search_data: Path) -> None:
    alone = trainer(search_data).run(a_trial("0001", learning_rate=0.01))
    shared = trainer(search_data)
    other = shared.run(a_trial("0000", learning_rate=0.3))
    again = shared.run(a_trial("0001", learning_rate=0.01))
    assert len(shared._shared) == 1
    assert (alone.val_accuracy, alone.val_loss) == (again.val_accuracy, again.val_loss)
    for one, two in zip(alone.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert other.val_loss != again.val_loss


def test_models_are_kept_within_a_limit(search_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A head of 8 units has 122 weights, 2 x 122 moments, and 4 numbers for steps, rate and seed.
    monkeypatch.setattr(trainers, "SHARED", 2 * 4 * (3 * 122 + 4))
    kept = trainer(search_data)
    for drop in (0.1, 0.2, 0.1, 0.3):
        kept.run(a_trial(stop=1, drop=drop))
    assert [json.loads(key)["drop"] for key in kept._shared] == [0.1, 0.3]


def test_seeds_of_trials_differ_by_search_and_trial() -> None:
    seeds = {trainers.trial_seed(seed, f"{trial:04}") for seed in (0, 1, 42) for trial in range(50)}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**32 and math.floor(seed) == seed for seed in seeds)
