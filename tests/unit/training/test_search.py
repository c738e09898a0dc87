"""Searches: Keras Tuner's Hyperband, with trainings that are those of Keras, and resumable."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
import keras_tuner  # noqa: E402
import tune  # noqa: E402
from pulmoscan.inputs import batches  # noqa: E402
from pulmoscan.networks import build, cut  # noqa: E402
from pulmoscan.storage import checkpoint  # noqa: E402
from pulmoscan.training import loop  # noqa: E402
from pulmoscan.training import search as tuning  # noqa: E402

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
WIDE = {"values": [8, 16]}  # without a layer the loss is finite at any rate
LENET = {
    "architecture": [{"conv2d": "$filters", "kernel": 5}, "max_pooling", "flatten", {"dense": 4}],
    "input_size": SIZE,
}
SERIES = {
    "architecture": [
        {"conv1d": "$filters", "strides": 2, "activation": "$activation"},
        "batch_normalization",
        "flatten",
        {"dropout": 0.2},
        {"dense": 8, "l2": 0.01},
    ]
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
# Brackets of 3 trials with 1 epoch, of which 1 goes on to 3 epochs, and of 2 trials with 3 epochs.
SMALL = {"variant": "lungs", "max_epochs": 3, "factor": 3, "iterations": 1, "seed": 7}
LUNGS = {"region": "lungs"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed arrays of 60 bright and dark noisy images, a sampling, and made-up features."""
    folder = tmp_path_factory.mktemp("data")
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
    return folder


def arguments(data: Path, output: Path, network: dict, space: dict, **changed: object) -> list:
    """The command line of a search; ``changed`` replaces settings, or parts of the search."""
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
    """Trials and the best of a search, without the seconds."""
    best = json.loads((output / "best.json").read_text())
    del best["seconds"]
    trials = pd.read_csv(output / "trials.tsv", sep="\t", dtype={"trial": str})
    return trials.drop(columns="seconds"), best


