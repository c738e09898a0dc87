"""Gradients of scores: those of the chain rule, on every backend."""

import numpy as np
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.backends import gradients  # noqa: E402


def small_model() -> keras.Model:
    maps = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    hidden = keras.layers.Dense(5, activation="tanh")(pooled)
    return keras.Model(maps, keras.layers.Dense(3)(hidden))


def test_gradients_equal_the_chain_rule_by_hand() -> None:
    keras.utils.set_random_seed(0)
    model = small_model()
    maps = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype("float32")
    targets = np.array([0, 1, 2, 2, 1, 0])
    w1, b1, w2, _ = model.get_weights()
    hidden = np.tanh(maps.mean(axis=(1, 2)) @ w1 + b1)
    by_hand = ((1 - hidden**2) * w2[:, targets].T) @ w1.T / 16
    found = gradients.score_gradients(model, maps, targets)
    assert found.shape == maps.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, np.broadcast_to(by_hand[:, None, None], maps.shape), atol=1e-6
    )


def test_gradients_follow_changed_weights_and_any_batch() -> None:
    keras.utils.set_random_seed(0)
    model = small_model()
    maps = np.ones((3, 4, 4, 3), "float32")
    before = gradients.score_gradients(model, maps, np.zeros(3))
    model.set_weights([2 * w for w in model.get_weights()])
    after = gradients.score_gradients(model, maps[:2], np.zeros(2))
    assert not np.allclose(before[:2], after)
