"""Whole networks, what a run trains of them, and where they are cut."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.config import hyperparameters  # noqa: E402
from pulmoscan.networks import build, cut  # noqa: E402
from pulmoscan.training import loop  # noqa: E402

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


def dense(*widths: int) -> int:
    """Parameters of dense layers between these widths."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(widths))


def test_lenet_is_the_studys() -> None:
    model = build.build({"architecture": LENET, "input_size": 256}, 4).model
    # Conv 16, 32, 64 with 3x3, three poolings, Dense 128 and 4: the count by hand.
    convolutions = 16 * (9 + 1) + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    assert model.count_params() == convolutions + dense(32 * 32 * 64, 128, 4)
    assert [layer.name for layer in model.layers] == [
        *("grey", "preprocessing", "conv_1", "pool_1", "conv_2", "pool_2", "conv_3", "pool_3"),
        *("dropout", "flatten", "dense_1", "logits", "probabilities"),
    ]
    assert model.get_layer("dropout").rate == 0.3
    assert model.input_shape == (None, 256, 256, 1)
    assert {layer.activation.__name__ for layer in model.layers if "conv_" in layer.name} == {
        "relu"
    }


def test_tuned_lenet() -> None:
    space = [
        *({"conv2d": "$filters_1", "kernel": 5}, "max_pooling", {"conv2d": "$filters_2"}),
        *("max_pooling", {"dropout": "$dropout_1"}, "flatten", {"dense": "$dense"}),
        {"dropout": "$dropout_2"},
    ]
    chosen = {"filters_1": 48, "filters_2": 16, "dropout_1": 0.1, "dense": 64, "dropout_2": 0.4}
    layers = hyperparameters.fill(space, chosen)
    model = build.build({"architecture": layers, "input_size": 256}, 4).model
    convolutions = 48 * (25 + 1) + 16 * (9 * 48 + 1)
    assert model.count_params() == convolutions + dense(64 * 64 * 16, 64, 4)
    assert [model.get_layer(f"dropout_{n}").rate for n in (1, 2)] == [0.1, 0.4]
    with pytest.raises(ValueError, match=r"conv_1: conv2d is \$filters_1"):
        build.build({"architecture": space, "input_size": 256}, 4)


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
    assert model.count_params() == by_hand + dense(lengths[-1] * channels[-1], *widths, 2)
    assert "preprocessing" not in [layer.name for layer in model.layers]
    assert model.output_shape == (None, 2)
    cut.freeze(network, "all")
    assert cut.cut(network)[0] is None
    assert cut.first_trained(network) == "conv_1"


def test_no_room_for_so_many_poolings() -> None:
    layers = [{"conv2d": 4}, *["max_pooling"] * 6, "flatten"]
    with pytest.raises(ValueError, match="pool_6 on a tensor of 1 x 1 x 4") as error:
        build.build({"architecture": layers, "input_size": 32}, 2)
    assert "\n" not in str(error.value)


def test_backbone_is_flat_and_counted_as_keras_does() -> None:
    network = build.build(SMALL, 4)
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
    network = build.build(SMALL, 4, tmp_path / "w.weights.h5")
    cut.freeze(network, "0")
    frozen, _ = cut.cut(network)
    same_size = backbones.build("MobileNet", {"alpha": 0.25}, 64)
    same_size.set_weights(alone.get_weights())
    scaled = np.repeat(GREY, 3, axis=-1) / 127.5 - 1
    by_hand = numbers(same_size, scaled).mean(axis=(1, 2))
    np.testing.assert_allclose(numbers(frozen, GREY), by_hand, atol=1e-5)


def test_unfrozen_layers() -> None:
    network = build.build(SMALL, 4)
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


def test_what_cannot_be_unfrozen() -> None:
    network = build.build(SMALL, 4)
    for unfreeze in ("87", "-1", "some", "1.5", ""):
        with pytest.raises(ValueError, match=r"the backbone has 86 layers|0 to 86 layers"):
            cut.trainable_layers(network, unfreeze)


def test_lenet_has_nothing_to_freeze() -> None:
    network = build.build({"architecture": LENET, "input_size": 32}, 2)
    cut.freeze(network, "all")
    assert cut.cut(network)[0] is None
    with pytest.raises(ValueError, match="no pre-trained part, so it is 'all'"):
        cut.freeze(network, "0")


def test_flattened_backbone() -> None:
    """The head of the study's ResNet152V2 on three classes, on a small backbone."""
    head = ["flatten", {"dense": 128}, {"dense": 32}, {"dropout": 0.2}, {"dense": 16}]
    network = build.build(SMALL | {"head": head}, 3)
    cut.freeze(network, "0")
    names = [layer.name for layer in network.model.layers]
    assert names[-7:-2] == ["flatten", "dense_1", "dense_2", "dropout", "dense_3"]
    assert "pooled" not in names
    # 64 px end in 2 x 2 maps of 1024 / 4 channels.
    count = sum(int(np.prod(weight.shape)) for weight in network.model.trainable_weights)
    assert count == dense(2 * 2 * 256, 128, 32, 16, 3)
    frozen, trained = cut.cut(network)
    assert [tensor.shape for tensor in frozen.outputs] == [(None, 2, 2, 256)]
    assert trained.layers[1].name == "flatten"
    crossed = frozen(GREY, training=False)
    whole = numbers(
        keras.Model(network.model.input, network.model.get_layer("logits").output), GREY
    )
    np.testing.assert_allclose(numbers(trained, crossed), whole, atol=1e-6)


def test_layers_that_train() -> None:
    network = build.build(SMALL, 4)
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
    made_by = {id(layer.output): layer.name for layer in network.model.layers}
    assert sorted(made_by[id(tensor)] for tensor in frozen.outputs) == crossing
    assert not frozen.trainable_weights
    shared = {id(weight) for weight in network.model.trainable_weights}
    assert {id(weight) for weight in trained.trainable_weights} == shared
    logits = network.model.get_layer("logits").output
    whole = numbers(keras.Model(network.model.input, logits), grey)
    spread = whole.std(axis=0).min()
    assert spread > 1e-4  # else everything would be equal to everything
    crossed = frozen(grey, training=False)
    np.testing.assert_allclose(numbers(trained, crossed), whole, atol=spread / 100)
    joined = cut.joined(network, frozen, trained)
    np.testing.assert_allclose(numbers(joined, grey), whole, atol=spread / 100)


def take_statistics(model: keras.Model, x: np.ndarray) -> None:
    """Give every batch normalisation the statistics of these images.

    Behind random weights without them, all images have very nearly the same logits.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)


def test_training_the_cut_network_is_training_the_whole() -> None:
    labels = np.array([0, 1, 2] * 2)

    def trained_weights(behind_cut: bool) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        network = build.build(SMALL, 3)
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
    network = build.build(SMALL, 3)
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
    settings = SMALL | {"head": ["average_pooling", {"dropout": 0.5}]}
    network = build.build(settings, 3)
    cut.freeze(network, "0")
    frozen, part = cut.cut(network)
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
        build.build({"architecture": [{"conv3d": 9}, "flatten"], "input_size": 32}, 2)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="head: a head begins with average_pooling or flatten"):
        build.build(SMALL | {"head": [{"dense": 3}]}, 2)


def test_a_network_has_the_precision_that_was_set():
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
