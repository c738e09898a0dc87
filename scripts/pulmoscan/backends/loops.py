"""Passes of a network over batches: training for one epoch, evaluating, predicting.

Keras' own loops compute the same. These exist for TensorFlow, where a small network finishes a pass
before Keras has prepared it.
"""

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


class Steps:
    """Passes over batches of a compiled model whose frozen layers stay the same."""

    def __init__(self, model: "keras.Model") -> None:
        self.model = model

    def fit(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        """Train for one epoch; return the mean ``loss`` and metrics over its batches."""
        found = self.model.fit(batches, shuffle=False, verbose=0).history
        return {key: float(values[0]) for key, values in found.items()}

    def evaluate(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        """Return the mean ``loss`` and metrics."""
        found = self.model.evaluate(batches, return_dict=True, verbose=0)
        return {key: float(value) for key, value in found.items()}

    def predict(self, batches: "keras.utils.PyDataset") -> np.ndarray:
        """Return the model's outputs for all batches, concatenated in their order."""
        return np.asarray(self.model.predict(batches, verbose=0))


class _TensorflowSteps(Steps):
    """The same numbers with less overhead.

    Keras' own loop wraps the batches in a new `tf.data` pipeline in every epoch, and its functions
    are traced twice, because its metrics create their variables during the first trace. For a small
    head that is most of the time. Here functions are traced once, for batches of any length.
    """

    def __init__(self, model: "keras.Model") -> None:
        import tensorflow as tf

        super().__init__(model)
        labels, outputs = np.zeros(1, np.int32), np.zeros((1, *model.output_shape[1:]), np.float32)
        model.compute_loss(None, labels, outputs)  # these two create the metrics' variables
        model.compute_metrics(None, labels, outputs)
        inputs = tuple(tf.TensorSpec(tensor.shape, tf.float32) for tensor in model.inputs)
        x = inputs if len(inputs) > 1 else inputs[0]
        y = tf.TensorSpec((None,), tf.int32)

        def compiled(step: Any, *signature: Any) -> Any:
            function = tf.function(
                step, input_signature=signature, autograph=False, jit_compile=model.jit_compile
            )

            @functools.cache
            def traced() -> Any:
                # Traced by a call, the functions of all models would count as one that is traced
                # again and again, which TensorFlow warns of.
                function.get_concrete_function()
                return function

            return traced

        self._train = compiled(lambda x, y: model.train_step((x, y)), x, y)
        self._test = compiled(lambda x, y: model.test_step((x, y)), x, y)
        self._predict = compiled(lambda x: model.predict_step((x,)), x)

    def fit(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        return self._pass(self._train(), batches)

    def evaluate(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        return self._pass(self._test(), batches)

    def predict(self, batches: "keras.utils.PyDataset") -> np.ndarray:
        step = self._predict()
        return np.concatenate([step(x).numpy() for x, _ in _read_ahead(batches)])

    def _pass(self, step: Any, batches: "keras.utils.PyDataset") -> dict[str, float]:
        self.model.reset_metrics()
        for x, y in _read_ahead(batches):
            means = step(x, y)  # of all batches so far
        return {key: float(value) for key, value in means.items()}


def _read_ahead(batches: "keras.utils.PyDataset") -> Iterator[tuple]:
    """Yield the batches in their order, reading the next one while the current one is used."""
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(batches.__getitem__, 0)
        for index in range(1, len(batches) + 1):
            batch = upcoming.result()
            if index < len(batches):
                upcoming = reader.submit(batches.__getitem__, index)
            yield batch


def steps(model: "keras.Model") -> Steps:
    """Return the passes of a compiled model, for the backend in use.

    Batches are ``(x, labels)``: ``x`` is float32, an array or a tuple of them, ``labels`` int32.
    The model's optimiser must have been built.
    """
    import keras

    return (_TensorflowSteps if keras.backend.backend() == "tensorflow" else Steps)(model)
