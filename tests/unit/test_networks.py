"""Whole networks, what a run trains of them, and where they are cut."""

from pathlib import Path

import numpy as np
import pytest
from pulmoscan import backbones, backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan import networks, training  # noqa: E402

HEAD = ["average_pooling", {"dense": 12}, {"dense": 6}, {"dropout": 0.2}]
LENET = [
    *({"conv2d": 16}, "max_pooling", {"conv2d": 32}, "max_pooling", {"conv2d": 64}, "max_pooling"),
    *({"dropout": 0.3}, "flatten", {"dense": 128}),
]
SMALL = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 64, "head": HEAD}
GREY = np.random.default_rng(0).uniform(0, 255, (6, 64, 64, 1)).astype("float32")


def numbers(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What a model gives in inference mode, without compiling it."""
    return keras.ops.convert_to_numpy(model(x, training=False))


def test_lenet_is_the_studys() -> None:
    model = networks.build({"architecture": LENET, "input_size": 256}, 4).model
    # Conv 16, 32, 64 with 3x3, three poolings, Dense 128 and 4: the count by hand.
    convolutions = 16 * (9 + 1) + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    assert model.count_params() == convolutions + 128 * (32 * 32 * 64 + 1) + 4 * 129
    assert model.get_layer("dropout").rate == 0.3
    assert model.layers[-1].name == "probabilities"
    assert model.layers[-2].name == "logits"


def test_backbone_is_flat_and_counted_as_keras_does() -> None:
    network = networks.build(SMALL, 4)
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
    extractor = backbones.feature_extractor(SMALL, tmp_path / "w.weights.h5")
    same_size = backbones.build("MobileNet", {"alpha": 0.25}, 64)
    same_size.set_weights(alone.get_weights())
    scaled = np.repeat(GREY, 3, axis=-1) / 127.5 - 1
    by_hand = numbers(same_size, scaled).mean(axis=(1, 2))
    np.testing.assert_allclose(numbers(extractor, GREY), by_hand, atol=1e-5)


def test_unfrozen_layers() -> None:
    network = networks.build(SMALL, 4)
    for unfreeze, number, first in (
        ("0", 0, "dense_1"),
        ("19", 19, "conv_dw_11"),
        ("50", 50, "conv_pad_6"),
        ("half", 43, "conv_dw_7"),
        ("all", 86, "grey"),
    ):
        layers = networks.trainable_layers(network, unfreeze)
        assert len(layers) == number + 5
        assert layers[0].name == first


def test_what_cannot_be_unfrozen() -> None:
    network = networks.build(SMALL, 4)
    for unfreeze in ("87", "-1", "some", "1.5", ""):
        with pytest.raises(ValueError, match=r"the backbone has 86 layers|0 to 86 layers"):
            networks.trainable_layers(network, unfreeze)


def test_lenet_has_nothing_to_freeze() -> None:
    network = networks.build({"architecture": LENET, "input_size": 32}, 2)
    networks.freeze(network, "all")
    assert networks.split(network)[0] is None
    with pytest.raises(ValueError, match="no pre-trained part, so it is 'all'"):
        networks.freeze(network, "0")


@pytest.mark.parametrize(
    ("name", "arguments", "unfreeze", "crossing"),
    [
        ("MobileNet", {"alpha": 0.25}, "0", 1),
        ("MobileNet", {"alpha": 0.25}, "19", 1),
        ("Xception", {}, "27", 2),  # the cut is at an Add
        ("ResNet50", {}, "25", 2),  # inside a residual block
    ],
)
def test_cut_network_gives_what_the_whole_gives(
    name: str, arguments: dict, unfreeze: str, crossing: int
) -> None:
    settings = {"backbone": name, "arguments": arguments, "input_size": 72, "head": HEAD}
    network = networks.build(settings, 3)
    networks.freeze(network, unfreeze)
    frozen, trained = networks.split(network)
    assert len(frozen.outputs) == crossing
    assert not frozen.trainable_weights
    shared = {id(weight) for weight in network.model.trainable_weights}
    assert {id(weight) for weight in trained.trainable_weights} == shared
    grey = np.random.default_rng(0).uniform(0, 255, (2, 72, 72, 1)).astype("float32")
    logits = numbers(networks.joined(network, frozen, trained), grey)
    crossed = frozen(grey, training=False)
    np.testing.assert_allclose(logits, numbers(trained, crossed), atol=1e-5)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    whole = numbers(network.model, grey)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), whole, atol=1e-6)


def test_training_the_cut_network_is_training_the_whole() -> None:
    labels = np.array([0, 1, 2] * 2)

    def trained_weights(cut: bool) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        network = networks.build(SMALL, 3)
        networks.freeze(network, "19")
        frozen, part = networks.split(network)
        before = [w.copy() for w in network.model.get_weights()]
        logits = keras.Model(network.model.input, network.model.get_layer("logits").output)
        model = networks.joined(network, frozen, part) if cut else logits
        training.compile_model(model, 1e-3, jit_compile=keras.backend.backend() == "jax")
        model.fit(GREY, labels, batch_size=3, shuffle=False, verbose=0)
        after = network.model.get_weights()
        moved = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert moved > 20
        return after

    for one, other in zip(trained_weights(True), trained_weights(False), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    network = networks.build(SMALL, 3)
    networks.freeze(network, "19")
    frozen, part = networks.split(network)
    model = networks.joined(network, frozen, part)
    statistics = network.model.get_layer("conv1_bn").get_weights()
    unfrozen = network.model.get_layer("conv_pw_13_bn").get_weights()
    training.compile_model(model, 1e-3, jit_compile=keras.backend.backend() == "jax")
    model.fit(GREY, np.zeros(6), verbose=0)
    for before, after in zip(
        statistics, network.model.get_layer("conv1_bn").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(
        unfrozen[2], network.model.get_layer("conv_pw_13_bn").get_weights()[2]
    )


def test_head_without_dense_layers_still_drops_out() -> None:
    settings = SMALL | {"head": ["average_pooling", {"dropout": 0.5}]}
    network = networks.build(settings, 3)
    networks.freeze(network, "0")
    frozen, part = networks.split(network)
    assert "dropout" in [layer.name for layer in part.layers]
    assert "dropout" not in [layer.name for layer in frozen.layers]


def test_weights_of_another_network_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    backbones.build("MobileNet", {"alpha": 0.5}, 64).save_weights(path)
    with pytest.raises(ValueError, match=r"does not hold weights of MobileNet .*0\.25") as error:
        backbones.load("MobileNet", {"alpha": 0.25}, path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="or is damaged"):
        backbones.load("MobileNet", {"alpha": 0.5}, path)


def test_layers_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="architecture: layer 1: no layer 'conv3d'") as error:
        networks.build({"architecture": [{"conv3d": 9}, "flatten"], "input_size": 32}, 2)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="head: a head begins with average_pooling or flatten"):
        networks.build(SMALL | {"head": [{"dense": 3}]}, 2)
