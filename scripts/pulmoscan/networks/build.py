"""The networks that are trained: a backbone and a head, or layers of our own, each one flat model.

Also which layers a run trains, and where its network is cut into a part that never changes and a
part that is trained.
"""

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


def trainable_layers(network: Network, unfreeze: str) -> list:
    """Return the layers that a run trains: the head, and of the backbone what ``unfreeze`` says.

    ``0``: nothing; a number N: the last N layers as Keras counts them (``base.layers[-N:]``,
    pooling, normalisation and activation layers included); ``half``: the last half; ``all``.
    Raises ``ValueError`` for anything else, for more layers than there are, and for anything but
    ``all`` where the network has no pre-trained part.
    """
    count = len(network.base)
    if not count:
        if unfreeze != "all":
            raise ValueError(
                f"unfreeze is {unfreeze!r}: this network has no pre-trained part, so it is 'all'"
            )
        return list(network.head)
    named = {"half": count // 2, "all": count}
    if unfreeze not in named and not unfreeze.isdecimal():
        raise ValueError(
            f"unfreeze is {unfreeze!r}: expected 0 to {count} layers of the backbone, half or all"
        )
    number = named[unfreeze] if unfreeze in named else int(unfreeze)
    if number > count:
        raise ValueError(
            f"unfreeze is {number}: the backbone has {count} layers, so it is 0 to {count}, "
            "half or all"
        )
    return network.base[count - number :] + network.head


def freeze(network: Network, unfreeze: str) -> None:
    """Make trainable what ``unfreeze`` says (see `trainable_layers`), and freeze everything else.

    A frozen BatchNormalization keeps its statistics and runs in inference mode.
    """
    trained = {id(layer) for layer in trainable_layers(network, unfreeze)}
    for layer in network.model.layers:
        layer.trainable = id(layer) in trained


def trained_layers(network: Network) -> list[str]:
    """Return the names of the layers that have weights to train after `freeze`, in Keras order."""
    return [layer.name for layer in network.model.layers if layer.trainable_weights]


def first_trained(network: Network) -> str:
    """Return the name of the first layer that has weights to train after `freeze`."""
    return trained_layers(network)[0]


def split(network: Network) -> tuple["keras.Model | None", "keras.Model"]:
    """Cut a network, frozen by `freeze`, into what never changes and what is trained.

    Returns ``(frozen, trained)``: ``frozen`` maps the input to the tensors that cross the cut, and
    is to run in inference mode; ``trained`` maps these to ``logits``. Both share their layers with
    the whole network, so training ``trained`` trains the whole. A layer belongs to ``trained``
    when it is of the head, is trainable and has weights, or depends on one that does. ``frozen``
    is None where no layer with weights would be in it.
    """
    import keras

    producer = {}  # id of a tensor -> layer that makes it
    trained = {id(layer) for layer in network.head}
    crossing = []
    for layer in network.model.layers:  # Keras lists a layer after all that it depends on
        sources = [] if isinstance(layer, keras.layers.InputLayer) else _tensors(layer.input)
        fed_by_trained = [id(producer[id(tensor)]) in trained for tensor in sources]
        if any(fed_by_trained) or (layer.trainable and layer.weights):
            trained.add(id(layer))
        if id(layer) in trained:
            known = {id(tensor) for tensor in crossing}
            crossing += [
                tensor
                for tensor, inside in zip(sources, fed_by_trained, strict=True)
                if not inside and id(tensor) not in known
            ]
        producer[id(layer.output)] = layer
    logits = network.model.get_layer("logits").output
    if any(layer.weights and id(layer) not in trained for layer in network.model.layers):
        frozen = keras.Model(network.model.input, crossing, name="frozen")
        return frozen, keras.Model(crossing, logits, name="trained")
    return None, keras.Model(network.model.input, logits, name="trained")


def _tensors(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def joined(network: Network, frozen: "keras.Model | None", trained: "keras.Model") -> "keras.Model":
    """Return the network from input to logits with its frozen part in inference mode."""
    import keras

    if frozen is None:
        return trained
    return keras.Model(network.model.input, trained(frozen(network.model.input, training=False)))


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
