"""Passes of a network over batches, and the gradients behind Grad-CAM, for each backend of Keras.

Keras' own loops compute the same. These exist for TensorFlow, where a small network's passes are
over before Keras has prepared them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def score_gradients(model: "keras.Model", maps: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of ``model(maps)[i, targets[i]]`` with respect to ``maps``.

    ``model`` maps feature maps (n, ...) to scores (n, classes) and runs in inference mode;
    ``targets`` are n class indices. The result has the shape of ``maps``, float32. The function
    behind it is traced once a model, whatever the number of maps.
    """
    gradients = _gradient_function(model)(
        np.asarray(maps, dtype="float32"), np.asarray(targets, dtype="int32")
    )
    return np.asarray(gradients, dtype="float32")


@lru_cache(maxsize=4)
def _gradient_function(model: "keras.Model") -> Any:
    """Return the function (maps, targets) -> gradients of a model on the backend in use."""
    import keras

    makers = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients}
    return makers.get(keras.backend.backend(), _torch_gradients)(model)


def _tensorflow_gradients(model: "keras.Model") -> Any:
    import tensorflow as tf

    signature = [
        tf.TensorSpec(model.inputs[0].shape, tf.float32),
        tf.TensorSpec((None,), tf.int32),
    ]

    @tf.function(input_signature=signature)
    def gradients(maps: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            scores = model(maps, training=False)
            score = tf.gather(scores, targets, axis=1, batch_dims=1)
        return tape.gradient(score, maps)

    return gradients


def _jax_gradients(model: "keras.Model") -> Any:
    import jax

    def score(maps: Any, targets: Any, trainable: Any, other: Any) -> Any:
        scores, _ = model.stateless_call(trainable, other, maps, training=False)
        return scores[jax.numpy.arange(len(targets)), targets].sum()

    compiled = jax.jit(jax.grad(score))

    def gradients(maps: np.ndarray, targets: np.ndarray) -> Any:
        trainable = [variable.value for variable in model.trainable_variables]
        other = [variable.value for variable in model.non_trainable_variables]
        return compiled(maps, targets, trainable, other)

    return gradients


def _torch_gradients(model: "keras.Model") -> Any:
    import keras
    import torch

    def gradients(maps: np.ndarray, targets: np.ndarray) -> Any:
        maps = keras.ops.convert_to_tensor(maps).requires_grad_()
        scores = model(maps, training=False)
        index = keras.ops.convert_to_tensor(targets).long()[:, None]
        return torch.autograd.grad(scores.gather(1, index).sum(), maps)[0].cpu()

    return gradients


class Steps:
    """Passes over batches of a compiled model, of which the same layers stay frozen."""

    def __init__(self, model: "keras.Model") -> None:
        self.model = model

    def fit(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        """Train for one epoch; return the mean ``loss`` and the metrics while it trained."""
        found = self.model.fit(batches, shuffle=False, verbose=0).history
        return {key: float(values[0]) for key, values in found.items()}

    def evaluate(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        """Return the mean ``loss`` and the metrics."""
        found = self.model.evaluate(batches, return_dict=True, verbose=0)
        return {key: float(value) for key, value in found.items()}

    def predict(self, batches: "keras.utils.PyDataset") -> np.ndarray:
        """Return what the model gives for all batches, one after the other."""
        return np.asarray(self.model.predict(batches, verbose=0))


class _TensorflowSteps(Steps):
    """The same numbers with less around them.

    Keras' own loop wraps the batches in a new `tf.data` pipeline in every epoch, and its functions
    are traced twice, because its metrics make their variables in the first one. For a small head
    that is most of the time. Here functions are traced once, for batches of any length.
    """

    def __init__(self, model: "keras.Model") -> None:
        import tensorflow as tf

        super().__init__(model)
        labels, outputs = np.zeros(1, np.int32), np.zeros((1, *model.output_shape[1:]), np.float32)
        model.compute_loss(None, labels, outputs)  # these two make the variables of the metrics
        model.compute_metrics(None, labels, outputs)
        inputs = tuple(tf.TensorSpec(tensor.shape, tf.float32) for tensor in model.inputs)
        x = inputs if len(inputs) > 1 else inputs[0]
        y = tf.TensorSpec((None,), tf.int32)

        def compiled(step: Any, *signature: Any) -> Any:
            return tf.function(
                step, input_signature=signature, autograph=False, jit_compile=model.jit_compile
            )

        self._train = compiled(lambda x, y: model.train_step((x, y)), x, y)
        self._test = compiled(lambda x, y: model.test_step((x, y)), x, y)
        self._predict = compiled(lambda x: model.predict_step((x,)), x)

    def fit(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        return self._pass(self._train, batches)

    def evaluate(self, batches: "keras.utils.PyDataset") -> dict[str, float]:
        return self._pass(self._test, batches)

    def predict(self, batches: "keras.utils.PyDataset") -> np.ndarray:
        return np.concatenate([self._predict(x).numpy() for x, _ in _read_ahead(batches)])

    def _pass(self, step: Any, batches: "keras.utils.PyDataset") -> dict[str, float]:
        self.model.reset_metrics()
        for x, y in _read_ahead(batches):
            means = step(x, y)  # of all batches so far
        return {key: float(value) for key, value in means.items()}


def _read_ahead(batches: "keras.utils.PyDataset") -> Iterator[tuple]:
    """Yield the batches in their order; the next one is read while one is used."""
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(batches.__getitem__, 0)
        for index in range(1, len(batches) + 1):
            batch = upcoming.result()
            if index < len(batches):
                upcoming = reader.submit(batches.__getitem__, index)
            yield batch


def steps(model: "keras.Model") -> Steps:
    """Return the passes over batches ``(x, labels)`` of a model compiled on the backend in use.

    ``x`` is float32, an array or a tuple of them, and ``labels`` int32. The model has an optimiser
    that is built.
    """
    import keras

    return (_TensorflowSteps if keras.backend.backend() == "tensorflow" else Steps)(model)
