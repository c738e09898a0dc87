"""Passes over batches: the numbers of Keras' own loops, on every backend."""

from collections.abc import Callable

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.backends import loops  # noqa: E402
from pulmoscan.training import loop  # noqa: E402


class Pairs(keras.utils.PyDataset):
    """Three batches of two tensors each, the last batch smaller than the others."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple:
        random = np.random.default_rng(index)
        number = 8 if index < 2 else 3
        shapes = (number, 4), (number, 2, 3)
        x = tuple(random.normal(size=shape).astype("float32") for shape in shapes)
        return x, random.integers(0, 3, number).astype("int32")


def test_passes_give_the_numbers_of_keras_own_loops() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("on other backends the passes are Keras' own loops")

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
