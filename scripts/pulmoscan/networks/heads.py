"""Heads: the layers that turn what a backbone gives into the scores of classes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pulmoscan.networks import layers

if TYPE_CHECKING:
    import keras

LOGITS = "logits"  # the layer with the scores, before the softmax


def logits(x: "keras.KerasTensor", head: Sequence, classes: int) -> "keras.KerasTensor":
    """Return the scores of classes, in float32 whatever the precision.

    ``head`` is a list of layers as in the configuration (see `layers`) that continues ``x``; the
    last layer, ``logits``, comes after them.
    """
    import keras

    x = layers.apply(x, head)  # before the last layer is made: layers draw their seeds in order
    return keras.layers.Dense(classes, name=LOGITS, dtype="float32")(x)


def on_features(head: Sequence, tensors: Sequence[Mapping], classes: int) -> "keras.Model":
    """Return a head by itself: a model from the cached features of a frozen backbone to logits.

    It equals the part that `cut.cut` separates from the whole network.

    Args:
        head: list of layers as in the configuration; the first is a joint.
        tensors: description of the features (see `cut.crossing`): the maps of the backbone, or
            their average, which ``average_pooling`` has already computed.
        classes: their number.

    Raises:
        ValueError: the features are not those that this head takes.
    """
    import keras

    pooled = len(tensors) == 1 and tensors[0]["layer"] == layers.POOLED
    if len(tensors) != 1 or pooled != (head[0] == "average_pooling"):
        names = ", ".join(tensor["layer"] for tensor in tensors)
        raise ValueError(
            f"the features are the output of {names}, but the head begins with {head[0]}: "
            "they belong to another head"
        )
    start = keras.Input(tensors[0]["shape"], name=tensors[0]["layer"])
    return keras.Model(start, logits(start, head[1:] if pooled else head, classes))
