"""Lists of layers: how wrong ones are reported, and what valid ones compute."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.networks import layers  # noqa: E402

CONV = {"conv2d": 8}


@pytest.mark.parametrize(
    ("entries", "head"),
    [
        (["average_pooling"], True),
        (["flatten", {"dense": 128}, "batch_normalization", {"dropout": 0}, {"dense": 0}], True),
        (["average_pooling", {"dense": "$units", "activation": "$word"}, {"dropout": "$x"}], True),
        ([CONV, "max_pooling", {"dropout": 0.3}, "batch_normalization", "flatten"], False),
        ([{"conv1d": 8, "kernel": 5, "strides": 2, "activation": "tanh"}, "flatten"], False),
        (["flatten", {"dense": 8, "l2": 0.01}], False),
    ],
)
def test_valid_lists(entries: list, head: bool) -> None:
    assert layers.problems(entries, head) == []


@pytest.mark.parametrize(
    ("entries", "head", "line"),
    [
        # The form that heads once had.
        ({"dense": [128], "dropout": 0.2}, True, "is not a list of layers, such as [average_pool"),
        ("flatten", True, "'flatten' is not a list of layers"),
        (None, True, "None is not a list of layers"),
        ([], True, "a head begins with average_pooling, global_max_pooling, flatten or max"),
        (
            [{"dense": 8}],
            True,
            "a head begins with average_pooling, global_max_pooling, flatten or max",
        ),
        (["flatten", CONV], True, "layer 2: conv2d after flatten, where only dense, dropout"),
        (["flatten", "max_pooling"], True, "layer 2: max_pooling after flatten"),
        (["average_pooling", "flatten"], True, "layer 2: flatten after average_pooling"),
        (
            [CONV],
            False,
            "no average_pooling, global_max_pooling or flatten: one of them goes between",
        ),
        ([CONV, {"dense": 8}, "flatten"], False, "layer 2: dense goes after flatten"),
        ([CONV, {"conv1d": 8}, "flatten"], False, "conv1d and conv2d in one network"),
        ([CONV, "flatten", "max_pooling"], False, "layer 3: max_pooling after flatten"),
        # Words and kinds.
        (
            ["averag_pooling"],
            True,
            "layer 1: no layer 'averag_pooling': did you mean 'average_pool",
        ),
        (
            ["flatten", {"dens": 8}],
            True,
            "layer 2: no layer 'dens': did you mean 'dense'? There are",
        ),
        (["flatten", {"gru": 8}], True, "layer 2: no layer 'gru': There are conv1d, conv2d, dense"),
        (["flatten", "dense"], True, "layer 2: dense needs a value, as in {dense: 32}"),
        (["flatten", "$units"], True, "layer 2: $units stands for a value, not for a layer"),
        ([{"flatten": None}], True, "layer 1: flatten is a word without a value or options"),
        (["flatten", 128], True, "layer 2: 128 is neither a word nor a mapping"),
        (["flatten", {}], True, "layer 2: an empty mapping; the layers are conv1d"),
        (
            ["flatten", {"dense": 8, "dropout": 0.1}],
            True,
            "layer 2: dense and dropout are two layers",
        ),
        # Options and values.
        (
            ["flatten", {"dense": 8, "actvation": "relu"}],
            True,
            "did you mean 'activation'? There are",
        ),
        (["flatten", {"dropout": 0.1, "l2": 1}], True, "layer 2: dropout takes no 'l2'"),
        (["flatten", {"dense": -1}], True, "layer 2: dense is -1: expected a whole number of 0 or"),
        (["flatten", {"dense": 12.5}], True, "layer 2: dense is 12.5: expected a whole number"),
        (["flatten", {"dense": True}], True, "layer 2: dense is True: expected a whole number"),
        (["flatten", {"dense": [8]}], True, "layer 2: dense is [8]: expected a whole number"),
        (["flatten", {"dense": "$"}], True, "layer 2: dense is '$': expected a whole number"),
        (
            ["flatten", {"dropout": 1}],
            True,
            "layer 2: dropout is 1: expected a number from 0 to less",
        ),
        (
            ["flatten", {"dropout": float("nan")}],
            True,
            "layer 2: dropout is nan: expected a number",
        ),
        (["flatten", {"dense": 8, "l2": -1}], True, "layer 2: l2 is -1: expected a number of 0 or"),
        (
            ["flatten", {"dense": 8, "activation": "sofmax"}],
            True,
            "expected one of relu, tanh, sig",
        ),
        (
            [{"conv2d": 0}, "flatten"],
            False,
            "layer 1: conv2d is 0: expected a whole number of 1 or",
        ),
        ([{"conv2d": 8, "kernel": 0}, "flatten"], False, "layer 1: kernel is 0: expected a whole"),
        (
            [{"conv1d": 8, "strides": 0}, "flatten"],
            False,
            "layer 1: strides is 0: expected a whole",
        ),
    ],
)
def test_wrong_lists(entries: object, head: bool, line: str) -> None:
    (problem,) = layers.problems(entries, head)
    assert line in problem
    assert "\n" not in problem


def test_all_wrong_entries_are_reported() -> None:
    entries = ["flatten", {"dense": -1, "l2": -1}, "droput"]
    assert [line[:7] for line in layers.problems(entries, True)] == ["layer 2"] * 2 + ["layer 3"]


def test_histograms_are_for_series() -> None:
    assert layers.takes_histograms(["batch_normalization", {"conv1d": 8}, "flatten"])
    assert not layers.takes_histograms([CONV, "flatten", {"dense": 8}])


def test_modules_that_the_snakefile_imports_load_nothing_slow() -> None:
    code = """
