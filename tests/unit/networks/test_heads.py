"""Heads on a tensor, and heads by themselves on cached features."""

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.networks import build, cut, heads  # noqa: E402
from small_networks import MOBILENET, outputs  # noqa: E402

POOLED = {"layer": "pooled", "shape": [5]}
MAPS = {"layer": "conv_pw_13_relu", "shape": [2, 2, 5]}


@pytest.mark.parametrize("joint", ["average_pooling", "flatten"])
def test_a_head_on_features_is_what_is_cut_off_the_whole_network(joint: str) -> None:
    head = [joint, {"dense": 8, "activation": "tanh"}, {"dropout": 0.2}, {"dense": 4}]
    network = build.build(MOBILENET | {"head": head}, 3)
    cut.freeze(network, "0")
    frozen, trained = cut.cut(network)
    model = heads.on_features(head, cut.crossing(frozen), 3)
    model.set_weights(trained.get_weights())
    x = np.random.default_rng(0).normal(size=(5, *trained.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(outputs(model, x), outputs(trained, [x]))
    assert [layer.name for layer in model.layers[1:]] == [
        layer.name for layer in trained.layers[1:]
    ]


def test_layers_draw_their_initial_weights_in_order() -> None:
    """Another order gives other weights for the same seed, and so other results."""
    keras.utils.set_random_seed(3)
    dense, logits = keras.layers.Dense(8), keras.layers.Dense(2)
    dense.build((None, 5))
    logits.build((None, 8))
    keras.utils.set_random_seed(3)
    model = heads.on_features(["average_pooling", {"dense": 8}], [POOLED], 2)
    expected = dense.get_weights() + logits.get_weights()
    for one, other in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("joint", "tensors", "message"),
    [
        ("flatten", [POOLED], "output of pooled, but the head begins with flatten"),
        ("average_pooling", [MAPS], "conv_pw_13_relu, but the head begins with average_pooling"),
        ("flatten", [MAPS, MAPS], "output of conv_pw_13_relu, conv_pw_13_relu, but"),
    ],
)
def test_features_of_another_head_are_refused(
    joint: str, tensors: list[dict], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        heads.on_features([joint, {"dense": 8}], tensors, 2)
