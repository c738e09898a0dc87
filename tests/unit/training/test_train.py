"""A training: what it writes, and the inputs that it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
import train  # noqa: E402
from pulmoscan.training import loop  # noqa: E402
from small_training import (  # noqa: E402
    LENET,
    LUNGS,
    MOBILENET,
    PROBABILITIES,
    SIZE,
    arguments,
    assert_same,
    facts_of,
    results,
    write_features,
)


def test_outputs(data: Path, finished: dict[str, Path]) -> None:
    predictions, history = results(finished["lenet"])
    assert list(predictions) == ["image", "split", "label", "p_bright", "p_dark"]
    assert list(predictions["split"]) == ["validation"] * 10 + ["test"] * 10
    np.testing.assert_allclose(predictions[PROBABILITIES].sum(axis=1), 1, atol=1e-9)
    assert list(history) == list(loop.HISTORY)
    assert list(history["epoch"]) == [1, 2, 3]
    assert list(history["stage"]) == [1, 1, 1]
    assert np.allclose(history["learning_rate"], 0.001)
    facts = facts_of(finished["lenet"])
    expected = 16 * 10 + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1) + 128 * (4 * 4 * 64 + 1) + 2 * 129
    assert facts["parameters"] == facts["trainable_parameters"] == expected
    assert facts["trained_layers"] == ["conv_1", "conv_2", "conv_3", "dense_1", "logits"]
    assert facts["first_trained"] == "conv_1"
    assert (facts["n_train"], facts["epochs"], facts["augmented"]) == (28, 3, False)
    assert (facts["cached"], facts["features_dtype"]) == (None, None)
    assert facts["seconds"] > 0
    assert facts_of(finished["augmented"])["augmented"] is True
    assert not finished["lenet"].with_suffix(".checkpoint").exists()


def test_facts_of_stages(finished: dict[str, Path]) -> None:
    facts = facts_of(finished["staged"])
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
    assert len(facts["trained_layers"]) == 3 + 4 * 7  # per block two convolutions, each normalised
    assert (facts["cached"], facts["features_dtype"]) == (None, None)
    cached = facts_of(finished["head"])
    assert (cached["cached"], cached["features_dtype"]) == (48 * 256 * 4, "float32")


@pytest.mark.parametrize("name", ["lenet", "head", "staged"])
def test_saved_model_is_the_whole_network(data: Path, finished: dict[str, Path], name: str) -> None:
    model = keras.saving.load_model(finished[name] / "model.keras")
    assert model.input_shape == (None, SIZE, SIZE, 1)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    grey = np.load(data / "images.npy")[28:, ..., None].astype("float32")
    predictions, _ = results(finished[name])
    found = model.predict(grey, verbose=0)
    np.testing.assert_allclose(found, predictions[PROBABILITIES], atol=1e-5)


def test_same_seed_gives_the_same_bits_and_another_does_not(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    train.main(arguments(data, tmp_path / "again", LENET, "all"))
    assert_same(finished["lenet"], tmp_path / "again")
    train.main(arguments(data, tmp_path / "other", LENET, "all", seed=1, epochs=1))
    _, first = results(finished["lenet"])
    _, other = results(tmp_path / "other")
    assert first["loss"][0] != other["loss"][0]


def test_features_and_the_whole_network_train_alike(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    train.main(arguments(data, tmp_path / "whole", MOBILENET, "0"))
    on_features, _ = results(finished["head"])
    whole, _ = results(tmp_path / "whole")
    np.testing.assert_allclose(on_features[PROBABILITIES], whole[PROBABILITIES], atol=1e-5)


def test_features_of_layers_that_have_been_trained_are_not_used(data: Path, tmp_path: Path) -> None:
    entries = [{"unfreeze": "19", "learning_rate": 0.01}, {"unfreeze": "0"}]
    options = {"epochs": 2, "stages": entries}
    for name, cached in (("cached", ["19", "0"]), ("whole", [])):
        line = arguments(data, tmp_path / name, MOBILENET, "0", cached=cached, **options)
        train.main(line)
    facts = facts_of(tmp_path / "cached")
    assert [stage["cached"] for stage in facts["stages"]] == [True, False]
    assert facts["cached"] is None
    assert facts["trained_layers"] == ["dense_1", "dense_2", "logits"]
    found = [results(tmp_path / name)[0][PROBABILITIES] for name in ("cached", "whole")]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_above_the_limit_the_whole_network_trains(
    data: Path, finished: dict[str, Path], tmp_path: Path
) -> None:
    write_features(data, tmp_path / "unfreeze-0.npy", "0", "--limit-gb", "0.000001")
    line = arguments(data, tmp_path / "run", MOBILENET, "0")
    train.main([*line, "--features", f"0={tmp_path}/unfreeze-0.npy"])
    facts = facts_of(tmp_path / "run")
    assert (facts["cached"], facts["stages"][0]["cached"]) == (None, False)
    whole, _ = results(tmp_path / "run")
    cached, _ = results(finished["head"])
    np.testing.assert_allclose(whole[PROBABILITIES], cached[PROBABILITIES], atol=1e-5)


def test_what_a_search_found_fills_the_network(data: Path, tmp_path: Path) -> None:
    head = ["average_pooling", {"dense": "$units"}, {"dropout": "$share"}]
    found = {"units": 12, "share": 0.5, "learning_rate": 0.004}
    best = {"trial": "0000", "hyperparameters": found}
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
def test_a_sampling_that_cannot_be_trained_on_is_refused(
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


def test_features_of_another_cut_are_refused(data: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path / "o", MOBILENET, "19")
    with pytest.raises(ValueError, match=r"output of pooled \(256,\), but .* conv_pw_10_relu"):
        train.main([*line, "--features", f"19={data}/unfreeze-0.npy"])


def test_a_network_of_histograms(data: Path, tmp_path: Path) -> None:
    layers = [{"conv1d": 8, "strides": 2}, "batch_normalization", "flatten", {"dense": 8}]
    pixels = LUNGS | {"reduce": "histogram"}
    train.main(arguments(data, tmp_path / "run", {"architecture": layers}, "all", pixels=pixels))
    predictions, _ = results(tmp_path / "run")
    images = np.load(data / "images.npy")[28:]
    counts = np.stack([np.bincount(image.ravel(), minlength=256) for image in images])
    counts[:, 0] = 0
    histograms = counts[..., None] / counts.max(axis=1)[:, None, None]
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    found = model.predict(histograms.astype("float32"), verbose=0)
    np.testing.assert_allclose(found, predictions[PROBABILITIES], atol=1e-5)
