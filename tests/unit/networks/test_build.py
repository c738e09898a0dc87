"""Whole networks, and backbones without a head."""

from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.config import hyperparameters  # noqa: E402
from pulmoscan.networks import build  # noqa: E402
from small_networks import GREY, LENET, MOBILENET, dense_parameters, outputs  # noqa: E402


def test_lenet_is_that_of_the_study() -> None:
    model = build.build({"architecture": LENET, "input_size": 256}, 4).model
    # Conv 16, 32, 64 with 3x3, three poolings, Dense 128 and 4: the count by hand.
    convolutions = 16 * (9 + 1) + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    assert model.count_params() == convolutions + dense_parameters(32 * 32 * 64, 128, 4)
    assert [layer.name for layer in model.layers] == [
        *("grey", "preprocessing", "conv_1", "pool_1", "conv_2", "pool_2", "conv_3", "pool_3"),
        *("dropout", "flatten", "dense_1", "logits", "probabilities"),
    ]
    assert model.get_layer("dropout").rate == 0.3
    assert model.input_shape == (None, 256, 256, 1)
    assert {layer.activation.__name__ for layer in model.layers if "conv_" in layer.name} == {
        "relu"
    }


def test_lenet_with_the_hyperparameters_of_a_search() -> None:
    space = [
        *({"conv2d": "$filters_1", "kernel": 5}, "max_pooling", {"conv2d": "$filters_2"}),
        *("max_pooling", {"dropout": "$dropout_1"}, "flatten", {"dense": "$dense"}),
        {"dropout": "$dropout_2"},
    ]
    chosen = {"filters_1": 48, "filters_2": 16, "dropout_1": 0.1, "dense": 64, "dropout_2": 0.4}
    layers = hyperparameters.fill(space, chosen)
    model = build.build({"architecture": layers, "input_size": 256}, 4).model
    convolutions = 48 * (25 + 1) + 16 * (9 * 48 + 1)
    assert model.count_params() == convolutions + dense_parameters(64 * 64 * 16, 64, 4)
    assert [model.get_layer(f"dropout_{n}").rate for n in (1, 2)] == [0.1, 0.4]


def series(filters: int, kernel: int, activation: str = "relu") -> list:
    """A convolution of the study's networks on histograms, and the normalisation after it."""
    layer = {"conv1d": filters, "kernel": kernel, "strides": 2, "activation": activation}
    return [layer, "batch_normalization"]


@pytest.mark.parametrize(
    ("convolutions", "rest", "lengths"),
    [
        (  # made by hand
            [(32, 3), (64, 3), (128, 5), (256, 5)],
            [{"dense": n} for n in (256, 64, 128, 16)] + [{"dense": 8, "l2": 0.01}],
            [128, 64, 32, 16],
        ),
        (  # found by tuning; the three last dense layers with a tangent
            [(256, 3), (512, 3), (256, 5), (1024, 5, "tanh"), (128, 5), (32, 5)],
            [{"dense": 256}, {"dropout": 0.2}]
            + [{"dense": n, "activation": "tanh"} for n in (64, 512, 416, 288, 224)],
            [128, 64, 32, 16, 8, 4],
        ),
    ],
)
def test_networks_on_histograms(convolutions: list, rest: list, lengths: list[int]) -> None:
    layers = [entry for each in convolutions for entry in series(*each)] + ["flatten", *rest]
    network = build.build({"architecture": layers, "input_size": 64}, 2)
    model = network.model
    assert (model.input.name, model.input_shape) == ("histogram", (None, 256, 1))
    shapes = [model.get_layer(f"conv_{n + 1}").output.shape for n in range(len(convolutions))]
    assert shapes == [(None, n, c[0]) for n, c in zip(lengths, convolutions, strict=True)]
    channels = [1] + [c[0] for c in convolutions]
    by_hand = sum(
        (c[1] * n_in + 1) * c[0] + 4 * c[0]
        for n_in, c in zip(channels[:-1], convolutions, strict=True)
    )
    widths = [entry["dense"] for entry in rest if "dense" in entry]
    assert model.count_params() == by_hand + dense_parameters(
        lengths[-1] * channels[-1], *widths, 2
    )
    assert "preprocessing" not in [layer.name for layer in model.layers]
    assert model.output_shape == (None, 2)
    assert network.base == []
    assert [layer.name for layer in network.head] == [layer.name for layer in model.layers[1:]]


def test_more_poolings_than_there_is_room_for() -> None:
    layers = [{"conv2d": 4}, *["max_pooling"] * 6, "flatten"]
    with pytest.raises(ValueError, match="pool_6 on a tensor of 1 x 1 x 4") as error:
        build.build({"architecture": layers, "input_size": 32}, 2)
    assert "\n" not in str(error.value)


def test_backbone_is_flat_and_counted_as_keras_does() -> None:
    network = build.build(MOBILENET, 4)
    assert not any(isinstance(layer, keras.Model) for layer in network.model.layers)
    alone = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    assert len(network.base) == len(alone.layers) == 86
    assert [layer.name for layer in network.base[1:]] == [layer.name for layer in alone.layers[1:]]
    assert [layer.name for layer in network.head] == [
        "dense_1",
        "dense_2",
        "dropout",
        "logits",
        "probabilities",
    ]


def test_output_is_that_of_the_backbone_by_hand(tmp_path: Path) -> None:
    alone = backbones.build("MobileNet", {"alpha": 0.25}, 224)
    alone.save_weights(tmp_path / "w.weights.h5")
    network = build.build(MOBILENET, 4, tmp_path / "w.weights.h5")
    pooled = keras.Model(network.model.input, network.model.get_layer("pooled").output)
    same_size = backbones.build("MobileNet", {"alpha": 0.25}, 64)
    same_size.set_weights(alone.get_weights())
    scaled = np.repeat(GREY, 3, axis=-1) / 127.5 - 1
    by_hand = outputs(same_size, scaled).mean(axis=(1, 2))
    np.testing.assert_allclose(outputs(pooled, GREY), by_hand, atol=1e-5)


@pytest.mark.parametrize(("joint", "last"), [("average_pooling", "pooled"), ("flatten", None)])
def test_a_features_network_ends_in_what_the_head_takes(
    tmp_path: Path, joint: str, last: str | None
) -> None:
    settings = MOBILENET | {"head": [joint, *MOBILENET["head"][1:]]}
    backbones.build("MobileNet", {"alpha": 0.25}, 64).save_weights(tmp_path / "w.weights.h5")
    whole = build.build(settings, 4, tmp_path / "w.weights.h5")
    network = build.features_network(settings, tmp_path / "w.weights.h5")
    assert network.head == []
    assert [layer.name for layer in network.base] == [layer.name for layer in whole.base]
    last = last or whole.base[-1].name
    assert network.model.layers[-1].name == last
    same = keras.Model(whole.model.input, whole.model.get_layer(last).output)
    np.testing.assert_array_equal(outputs(network.model, GREY), outputs(same, GREY))


def test_a_network_has_the_precision_that_was_set() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        settings = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 32}
        network = build.build(settings | {"head": ["average_pooling", {"dense": 4}]}, 3)
    finally:
        keras.config.set_dtype_policy(policy)
    computes = {layer.name: layer.compute_dtype for layer in network.model.layers}
    assert computes["conv1"] == computes["dense_1"] == "bfloat16"
    assert computes["preprocessing"] == computes["logits"] == "float32"
    assert {weight.dtype for weight in network.model.weights} == {"float32"}
