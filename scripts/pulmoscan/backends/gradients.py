"""Gradients of a class's score with respect to feature maps, for each backend of Keras."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def score_gradients(model: "keras.Model", maps: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of ``model(maps)[i, targets[i]]`` with respect to ``maps``.

    ``model`` maps feature maps (n, ...) to scores (n, classes) and runs in inference mode;
    ``targets`` are n class indices. The result has the shape of ``maps``, float32. The underlying
    function is traced once per model, whatever the number of maps.
    """
    gradients = _gradient_function(model)(
        np.asarray(maps, dtype="float32"), np.asarray(targets, dtype="int32")
    )
    return np.asarray(gradients, dtype="float32")


@lru_cache(maxsize=4)
def _gradient_function(model: "keras.Model") -> Any:
    """Return the function (maps, targets) -> gradients of a model, for the backend in use."""
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
