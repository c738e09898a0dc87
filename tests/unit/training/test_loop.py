"""Training: repeatable, resumable, and right about when to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import features  # noqa: E402
import keras  # noqa: E402
import train  # noqa: E402
import weights  # noqa: E402
from pulmoscan.networks import build  # noqa: E402
from pulmoscan.storage import checkpoint  # noqa: E402
from pulmoscan.training import loop  # noqa: E402

SIZE = 32
LENET5 = [
    {"conv2d": 16},
    "max_pooling",
    {"conv2d": 32},
    "max_pooling",
    {"conv2d": 64},
    "max_pooling",
]
LENET5 += [{"dropout": 0.3}, "flatten", {"dense": 128}]
LENET = {"architecture": LENET5, "input_size": SIZE}
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
    for unfreeze in ("0", "19"):
        write_features(folder, folder / f"unfreeze-{unfreeze}.npy", unfreeze)
    return folder


def write_features(data: Path, output: Path, unfreeze: str, *more: str) -> None:
    """Run MobileNet up to the cut that unfreezing makes."""
    line = ["--network", json.dumps(MOBILENET), "--unfreeze", unfreeze]
    line += ["--weights", str(data / "w.weights.h5")]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    line += ["--pixels", json.dumps(LUNGS), "--samplings", str(data / "sampling.parquet")]
    line += ["--output", str(output), "--rows", str(output.with_suffix(".rows.npy"))]
    features.main([*line, "--description", str(output.with_suffix(".json")), *more])


def arguments(data: Path, output: Path, network: dict, unfreeze: str, **changed: object) -> list:
    """The command line of a training; ``changed`` replaces settings or options."""
    options = {"augment": None, "seed": 0, "checkpoint": output.with_suffix(".checkpoint")}
    options |= {key: changed.pop(key) for key in list(changed) if key not in SETTINGS}
    cached = options.pop("cached", ())
    line = ["--network", json.dumps(network), "--unfreeze", unfreeze, "--pixels", json.dumps(LUNGS)]
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
    """Predictions and history of a training."""
    return (
        pd.read_parquet(output / "predictions.parquet"),
        pd.read_csv(output / "history.tsv", sep="\t"),
    )


def assert_same(one: Path, other: Path) -> None:
    """The two trainings are equal to the last bit."""
    for first, second in zip(results(one), results(other), strict=True):
        pd.testing.assert_frame_equal(first, second, check_exact=True)


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
    assert list(history) == list(loop.HISTORY)
    assert list(history["epoch"]) == [1, 2, 3]
    assert list(history["stage"]) == [1, 1, 1]
    assert np.allclose(history["learning_rate"], 0.001)
    facts = json.loads((finished["lenet"] / "training.json").read_text())
    expected = 16 * 10 + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1) + 128 * (4 * 4 * 64 + 1) + 2 * 129
    assert facts["parameters"] == facts["trainable_parameters"] == expected
    assert facts["trained_layers"] == ["conv_1", "conv_2", "conv_3", "dense_1", "logits"]
    assert facts["first_trained"] == "conv_1"
    assert (facts["n_train"], facts["epochs"], facts["augmented"]) == (28, 3, False)
    assert (facts["cached"], facts["features_dtype"]) == (None, None)
    assert facts["seconds"] > 0
    assert json.loads((finished["augmented"] / "training.json").read_text())["augmented"] is True
    assert not finished["lenet"].with_suffix(".checkpoint").exists()


def test_facts_of_stages(finished: dict[str, Path]) -> None:
    facts = json.loads((finished["staged"] / "training.json").read_text())
    _, history = results(finished["staged"])
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    epochs = list(history.groupby("stage").size())
    assert (epochs[0], epochs[2]) == (2, 2)
    assert 2 < epochs[1] < 8
    middle = history.loc[history["stage"] == 2, "learning_rate"]
    assert middle.iloc[0] == pytest.approx(3e-3)
    assert middle.iloc[-1] == pytest.approx(6e-4)
    head = 257 * 16 + 17 * 8 + 9 * 2
    # The last 19 layers: depthwise 11 to 13, pointwise 11 to 13, and their normalisations.
    last = 9 * (128 + 128 + 256) + 128 * 128 + 128 * 256 + 256 * 256
    last += 2 * (128 + 128 + 128 + 256 + 256 + 256)
    stages = facts["stages"]
    assert [stage["unfreeze"] for stage in stages] == ["0", "19", "half"]
    assert [stage["epochs"] for stage in stages] == epochs
    assert [stage["learning_rate"] for stage in stages] == [1e-3, 3e-3, 1e-4]
    assert [stage["cached"] for stage in stages] == [True, True, False]
    parameters = [stage["trainable_parameters"] for stage in stages]
    assert parameters[:2] == [head, head + last]
    assert parameters[2] == facts["trainable_parameters"] > head + last
    assert facts["first_trained"] == facts["trained_layers"][0] == "conv_dw_7"
    assert len(facts["trained_layers"]) == 3 + 4 * 7  # a block: two convolutions, normalised each
    assert (facts["cached"], facts["features_dtype"]) == (None, None)
    cached = json.loads((finished["head"] / "training.json").read_text())
    assert (cached["cached"], cached["features_dtype"]) == (48 * 256 * 4, "float32")


@pytest.mark.parametrize("name", ["lenet", "head", "staged"])
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
def test_killed_training_ends_like_an_uninterrupted_one(
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
            patch.setattr(loop, "_print", lambda progress, *rest: kill_after(progress, epochs))
        else:
            patch.setattr(loop, "_save", kill_instead_of(loop._save, epochs + 1))
        with pytest.raises(KilledError):
            train.main(line)
    assert not (tmp_path / "run" / "predictions.parquet").exists()
    assert (tmp_path / "run.checkpoint" / checkpoint.FILE).exists()
    train.main(line)
    assert f"going on after epoch {epochs}\n" in capsys.readouterr().out
    assert_same(finished[name], tmp_path / "run")
    assert not (tmp_path / "run.checkpoint").exists()


def kill_after(progress: loop.Progress, epochs: int) -> None:
    """End the training when it has seen so many epochs."""
    if len(progress.history) == epochs:
        raise KilledError


def kill_instead_of(save: Callable, epoch: int) -> Callable:
    """End the training when an epoch has changed it, but is not saved."""

    def wrapped(*values: object) -> None:
        if len(values[2].history) == epoch:
            raise KilledError
        save(*values)

    return wrapped


def test_process_killed_for_good(data: Path, finished: dict[str, Path], tmp_path: Path) -> None:
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


def test_checkpoint_of_another_training_is_thrown_away(
    data: Path, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    line = arguments(data, tmp_path / "a", LENET, "all", learning_rate=0.1, checkpoint=folder)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_print", lambda progress, *rest: kill_after(progress, 1))
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


def test_features_are_left_when_what_they_come_from_was_trained(data: Path, tmp_path: Path) -> None:
    entries = [{"unfreeze": "19", "learning_rate": 0.01}, {"unfreeze": "0"}]
    options = {"epochs": 2, "stages": entries}
    for name, cached in (("cached", ["19", "0"]), ("whole", [])):
        line = arguments(data, tmp_path / name, MOBILENET, "0", cached=cached, **options)
        train.main(line)
    facts = json.loads((tmp_path / "cached" / "training.json").read_text())
    assert [stage["cached"] for stage in facts["stages"]] == [True, False]
    assert facts["cached"] is None
    assert facts["trained_layers"] == ["dense_1", "dense_2", "logits"]
    found = [results(tmp_path / name)[0][["p_bright", "p_dark"]] for name in ("cached", "whole")]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_above_the_limit_the_whole_network_trains(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    write_features(data, tmp_path / "unfreeze-0.npy", "0", "--limit-gb", "0.000001")
    line = arguments(data, tmp_path / "run", MOBILENET, "0")
    train.main([*line, "--features", f"0={tmp_path}/unfreeze-0.npy"])
    facts = json.loads((tmp_path / "run" / "training.json").read_text())
    assert (facts["cached"], facts["stages"][0]["cached"]) == (None, False)
    probabilities = ["p_bright", "p_dark"]
    whole, _ = results(tmp_path / "run")
    cached, _ = results(finished["head"])
    np.testing.assert_allclose(whole[probabilities], cached[probabilities], atol=1e-5)


LOSSES = [3.0, 2.0, 2.5, 1.5, 1.49995, 1.7, 1.6, 1.6, 1.4, 1.45, 1.45, 1.45, 1.45, 1.3]


def small_model() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    loop.compile_model(model, 0.1, jit_compile=False)
    model.stop_training = False
    return model


@pytest.mark.parametrize("patience", [0, 1, 2, 4])
@pytest.mark.parametrize("start", [0, 2])
def test_early_stopping_is_that_of_keras(patience: int, start: int) -> None:
    model = small_model()
    callback = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, start_from_epoch=start, restore_best_weights=True
    )
    callback.set_model(model)
    callback.on_train_begin()
    schedule, best = loop.Schedule(), None
    settings = loop.Settings(len(LOSSES), 0.1, patience, start)
    for epoch, loss in enumerate(LOSSES):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        if loop.improves(schedule, loss, settings):
            best = epoch
        assert schedule.stopped == model.stop_training
        if schedule.stopped:
            break
        schedule.epochs += 1
    assert schedule.best == callback.best
    assert best == callback.best_epoch


@pytest.mark.parametrize("patience", [1, 2, 3, 6])
def test_the_learning_rate_is_reduced_as_by_keras(patience: int) -> None:
    model, own = small_model(), small_model()
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=patience)
    callback.set_model(model)
    callback.on_train_begin()
    reduce = {"factor": 0.3, "patience": patience}
    schedule, settings = loop.Schedule(), loop.Settings(len(LOSSES), 0.1, None, 0, reduce)
    rates = []
    for epoch, loss in enumerate(LOSSES):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        if loop.plateaus(schedule, loss, settings):
            loop.reduce_rate(own.optimizer, 0.3)
        rates.append([float(one.optimizer.learning_rate) for one in (model, own)])
    assert [one for one, _ in rates] == [other for _, other in rates]
    assert len({one for one, _ in rates}) > (1 if patience == 6 else 2) - (patience == 6)


class Ordered(keras.utils.PyDataset):
    """The training batches of an epoch, in the order that a training has."""

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
    np.testing.assert_allclose(predictions[["p_bright", "p_dark"]], expected, atol=1e-3)
    assert np.abs(expected - 0.5).max() > 0.05


def test_what_a_search_found_fills_the_network(data: Path, tmp_path: Path) -> None:
    head = ["average_pooling", {"dense": "$units"}, {"dropout": "$share"}]
    best = {"hyperparameters": {"units": 12, "share": 0.5, "learning_rate": 0.004}}
    (tmp_path / "best.json").write_text(json.dumps(best))
    network = MOBILENET | {"head": head}
    options = {"epochs": 1, "cached": ["0"]}
    tuned = arguments(
        data, tmp_path / "tuned", network, "0", best=tmp_path / "best.json", **options
    )
    train.main(tuned)
    written = MOBILENET | {"head": ["average_pooling", {"dense": 12}, {"dropout": 0.5}]}
    train.main(arguments(data, tmp_path / "written", written, "0", learning_rate=0.004, **options))
    assert_same(tmp_path / "tuned", tmp_path / "written")
    with pytest.raises(ValueError, match="units"):
        train.main(arguments(data, tmp_path / "none", network, "0", **options))


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


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cached": ["0"], "augment": AUGMENTATION}, "an augmented training .* no cached features"),
        ({"cached": ["0", "19"]}, "features of unfreeze 0, but the stages unfreeze 19"),
        ({"stages": [{}, {"unfreeze": "0"}]}, "the last stage unfreezes 0, but the run"),
    ],
)
def test_features_and_stages_that_do_not_fit_the_run(
    data: Path, tmp_path: Path, changed: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train.main(arguments(data, tmp_path / "o", MOBILENET, "19", **changed))


def test_features_of_another_cut(data: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path / "o", MOBILENET, "19")
    with pytest.raises(ValueError, match=r"output of pooled \(256,\), but .* conv_pw_10_relu"):
        train.main([*line, "--features", f"19={data}/unfreeze-0.npy"])


def test_networks_of_histograms(data: Path, tmp_path: Path) -> None:
    layers = [{"conv1d": 8, "strides": 2}, "batch_normalization", "flatten", {"dense": 8}]
    line = arguments(data, tmp_path / "run", {"architecture": layers}, "all")
    at = line.index("--pixels") + 1
    line[at] = json.dumps(LUNGS | {"reduce": "histogram"})
    train.main(line)
    predictions, _ = results(tmp_path / "run")
    images = np.load(data / "images.npy")[28:]
    counts = np.stack([np.bincount(image.ravel(), minlength=256) for image in images])
    counts[:, 0] = 0
    histograms = counts[..., None] / counts.max(axis=1)[:, None, None]
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    found = model.predict(histograms.astype("float32"), verbose=0)
    np.testing.assert_allclose(found, predictions[["p_bright", "p_dark"]], atol=1e-5)
