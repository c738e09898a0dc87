"""What a run trains of a network, and where the network is cut."""

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.networks import build, cut  # noqa: E402
from pulmoscan.training import loop  # noqa: E402
from small_networks import (  # noqa: E402
    GREY,
    HEAD,
    LENET,
    MOBILENET,
    dense_parameters,
    outputs,
)


def test_unfrozen_layers() -> None:
    network = build.build(MOBILENET, 4)
    for unfreeze, number, first in (
        ("0", 0, "dense_1"),
        ("19", 19, "conv_dw_11"),
        ("50", 50, "conv_pad_6"),
        ("half", 43, "conv_dw_7"),
        ("all", 86, "grey"),
    ):
        layers = cut.trainable_layers(network, unfreeze)
        assert len(layers) == number + 5
        assert layers[0].name == first


def test_lenet_has_nothing_to_freeze() -> None:
    network = build.build({"architecture": LENET, "input_size": 32}, 2)
    cut.freeze(network, "all")
    frozen, trained = cut.cut(network)
    assert frozen is None
    assert cut.crossing(frozen) == []
    assert cut.joined(network, frozen, trained) is trained
    assert cut.first_trained(network) == "conv_1"


def test_flattened_backbone() -> None:
    """The head of the study's ResNet152V2 on three classes, on a small backbone."""
    head = ["flatten", {"dense": 128}, {"dense": 32}, {"dropout": 0.2}, {"dense": 16}]
    network = build.build(MOBILENET | {"head": head}, 3)
    cut.freeze(network, "0")
    names = [layer.name for layer in network.model.layers]
    assert names[-7:-2] == ["flatten", "dense_1", "dense_2", "dropout", "dense_3"]
    assert "pooled" not in names
    # 64 px end in 2 x 2 maps of 1024 / 4 channels.
    count = sum(int(np.prod(weight.shape)) for weight in network.model.trainable_weights)
    assert count == dense_parameters(2 * 2 * 256, 128, 32, 16, 3)
    frozen, trained = cut.cut(network)
    assert [tensor.shape for tensor in frozen.outputs] == [(None, 2, 2, 256)]
    assert trained.layers[1].name == "flatten"
    crossed = frozen(GREY, training=False)
    whole = outputs(
        keras.Model(network.model.input, network.model.get_layer("logits").output), GREY
    )
    np.testing.assert_allclose(outputs(trained, crossed), whole, atol=1e-6)


def test_layers_that_train() -> None:
    network = build.build(MOBILENET, 4)
    cut.freeze(network, "19")
    alone = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    with_weights = [layer.name for layer in alone.layers[-19:] if layer.weights]
    assert cut.trained_layers(network) == [*with_weights, "dense_1", "dense_2", "logits"]
    assert cut.first_trained(network) == "conv_dw_11"
    cut.freeze(network, "all")
    assert cut.first_trained(network) == "conv1"
    cut.freeze(network, "0")
    assert cut.trained_layers(network) == ["dense_1", "dense_2", "logits"]


@pytest.mark.parametrize(
    ("name", "size", "unfreeze", "first", "crossing"),
    [
        ("VGG16", 32, "4", "block5_conv1", ["block4_pool"]),
        ("VGG19", 32, "half", "block4_conv1", ["block3_pool"]),
        # Inside a residual block the shortcut crosses too; between two blocks it does not.
        ("ResNet50V2", 32, "21", "conv5_block2_1_bn", ["conv5_block1_out", "conv5_block2_1_conv"]),
        ("ResNet50V2", 32, "24", "conv5_block2_preact_bn", ["conv5_block1_out"]),
        ("DenseNet121", 32, "51", "conv5_block10_0_bn", ["conv5_block9_concat"]),
        (
            *("DenseNet121", 32, "48", "conv5_block10_1_bn"),
            ["conv5_block10_1_conv", "conv5_block9_concat"],
        ),
        ("MobileNet", 32, "0", "dense_1", ["pooled"]),
        ("MobileNet", 32, "1", "dense_1", ["pooled"]),  # a ReLU: nothing to train in it
        ("MobileNet", 32, "19", "conv_dw_11", ["conv_pw_10_relu"]),
        ("Xception", 72, "27", "block12_sepconv1", ["add_9", "block12_sepconv1_act"]),
        # It computes with operations that are not layers.
        (
            *("MobileNetV3Small", 32, "22", "expanded_conv_9_project"),
            ["expanded_conv_8_project_bn", "expanded_conv_9_squeeze_excite_mul"],
        ),
        # Its stem and its downsampling blocks are networks inside the network.
        (
            *("ConvNeXtTiny", 32, "20", "convnext_tiny_stage_3_block_0_pointwise_conv_1"),
            ["convnext_tiny_downsampling_block_2", "convnext_tiny_stage_3_block_0_layernorm"],
        ),
    ],
)
def test_cut_network_gives_what_the_whole_gives(
    name: str, size: int, unfreeze: str, first: str, crossing: list[str]
) -> None:
    keras.utils.set_random_seed(0)
    settings = {"backbone": name, "input_size": size, "head": HEAD}
    network = build.build(settings, 3)
    grey = np.random.default_rng(0).uniform(0, 255, (8, size, size, 1)).astype("float32")
    grey *= np.linspace(0.1, 1, 8, dtype="float32").reshape(8, 1, 1, 1)
    take_statistics(network.model, grey)
    cut.freeze(network, unfreeze)
    assert cut.first_trained(network) == first
    frozen, trained = cut.cut(network)
    assert sorted(tensor["layer"] for tensor in cut.crossing(frozen)) == crossing
    assert not frozen.trainable_weights
    shared = {id(weight) for weight in network.model.trainable_weights}
    assert {id(weight) for weight in trained.trainable_weights} == shared
    logits = network.model.get_layer("logits").output
    whole = outputs(keras.Model(network.model.input, logits), grey)
    spread = whole.std(axis=0).min()
    assert spread > 1e-4  # else everything would be equal to everything
    crossed = frozen(grey, training=False)
    np.testing.assert_allclose(outputs(trained, crossed), whole, atol=spread / 100)
    joined = cut.joined(network, frozen, trained)
    np.testing.assert_allclose(outputs(joined, grey), whole, atol=spread / 100)


