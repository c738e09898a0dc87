"""Grad-CAM: where in an image the evidence for a class lies.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, equations 1 and 2, on the scores before the softmax.
"""

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from scipy.special import softmax

from pulmoscan.backends.gradients import score_gradients
from pulmoscan.inputs import pixels
from pulmoscan.networks.heads import LOGITS

if TYPE_CHECKING:
    import keras

# Parts of the names of layer classes whose output looks like a feature map but does not end a
# convolution: they pool, drop, move or augment.
NOT_A_MAP = ("Pooling", "Dropout", "Padding", "Cropping", "Reshape", "Random")


class Explanations(NamedTuple):
    """What `Explainer.explain` returns, one row per image.

    Attributes:
        maps: n x h x w float32 in 0..1, at the resolution of the feature map.
        probabilities: n x classes float32, the softmax of the scores.
        targets: n indices of classes, those the maps explain.
    """

    maps: np.ndarray
    probabilities: np.ndarray
    targets: np.ndarray


class Explainer:
    """A network cut at its last convolutional feature map: one pass up to it, gradients after it.

    Attributes:
        layer: the layer that makes the feature map.
        input_size: of the network, in pixels.
        classes: their number.
    """

    def __init__(self, model: "keras.Model") -> None:
        """Cut a flat functional model that has a layer ``logits``; see `last_feature_map`."""
        import keras

        self.layer = last_feature_map(model)
        scores = model.get_layer(LOGITS).output
        self.input_size = int(model.input.shape[1])
        self.classes = int(scores.shape[-1])
        self._forward = keras.Model(model.input, [self.layer.output, scores])
        self._tail = keras.Model(self.layer.output, scores)

    def explain(self, shown: np.ndarray, batch_size: int) -> Explanations:
        """Return Grad-CAM maps of images for the class that the network predicts.

        Args:
            shown: n x s x s uint8, what the network sees (see `pixels.apply`).
            batch_size: images computed at once; it changes the last bits at most.

        Returns:
            Maps, probabilities and predicted classes.
        """
        starts = range(0, max(len(shown), 1), batch_size)
        batches = [self._explain(shown[start : start + batch_size]) for start in starts]
        return Explanations(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))

    def _explain(self, shown: np.ndarray) -> Explanations:
        if not len(shown):
            height, width = self.layer.output.shape[1:3]
            none = np.zeros((0, self.classes), np.float32)
            return Explanations(np.zeros((0, height, width), np.float32), none, np.zeros(0, int))
        features, scores = self._forward.predict_on_batch(pixels.with_channel(shown))
        targets = scores.argmax(axis=1)
        features = features.astype(np.float32)
        gradients = score_gradients(self._tail, features, targets)
        return Explanations(class_activation(features, gradients), softmax(scores, axis=1), targets)


def last_feature_map(model: "keras.Model") -> "keras.layers.Layer":
    """Return the layer whose output is the last convolutional feature map of a flat model.

    It is the last layer in Keras' order (each layer after all it depends on), from the first
    convolution on, that gives height x width x channels and does not pool, drop, pad or augment:
    the activation that ends the convolutional part. Raises ``ValueError`` where there is none.
    """
    import keras

    convolutions = (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
    )
    found = None
    convolved = False
    for layer in model.layers:
        convolved = convolved or isinstance(layer, convolutions)
        kind = type(layer).__name__
        if convolved and len(layer.output.shape) == 4 and not any(k in kind for k in NOT_A_MAP):
            found = layer
    if found is None:
        raise ValueError(
            f"the model {model.name!r} has no two-dimensional convolution, so Grad-CAM has no "
            "feature map to explain it by"
        )
    return found


def class_activation(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return Grad-CAM maps from feature maps and the gradients of a score with respect to them.

    A channel's weight is its gradient averaged over space (equation 1); the map is the ReLU of the
    weighted sum of the channels (equation 2), divided by its maximum. A map without a positive
    value stays zero.

    Args:
        features: n x h x w x channels float32.
        gradients: the same shape.

    Returns:
        n x h x w float32 in 0..1.
    """
    # In float64: along these axes NumPy adds one by one, which in float32 costs several digits.
    weights = gradients.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
    maps = np.maximum(np.einsum("nhwc,nc->nhw", features, weights), 0)
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def resized(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return maps (n x h x w float32) resized bilinearly to ``size``: height, width in pixels."""
    height, width = size
    result = np.empty((len(maps), height, width), np.float32)
    for index, one in enumerate(maps):
        result[index] = cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR)
    return result