import sys
from pulmoscan.config import hyperparameters, models
from pulmoscan.inputs import pixels
from pulmoscan.networks import backbones, classifiers, layers
print(*{"keras", "tensorflow", "sklearn", "scipy", "matplotlib"} & sys.modules.keys())
"""
    scripts = Path(layers.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(layers)
    assert result.attempted >= 5
    assert not result.failed


def network(shape: tuple[int, ...], entries: list) -> keras.Model:
    keras.backend.clear_session()
    x = keras.Input(shape)
    return keras.Model(x, layers.apply(x, entries))


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers[1:]]


def test_names_count_each_kind() -> None:
    entries = [CONV, "batch_normalization", "max_pooling", CONV, "batch_normalization"]
    entries += [{"dropout": 0.1}, "average_pooling", {"dense": 3}, {"dense": 3}, {"dropout": 0.2}]
    assert names(network((8, 8, 1), entries)) == [
        *("conv_1", "normalization_1", "pool_1", "conv_2", "normalization_2", "dropout_1"),
        *("pooled", "dense_1", "dense_2", "dropout_2"),
    ]


def test_layers_of_size_0_are_left_out() -> None:
    with_0 = ["flatten", {"dropout": 0}, {"dense": 0}, {"dense": 5}, {"dropout": 0.2}, {"dense": 0}]
    without = ["flatten", {"dense": 5}, {"dropout": 0.2}]
    model = network((4, 4, 2), with_0)
    assert names(model) == names(network((4, 4, 2), without)) == ["flatten", "dense_1", "dropout"]
    assert model.count_params() == (4 * 4 * 2 + 1) * 5


@pytest.mark.parametrize("shape", [(6, 4, 3), (10, 3)])
def test_joints(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    axes = tuple(range(1, x.ndim - 1))
    for joint, expected in (("average_pooling", x.mean(axes)), ("flatten", x.reshape(2, -1))):
        found = keras.ops.convert_to_numpy(network(shape, [joint])(x))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_dense_layer_is_what_its_options_say() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
    model = network((2, 3), ["flatten", {"dense": 4, "activation": "tanh", "l2": 0.5}])
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.weights)
    expected = np.tanh(x.reshape(5, 6) @ kernel + bias)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), expected, atol=1e-6)
    penalty = sum(float(loss) for loss in model.losses)
    assert penalty == pytest.approx(0.5 * float((kernel**2).sum()), rel=1e-5)


def test_convolution_of_a_series_by_hand() -> None:
    x = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    model = network((9, 3), [{"conv1d": 4, "kernel": 5, "strides": 2}, "max_pooling", "flatten"])
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.weights)
    # Same padding: 5 steps of 2 over 9 values need 4 * 2 + 5 = 13 of them, 2 on either side.
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    steps = np.stack([padded[:, 2 * n : 2 * n + 5] for n in range(5)], axis=1)
    convolved = np.maximum(np.einsum("ntkc,kcf->ntf", steps, kernel) + bias, 0)
    pooled = np.maximum(convolved[:, 0:4:2], convolved[:, 1:4:2])  # the fifth has no partner
    found = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(found, pooled.reshape(2, -1), atol=1e-5)


def test_images_halve_in_poolings_and_keep_their_size_in_convolutions() -> None:
    model = network((9, 7, 1), [{"conv2d": 4, "kernel": 5}, "max_pooling", "flatten"])
    assert model.get_layer("conv_1").output.shape == (None, 9, 7, 4)
    assert model.get_layer("pool_1").output.shape == (None, 4, 3, 4)
    assert model.count_params() == (5 * 5 + 1) * 4


def test_no_room_for_a_layer() -> None:
    with pytest.raises(ValueError, match="pool_2 on a tensor of 1 x 1 x 1") as error:
        network((2, 2, 1), ["max_pooling", "max_pooling", "flatten"])
    assert "\n" not in str(error.value)
