"""The networks that are trained: a backbone and a head, or layers of our own; flat models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulmoscan.inputs.pixels import GREY_LEVELS
from pulmoscan.networks import backbones, layers

if TYPE_CHECKING:
    import keras

PREPARATION = ("grey_to_rgb", "preprocessing")  # layers between the input and the backbone
INPUTS = ("grey", "histogram")


@dataclass(frozen=True)
class Network:
    """A whole network: input grey pixels or histograms, output probabilities of classes.

    Pixels are (s, s, 1) float32 in 0..255, histograms (256, 1) float32 in 0..1. ``base`` are the
    layers of the backbone as Keras counts them, the input layer first; it is empty for a network
    that has no pre-trained part. ``head`` are the layers after them, or all layers of such a
    network, without the input, its preparation and global average pooling.
    """

    model: "keras.Model"
    base: list
    head: list


def build(network: Mapping, classes: int, weights: Path | None = None) -> Network:
    """Return a network of the configuration's ``models:``.

    ``network`` has ``input_size`` and either ``architecture``, a list of layers, or ``backbone``
    with ``arguments`` and ``head``, a list too (see `layers`). With a one-dimensional convolution
    an architecture takes histograms, else images. ``weights`` is a file that `save_weights` of the
    same backbone wrote (see ``weights.py``); without it the backbone keeps its random weights. The
    last layers are ``logits`` and ``probabilities``, in float32 whatever the precision. Raises
    ``ValueError`` for layers that cannot be (see `layers.problems`) or have a ``$name`` in them, an
    unknown backbone, and a file of another network.
    """
    import keras

    key = "architecture" if "architecture" in network else "head"
    if problems := layers.problems(network[key], head=key == "head"):
        raise ValueError("; ".join(f"{key}: {problem}" for problem in problems))
    # Names of layers do not depend on what was built before. This also forgets the precision.
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    if key == "head":
        start, base, x = _backbone(network, weights)
    else:
        base, (start, x) = [], _input(network)
    x = layers.apply(x, network[key])
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(x)
    output = keras.layers.Activation("softmax", name="probabilities", dtype="float32")(logits)
    model = keras.Model(start, output, name="pulmoscan")
    before = {id(layer) for layer in base}
    head = [
        layer
        for layer in model.layers
        if id(layer) not in before and layer.name not in (*PREPARATION, *INPUTS, layers.POOLED)
    ]
    return Network(model, base, head)


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
    """Return a grey input, the layers of a backbone behind it, and the backbone's output."""
    import keras

    name, arguments, size = network["backbone"], network.get("arguments"), network["input_size"]
    grey = keras.Input((size, size, 1), name="grey")
    backbone = backbones.build(name, arguments, size, backbones.prepare(grey, name))
    if weights is not None:
        backbones.load_weights(backbone, name, arguments, weights)
    base = [layer for layer in backbone.layers if layer.name not in PREPARATION]
    return grey, base, backbone.output