def assert_same(one: Path, other: Path) -> None:
    """The two searches are equal to the last bit."""
    (trials, best), (other_trials, other_best) = results(one), results(other)
    pd.testing.assert_frame_equal(trials, other_trials, check_exact=True)
    assert best == other_best


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted search of a head."""
    folder = tmp_path_factory.mktemp("finished") / "head"
    tune.main(arguments(data, folder, HEAD, HEAD_SPACE))
    return folder


def made_up(values: dict) -> float:
    """A score of hyperparameters that needs no training."""
    return (7 * values["a"] + 3 * values["b"]) % 11 / 11


MADE_UP = {"a": {"min": 0, "max": 9, "step": 1}, "b": {"values": [0.5, 1.5, 2.5, 3.5]}}
LARGER = {"max_epochs": 4, "factor": 2, "iterations": 2, "seed": 42, "space": MADE_UP}


def scored(search: dict) -> list[tuple[tuning.Trial, float]]:
    """The trials of a search of made-up scores, and these."""
    found = []

    def score(trial: tuning.Trial) -> float:
        found.append((trial, made_up(trial.values)))
        return found[-1][1]

    tuning.trials(search, score)
    return found


def test_trials_are_those_of_keras_tuner(tmp_path: Path) -> None:
    asked = []

    class Tuner(keras_tuner.Hyperband):
        def run_trial(self, trial: object, **_: object) -> dict:
            values = trial.hyperparameters.values
            asked.append(dict(values))
            return {"val_accuracy": made_up(values)}

    space = keras_tuner.HyperParameters()
    space.Choice("a", list(range(10)))
    space.Choice("b", [0.5, 1.5, 2.5, 3.5])
    objective = keras_tuner.Objective("val_accuracy", "max")
    Tuner(
        objective=objective,
        max_epochs=4,
        factor=2,
        hyperband_iterations=2,
        seed=42,
        hyperparameters=space,
        directory=tmp_path,
    ).search()
    ours = [
        trial.values
        | {"tuner/epochs": trial.stop, "tuner/initial_epoch": trial.start}
        | {"tuner/bracket": trial.bracket, "tuner/round": trial.round}
        | ({"tuner/trial_id": trial.earlier} if trial.earlier else {})
        for trial, _ in scored(LARGER)
    ]
    assert len(asked) == 30
    assert ours == asked


def test_brackets_and_rounds_are_those_of_the_published_algorithm() -> None:
    found = scored(LARGER | {"iterations": 1})
    # Keras Tuner rounds the sizes of the last rounds up from 3 / (bracket + 1).
    expected = {
        (2, 0): (4, 0, 1),
        (2, 1): (2, 1, 2),
        (2, 2): (1, 2, 4),
        (1, 0): (3, 0, 2),
        (1, 1): (2, 2, 4),
        (0, 0): (3, 0, 4),
    }
    counted = {}
    for trial, _ in found:
        count, *_ = counted.get((trial.bracket, trial.round), (0,))
        counted[trial.bracket, trial.round] = (count + 1, trial.start, trial.stop)
    assert counted == expected
    score = {trial.name: value for trial, value in found}
    named = {trial.name: trial for trial, _ in found}
    for bracket, stage in [(2, 1), (2, 2), (1, 1)]:
        at = {place: [] for place in (stage - 1, stage)}
        for trial, _ in found:
            if trial.bracket == bracket and trial.round in at:
                at[trial.round].append(trial)
        best = sorted((score[trial.name] for trial in at[stage - 1]), reverse=True)
        assert [score[trial.earlier] for trial in at[stage]] == best[: len(at[stage])]
        assert all(named[trial.earlier].goes_on for trial in at[stage])
        assert all(named[trial.earlier].values == trial.values for trial in at[stage])


def test_every_value_of_the_space_can_be_drawn_and_none_else() -> None:
    space = {"a": {"min": 0, "max": 9, "step": 1}, "b": {"min": 0, "max": 0.5, "step": 0.1}}
    drawn = [trial.values for trial, _ in scored(LARGER | {"space": space, "iterations": 6})]
    assert {values["b"] for values in drawn} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert {values["a"] for values in drawn} == set(range(10))


def test_the_seed_decides_the_trials_also_if_it_is_0() -> None:
    drawn = [
        [trial.values for trial, _ in scored(LARGER | {"seed": seed})] for seed in (0, 0, 42, 1)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2] != drawn[3] != drawn[0]


def test_a_space_with_few_combinations_ends_the_search() -> None:
    space = {"a": {"values": [1, 2]}, "b": {"values": [0.5]}}
    found = scored(LARGER | {"space": space})
    assert sorted(trial.values["a"] for trial, _ in found) == [1, 2]


def test_outputs(finished: Path) -> None:
    trials, best = results(finished)
    columns = ["trial", "bracket", "round", "epochs", "val_accuracy", "val_loss", "status"]
    assert list(trials) == [*columns, "units", "drop", "learning_rate"]
    assert "seconds" in (finished / "trials.tsv").read_text().splitlines()[0].split("\t")
    assert list(trials["trial"]) == [f"{number:04}" for number in range(6)]
    assert list(trials["bracket"]) == [1, 1, 1, 1, 0, 0]
    assert list(trials["round"]) == [0, 0, 0, 1, 0, 0]
    assert list(trials["epochs"]) == [1, 1, 1, 3, 3, 3]
    assert set(trials["status"]) == {"completed"}
    # 22 validation images
    hits = trials["val_accuracy"] * 22
    np.testing.assert_allclose(hits, hits.round(), atol=1e-5)
    row = trials.loc[trials["val_accuracy"].idxmax()]
    assert best == {
        "hyperparameters": {
            "units": row["units"],
            "drop": row["drop"],
            "learning_rate": row["learning_rate"],
        },
        "val_accuracy": row["val_accuracy"],
        "trial": row["trial"],
        "trials": 6,
    }
    assert not finished.with_suffix(".checkpoint").exists()


def trainer(data: Path, network: dict, **changed: object) -> tuning.Trainer:
    """What trains the trials of a search on the made-up features."""
    features = batches.Features.open(data / "f.npy")
    labels = np.arange(60) % 2
    settings = SETTINGS | changed

    def build(values: dict) -> keras.Model:
        filled = json.loads(json.dumps(network["head"]))
        for entry in filled[1:]:
            for key in entry:
                entry[key] = values[entry[key][1:]]
        return tuning.head(filled, features.tensors, 2)

    return tuning.Trainer(
        build,
        lambda seed, epoch: batches.Batches(
            features, np.arange(24), labels[:24], 8, seed=seed, epoch=epoch
        ),
        batches.Batches(features, np.arange(28, 50), labels[28:50], 8),
        loop.Settings(
            epochs=99,
            learning_rate=settings["learning_rate"],
            patience=settings["patience"],
            start_from_epoch=settings["start_from_epoch"],
            reduce_on_plateau=settings["reduce_on_plateau"],
        ),
        seed=3,
        jit_compile=False,
    )


def a_trial(name: str = "0000", stop: int = 4, start: int = 0, **values: object) -> tuning.Trial:
    chosen = {"units": 8, "drop": 0.4, "learning_rate": 0.01} | values
    return tuning.Trial(name, 1, 0, start, stop, None, True, chosen)


@pytest.mark.parametrize("patience", [None, 1])
def test_a_trial_trains_as_keras_does(data: Path, patience: int | None) -> None:
    rates = {"patience": patience, "start_from_epoch": 2, "reduce_on_plateau": None}
    rates["reduce_on_plateau"] = {"factor": 0.1, "patience": 1}
    trial = a_trial(stop=12, learning_rate=0.3)
    outcome = trainer(data, HEAD, **rates).run(trial)

    seed = tuning.trial_seed(3, trial.name)
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((FEATURES,)), keras.layers.Dropout(0.4)]
    layers += [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.3), loss, metrics=["accuracy"], jit_compile=False)
    x, y = np.load(data / "f.npy"), np.arange(60) % 2

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


def test_the_weights_kept_are_those_of_the_best_epoch(data: Path) -> None:
    outcome = trainer(data, HEAD).run(a_trial(stop=8, learning_rate=0.3))
    kernel_1, bias_1, kernel_2, bias_2 = outcome.weights
    x, y = np.load(data / "f.npy")[28:50], np.arange(28, 50) % 2
    logits = np.maximum(x @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
    assert np.mean(logits.argmax(axis=1) == y) == pytest.approx(outcome.val_accuracy)
    powers = np.exp(logits)
    own = powers[np.arange(22), y] / powers.sum(axis=1)
    assert -np.log(own).mean() == pytest.approx(outcome.val_loss, rel=1e-4)


def test_a_trial_goes_on_from_the_weights_of_the_earlier_one(data: Path, tmp_path: Path) -> None:
    space = HEAD_SPACE | {"learning_rate": {"values": [1e-12]}}  # nothing changes
    network = HEAD | {"head": [*HEAD["head"], {"dense": 8}]}
    tune.main(arguments(data, tmp_path / "out", network, space))
    trials, _ = results(tmp_path / "out")
    first, later = trials[trials["round"] == 0], trials[trials["round"] == 1].iloc[0]
    earlier = first[first["bracket"] == 1].sort_values("val_accuracy", kind="stable").iloc[-1]
    assert later["val_accuracy"] == earlier["val_accuracy"]
    assert later["val_loss"] == pytest.approx(earlier["val_loss"], abs=1e-6)
    assert first["val_loss"].nunique() == len(first)


def test_a_trial_does_not_depend_on_those_that_share_its_model(data: Path) -> None:
    alone = trainer(data, HEAD).run(a_trial("0001", learning_rate=0.01))
    shared = trainer(data, HEAD)
    other = shared.run(a_trial("0000", learning_rate=0.3))
    again = shared.run(a_trial("0001", learning_rate=0.01))
    assert len(shared._shared) == 1
    assert (alone.val_accuracy, alone.val_loss) == (again.val_accuracy, again.val_loss)
    for one, two in zip(alone.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert other.val_loss != again.val_loss


def test_models_are_kept_within_a_limit(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A head of 8 units has 122 weights, 2 x 122 moments, and 4 numbers for steps, rate and seed.
    monkeypatch.setattr(tuning, "SHARED", 2 * 4 * (3 * 122 + 4))
    kept = trainer(data, HEAD)
    for drop in (0.1, 0.2, 0.1, 0.3):
        kept.run(a_trial(stop=1, drop=drop))
    assert [json.loads(key)["drop"] for key in kept._shared] == [0.1, 0.3]


@pytest.mark.parametrize(
    ("network", "space", "pixels"),
    [
        (LENET, {"filters": {"values": [2, 4]}, "learning_rate": {"values": [0.01, 0.003]}}, LUNGS),
        (
            SERIES,
            {"filters": {"values": [2, 4]}, "activation": {"values": ["relu", "tanh"]}},
            {"region": "full", "reduce": "histogram"},
        ),
    ],
    ids=["images", "histograms"],
)
def test_networks_of_our_own(data: Path, tmp_path: Path, network: dict, space: dict, pixels: dict):
    tune.main(arguments(data, tmp_path / "out", network, space, pixels=pixels, learning_rate=0.01))
    trials, best = results(tmp_path / "out")
    assert set(best["hyperparameters"]) == set(space)
    assert trials["val_accuracy"].max() == best["val_accuracy"]
    assert best["val_accuracy"] > 0.6  # brightness tells the labels


class KilledError(Exception):
    """Stands for the end of a process."""


def killed_after(monkeypatch: pytest.MonkeyPatch, number: int, line: list) -> None:
    """Run a search that ends when so many trials are saved."""
    saved = []

    def stop(row: dict) -> None:
        saved.append(row)
        if len(saved) == number:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_print", stop)
        with pytest.raises(KilledError):
            tune.main(line)


def test_interrupted_search_ends_like_an_uninterrupted_one(
    data: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    number = 3  # the next trial goes on from an earlier one
    line = arguments(data, tmp_path / "out", HEAD, HEAD_SPACE)
    killed_after(monkeypatch, number, line)
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    tune.main(line)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"going on after {number} trials"
    assert [text.split()[1] for text in printed[1:]] == [f"{n:04}" for n in range(number, 6)]
    assert_same(finished, tmp_path / "out")
    assert not (tmp_path / "out.checkpoint").exists()


def test_process_killed_for_good(data: Path, finished: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path / "out", HEAD, HEAD_SPACE)
    process = subprocess.Popen(
        [sys.executable, tune.__file__, *line], stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    for text in process.stdout:
        assert time.monotonic() < deadline
        if text.startswith("trial 0001"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / "out.checkpoint" / checkpoint.FILE).exists()
    tune.main(line)
    assert_same(finished, tmp_path / "out")


def test_checkpoint_of_another_search_is_thrown_away(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    other = arguments(data, tmp_path / "a", HEAD, HEAD_SPACE, seed=8, checkpoint=folder)
    killed_after(monkeypatch, 4, other)
    assert len(list(folder.glob("trial-*"))) == 3
    tune.main(arguments(data, tmp_path / "b", HEAD, HEAD_SPACE, checkpoint=folder))
    assert_same(finished, tmp_path / "b")
    assert not folder.exists()


def test_lost_weights_are_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = arguments(data, tmp_path / "out", HEAD, HEAD_SPACE)
    killed_after(monkeypatch, 3, line)
    for place in (tmp_path / "out.checkpoint").glob("trial-*"):
        checkpoint.remove(place)
    with pytest.raises(OSError, match=r"weights of trial 000\d are not in .* remove that folder"):
        tune.main(line)


def test_a_trial_that_diverges_fails_and_the_search_goes_on(data: Path, tmp_path: Path) -> None:
    space = HEAD_SPACE | {"units": WIDE, "learning_rate": {"values": [1e30, 0.01]}}
    tune.main(arguments(data, tmp_path / "out", HEAD, space))
    trials, best = results(tmp_path / "out")
    diverged = trials["learning_rate"] == 1e30
    assert 0 < diverged.sum() < len(trials) == 6
    assert set(trials.loc[diverged, "status"]) == {"failed"}
    assert set(trials.loc[diverged, "val_accuracy"]) == {0.0}
    assert trials.loc[diverged, "val_loss"].isna().all()
    assert set(trials.loc[~diverged, "status"]) == {"completed"}
    assert best["hyperparameters"]["learning_rate"] == 0.01


def test_a_search_of_which_every_trial_diverges_is_an_error(data: Path, tmp_path: Path) -> None:
    space = HEAD_SPACE | {"units": WIDE, "learning_rate": {"values": [1e30, 1e32]}}
    with pytest.raises(ValueError, match="loss of all 6 trials was not finite: give"):
        tune.main(arguments(data, tmp_path / "out", HEAD, space))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("joint", ["average_pooling", "flatten"])
def test_the_head_is_what_is_cut_off_the_whole_network(joint: str) -> None:
    head = [joint, {"dense": 8, "activation": "tanh"}, {"dropout": 0.2}, {"dense": 4}]
    network = build.build(HEAD | {"head": head}, 3)
    cut.freeze(network, "0")
    frozen, trained = cut.cut(network)
    model = tuning.head(head, batches.crossing(frozen), 3)
    model.set_weights(trained.get_weights())
    x = np.random.default_rng(0).normal(size=(5, *trained.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(model(x), trained(x))
    assert [layer.name for layer in model.layers[1:]] == [
        layer.name for layer in trained.layers[1:]
    ]


def test_features_of_another_head_are_refused(data: Path, tmp_path: Path) -> None:
    head = ["flatten", *HEAD["head"][1:]]
    line = arguments(data, tmp_path / "out", HEAD | {"head": head}, HEAD_SPACE)
    with pytest.raises(ValueError, match="output of pooled, but the head begins with flatten"):
        tune.main(line)


def test_features_that_were_not_kept_are_told(data: Path, tmp_path: Path) -> None:
    description = json.loads((data / "f.json").read_text()) | {"kept": False, "bytes": 3 * 10**10}
    (tmp_path / "f.json").write_text(json.dumps(description))
    line = arguments(data, tmp_path / "out", HEAD, HEAD_SPACE, features=tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"30\.0 GB were above the limit; raise features\.limit_"):
        tune.main(line)


def test_images_without_features_are_told(data: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.load(data / "f.npy")[:40])
    np.save(tmp_path / "f.rows.npy", np.arange(40))
    (tmp_path / "f.json").write_text((data / "f.json").read_text())
    line = arguments(data, tmp_path / "out", HEAD, HEAD_SPACE, features=tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"no features of 10 images \(row 40 first\)"):
        tune.main(line)


def test_features_are_held_in_memory_where_they_fit(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, rows = batches.Features.open(data / "f.npy"), np.array([7, 2, 2, 40])
    values = np.load(data / "f.npy")
    held = tuning.held(stored, rows)
    assert isinstance(held.values, np.ndarray)
    assert held.values.nbytes == 3 * 4 * FEATURES
    np.testing.assert_array_equal(held.read(rows), values[rows])
    monkeypatch.setattr(batches, "IN_MEMORY", 3 * 4 * FEATURES - 1)
    assert tuning.held(stored, rows) is stored


@pytest.mark.parametrize(
    ("network", "space", "unfreeze", "message"),
    [
        (HEAD, HEAD_SPACE, "19", "trains the head of a frozen backbone.* unfreeze is '19'"),
        (LENET, {"filters": {"values": [2]}}, "0", "a network of its own trains whole"),
        (HEAD, {"units": {"values": [8]}}, "0", r"^space: \$drop of the head is missing"),
        (HEAD, HEAD_SPACE | {"x": {"values": [1]}}, "0", r"space\.x: no layer of the head has \$x"),
        (HEAD, HEAD_SPACE | {"drop": {"values": [2.0]}}, "0", r"^space\.drop: 2\.0: layer 2"),
    ],
)
def test_what_cannot_be_searched(network: dict, space: dict, unfreeze: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tune.check(network, SMALL | {"space": space}, unfreeze, {"half": Path("f.npy")})


def test_seeds_of_trials_differ_by_search_and_trial() -> None:
    seeds = {tuning.trial_seed(seed, f"{trial:04}") for seed in (0, 1, 42) for trial in range(50)}
    assert len(seeds) == 150
    assert all(0 <= seed < 2**32 and math.floor(seed) == seed for seed in seeds)