def take_statistics(model: keras.Model, x: np.ndarray) -> None:
    """Give every batch normalisation the statistics of these images.

    Without them, all images have very nearly the same logits after random weights.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)


def test_training_the_cut_network_is_training_the_whole() -> None:
    labels = np.array([0, 1, 2] * 2)

    def trained_weights(behind_cut: bool) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        network = build.build(MOBILENET, 3)
        cut.freeze(network, "19")
        frozen, part = cut.cut(network)
        before = [w.copy() for w in network.model.get_weights()]
        logits = keras.Model(network.model.input, network.model.get_layer("logits").output)
        model = cut.joined(network, frozen, part) if behind_cut else logits
        loop.compile_model(model, 1e-3, jit_compile=keras.backend.backend() == "jax")
        model.fit(GREY, labels, batch_size=3, shuffle=False, verbose=0)
        after = network.model.get_weights()
        moved = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert moved > 20
        return after

    for one, other in zip(trained_weights(True), trained_weights(False), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    network = build.build(MOBILENET, 3)
    cut.freeze(network, "19")
    frozen, part = cut.cut(network)
    model = cut.joined(network, frozen, part)
    statistics = network.model.get_layer("conv1_bn").get_weights()
    unfrozen = network.model.get_layer("conv_pw_13_bn").get_weights()
    loop.compile_model(model, 1e-3, jit_compile=keras.backend.backend() == "jax")
    model.fit(GREY, np.zeros(6), verbose=0)
    for before, after in zip(
        statistics, network.model.get_layer("conv1_bn").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(
        unfrozen[2], network.model.get_layer("conv_pw_13_bn").get_weights()[2]
    )


def test_head_without_dense_layers_still_drops_out() -> None:
    settings = MOBILENET | {"head": ["average_pooling", {"dropout": 0.5}]}
    network = build.build(settings, 3)
    cut.freeze(network, "0")
    frozen, part = cut.cut(network)
    assert "dropout" in [layer.name for layer in part.layers]
    assert "dropout" not in [layer.name for layer in frozen.layers]


@pytest.mark.parametrize("unfreeze", ["0", "1", "19", "half", "all"])
@pytest.mark.parametrize("joint", ["average_pooling", "flatten"])
def test_the_frozen_part_is_the_same_without_a_head(joint: str, unfreeze: str) -> None:
    settings = MOBILENET | {"head": [joint, {"dense": 4}]}
    whole, headless = build.build(settings, 3), build.features_network(settings)
    for network in (whole, headless):
        cut.freeze(network, unfreeze)
    frozen, _ = cut.cut(whole)
    part = cut.frozen_part(headless)
    assert cut.crossing(part) == cut.crossing(frozen)
    assert (part is None) == (unfreeze == "all")
    if part is not None:
        assert [layer.name for layer in part.layers] == [layer.name for layer in frozen.layers]
        assert not part.trainable_weights
    in_backbone = cut.first_trained(headless)
    assert cut.first_trained(whole) == (in_backbone or "dense_1")
    assert (in_backbone is None) == (unfreeze in ("0", "1"))
