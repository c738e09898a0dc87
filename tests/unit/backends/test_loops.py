"""The passes and the gradients that every backend must give alike."""

from collections.abc import Callable

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.backends import loops  # noqa: E402
from pulmoscan.training import loop  # noqa: E402


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
    gradients = loops.score_gradients(model, maps, targets)
    assert gradients.shape == maps.shape
    assert gradients.dtype == np.float32
    np.testing.assert_allclose(
        gradients, np.broadcast_to(by_hand[:, None, None], maps.shape), atol=1e-6
    )


def test_gradients_follow_changed_weights_and_any_batch() -> None:
    keras.utils.set_random_seed(0)
    model = small_model()
    maps = np.ones((3, 4, 4, 3), "float32")
    before = loops.score_gradients(model, maps, np.zeros(3))
    model.set_weights([2 * w for w in model.get_weights()])
    after = loops.score_gradients(model, maps[:2], np.zeros(2))
    assert not np.allclose(before[:2], after)


class Pairs(keras.utils.PyDataset):
    """Three batches of two tensors, the last of them shorter."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple:
        random = np.random.default_rng(index)
        number = 8 if index < 2 else 3
        shapes = (number, 4), (number, 2, 3)
        x = tuple(random.normal(size=shape).astype("float32") for shape in shapes)
        return x, random.integers(0, 3, number).astype("int32")


def test_passes_over_batches_give_the_numbers_of_keras_own_loop() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("on other backends the passes are Keras' own loop")

    def both(kind: Callable) -> tuple:
        keras.utils.set_random_seed(0)
        inputs = [keras.Input((4,)), keras.Input((2, 3))]
        x = keras.layers.Concatenate()([inputs[0], keras.layers.Flatten()(inputs[1])])
        x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, "relu", kernel_regularizer="l2")(x))
        x = keras.layers.BatchNormalization()(x)
        model = keras.Model(inputs, keras.layers.Dense(3)(x))
        loop.compile_model(model, 0.01, jit_compile=False)
        steps = kind(model)
        found = [one(Pairs()) for _ in range(2) for one in (steps.fit, steps.evaluate)]
        return found, steps.predict(Pairs()), model.get_weights()

    own, predicted, weights = both(loops.steps)
    by_keras, expected, other = both(loops.Steps)
    for one, two in zip(own, by_keras, strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)
    for one, two in zip(weights, other, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
