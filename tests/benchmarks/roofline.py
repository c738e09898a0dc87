"""The least time that a device needs for a network: its arithmetic and the memory it must move.

Only layers that multiply are counted: convolutions and dense layers. Each reads its input and its
weights once and writes its output once; normalisation, activation, padding and additions are taken
to be done on the way, at no cost. So no program is faster than this, and a real one is slower.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

KINDS = ("convolution", "depthwise", "dense")
ADAM = 7 * 4  # bytes a trained weight and step: gradient, weight, 2 moments in; weight, moments out


@dataclass(frozen=True)
class Product:
    """A layer's multiplication, for one image.

    ``flops`` counts a multiplication and an addition as two. ``read`` and ``written`` are values of
    the input and the output, ``weights`` those of the kernel. ``weight_gradient`` and
    ``input_gradient`` tell what a training step computes of it beside its output.
    """

    layer: str
    kind: str
    flops: int
    read: int
    written: int
    weights: int
    weight_gradient: bool
    input_gradient: bool


@dataclass(frozen=True)
class Device:
    """What a device reaches in a second: ``rate`` operations, and ``bandwidth`` bytes of memory."""

    rate: float
    bandwidth: float


def products(model: "keras.Model") -> list[Product]:
    """Return the multiplications of a flat model, in the order of its layers.

    Which gradients a step computes follows from what is trainable: those of a layer's weights where
    it is, those of its input where something before it is.
    """
    found, fed_by_trained = [], {}
    for layer in model.layers:
        inputs = _inputs(layer)
        upstream = any(fed_by_trained[id(tensor)] for tensor in inputs)
        trained = bool(layer.trainable_weights)
        fed_by_trained[id(layer.output)] = upstream or trained
        for kind, flops, read, written, weights in _counts(layer):
            found.append(
                Product(layer.name, kind, flops, read, written, weights, trained, upstream)
            )
    return found


def _inputs(layer: "keras.Layer") -> list:
    import keras

    if isinstance(layer, keras.layers.InputLayer):
        return []
    return list(layer.input) if isinstance(layer.input, (list, tuple)) else [layer.input]


def _counts(layer: "keras.Layer") -> list[tuple[str, int, int, int, int]]:
    """Return kind, operations, values read and written, and weights of a layer's products."""
    import keras

    if isinstance(layer, keras.layers.SeparableConv2D):
        (rows, columns, _), read = layer.output.shape[1:], math.prod(layer.input.shape[1:])
        depthwise = math.prod(layer.depthwise_kernel.shape)
        between = rows * columns * math.prod(layer.depthwise_kernel.shape[2:])
        pointwise = math.prod(layer.pointwise_kernel.shape)
        written = math.prod(layer.output.shape[1:])
        return [
            ("depthwise", 2 * rows * columns * depthwise, read, between, depthwise),
            ("convolution", 2 * rows * columns * pointwise, between, written, pointwise),
        ]
    kinds = {
        keras.layers.DepthwiseConv2D: "depthwise",
        keras.layers.Conv2D: "convolution",
        keras.layers.Conv1D: "convolution",
        keras.layers.Dense: "dense",
    }
    kind = next((kind for cls, kind in kinds.items() if isinstance(layer, cls)), None)
    if kind is None:
        return []
    read, written = math.prod(layer.input.shape[1:]), math.prod(layer.output.shape[1:])
    weights = math.prod(layer.kernel.shape)
    # Each place of the output takes the whole kernel once.
    places = math.prod(layer.output.shape[1:-1])
    return [(kind, 2 * places * weights, read, written, weights)]


def flops(found: Sequence[Product], training: bool, kind: str | None = None) -> int:
    """Return the operations of one image, of one kind or of all."""
    return sum(
        product.flops * len(_passes(product, training))
        for product in found
        if kind in (None, product.kind)
    )


def least_seconds(
    found: Sequence[Product],
    batch: int,
    itemsize: int,
    device: Device,
    training: bool = False,
    trained_weights: int = 0,
    kind: str | None = None,
) -> float:
    """Return the least seconds of a batch: for each product its arithmetic or its memory.

    The longer of the two counts, as if the other were done meanwhile.

    ``itemsize`` is the bytes of a value. A training step also updates ``trained_weights`` by Adam,
    in float32. With ``kind`` only the products of that kind are counted, without the update.
    """
    seconds = 0.0
    for product in found:
        if kind in (None, product.kind):
            for values, weights in _passes(product, training):
                moved = itemsize * (batch * values + weights)
                work = batch * product.flops
                seconds += max(work / device.rate, moved / device.bandwidth)
    if training and kind is None:
        seconds += ADAM * trained_weights / device.bandwidth
    return seconds


def _passes(product: Product, training: bool) -> list[tuple[int, int]]:
    """Return the values of an image and the weights that each of a product's passes moves.

    The gradient of the weights reads the input and the output's gradient; that of the input reads
    the output's gradient and writes as much as was read. Each is as much arithmetic as the output.
    """
    moved = (product.read + product.written, product.weights)
    gradients = product.weight_gradient + product.input_gradient if training else 0
    return [moved] * (1 + gradients)
