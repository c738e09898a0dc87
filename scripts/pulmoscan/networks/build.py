"""The networks of the study, each one flat model: a backbone with a head, or layers of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulmoscan.inputs.pixels import GREY_LEVELS
from pulmoscan.networks import backbones, heads, layers
from pulmoscan.storage import reading

if TYPE_CHECKING:
    import keras

PREPARATION = ("grey_to_rgb", "preprocessing")  # layers between the input and the backbone
INPUTS = ("grey", "histogram")


@dataclass(frozen=True)
class Network:
    """A network whose input is grey pixels or histograms.

    Pixels are (s, s, 1) float32 in 0..255, histograms (256, 1) float32 in 0..1.

    Attributes:
        model: from the input to the probabilities of classes, or to what a head takes (see
            `features_network`).
        base: the layers of the backbone as Keras counts them, the input layer first; empty for a
            network without a pre-trained part.
        head: the layers after them, or all layers of such a network; without the input, its
            preparation and global average pooling.
    """

    model: "keras.Model"
    base: list
    head: list


def build(network: Mapping, classes: int, weights: Path | None = None) -> Network:
    """Return a whole network, from its input to ``logits`` and ``probabilities``, both float32.

    Args:
        network: ``input_size`` and either ``architecture``, a list of layers, or ``backbone``,
            ``arguments`` and ``head``, a list too (see `layers`). An architecture with a
            one-dimensional convolution takes histograms, any other network images.
        classes: their number.
        weights: file with the weights of the backbone, which are random without it.

    Raises:
        ValueError: the file holds the weights of another network, or the shape of a tensor has no
            room for a layer.
    """
    import keras

    _forget_names()
    if "architecture" in network:
        start, x = _input(network)
        base, entries = [], network["architecture"]
    else:
        start, base, x = _backbone(network, weights)
        entries = network["head"]
    logits = heads.logits(x, entries, classes)
    output = keras.layers.Activation("softmax", name="probabilities", dtype="float32")(logits)
    model = keras.Model(start, output, name="pulmoscan")
    outside = {id(layer) for layer in base}
    head = [
        layer
        for layer in model.layers
        if id(layer) not in outside and layer.name not in (*PREPARATION, *INPUTS, layers.POOLED)
    ]
    return Network(model, base, head)


def features_network(network: Mapping, weights: Path | None = None) -> Network:
    """Return a backbone without a head, from its input to what a head takes.

    ``network`` is that of `build`. Of its head the first layer alone counts: the average of the
    maps where that is ``average_pooling``, else the maps themselves. Raises ``ValueError`` for a
    file with the weights of another network.
    """
    import keras

    _forget_names()
    start, base, x = _backbone(network, weights)
    if network["head"][0] == "average_pooling":
        x = layers.apply(x, network["head"][:1])
    return Network(keras.Model(start, x, name="features"), base, [])


def _forget_names() -> None:
    """Make the names of layers independent of what was built before; the precision stays."""
    import keras

    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)


def _input(network: Mapping) -> tuple["keras.KerasTensor", "keras.KerasTensor"]:
    """Return the input of an architecture, and what its first layer takes."""
    import keras

    if layers.takes_histograms(network["architecture"]):
        histogram = keras.Input((GREY_LEVELS, 1), name="histogram")
        return histogram, histogram
    grey = keras.Input((network["input_size"], network["input_size"], 1), name="grey")
    return grey, keras.layers.Rescaling(1 / 255, name="preprocessing", dtype="float32")(grey)


def _backbone(
    network: Mapping, weights: Path | None
) -> tuple["keras.KerasTensor", list, "keras.KerasTensor"]:
    """Return a grey input, the layers of the backbone after it, and the backbone's output."""
    import keras

    name, arguments, size = network["backbone"], network.get("arguments"), network["input_size"]
    grey = keras.Input((size, size, 1), name="grey")
    backbone = backbones.build(name, arguments, size, backbones.prepare(grey, name))
    if weights is not None:
        reading.check(weights, "weights")
        backbones.load_weights(backbone, name, arguments, weights)
    base = [layer for layer in backbone.layers if layer.name not in PREPARATION]
    return grey, base, backbone.output
