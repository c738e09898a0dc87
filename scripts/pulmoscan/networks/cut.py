"""Which layers of a network a run trains, and where the network is cut before the first of them."""

from typing import TYPE_CHECKING, Any

from pulmoscan.networks import heads
from pulmoscan.networks.build import Network

if TYPE_CHECKING:
    import keras


def trainable_layers(network: Network, unfreeze: str) -> list:
    """Return the layers that a run trains: the head, and of the backbone what ``unfreeze`` says.

    ``0``: nothing; a number N: the last N layers as Keras counts them (``base.layers[-N:]``,
    including pooling, normalisation and activation layers); ``half``: the last half; ``all``.
    """
    count = len(network.base)
    named = {"half": count // 2, "all": count}
    number = named[unfreeze] if unfreeze in named else int(unfreeze)
    return network.base[count - number :] + network.head


def freeze(network: Network, unfreeze: str) -> None:
    """Make trainable what ``unfreeze`` says (see `trainable_layers`), and freeze everything else.

    A frozen BatchNormalization keeps its statistics and runs in inference mode.
    """
    trained = {id(layer) for layer in trainable_layers(network, unfreeze)}
    for layer in network.model.layers:
        layer.trainable = id(layer) in trained


def trained_layers(network: Network) -> list[str]:
    """Return the names of the layers that have weights to train after `freeze`, in Keras' order."""
    return [layer.name for layer in network.model.layers if layer.trainable_weights]


def first_trained(network: Network) -> str | None:
    """Return the name of the first layer that has weights to train after `freeze`, if any."""
    return next(iter(trained_layers(network)), None)


def cut(network: Network) -> tuple["keras.Model | None", "keras.Model"]:
    """Cut a network, frozen by `freeze`, into what never changes and what is trained.

    Returns ``(frozen, trained)``: ``frozen`` (see `frozen_part`) maps the input to the tensors that
    cross the cut, and is None where no layer with weights is in it; ``trained`` maps these, or then
    the input, to the logits. Both share their layers with the whole network, so training
    ``trained`` trains the whole.
    """
    import keras

    frozen = frozen_part(network)
    start = network.model.input if frozen is None else frozen.outputs
    logits = network.model.get_layer(heads.LOGITS).output
    return frozen, keras.Model(start, logits, name="trained")


def frozen_part(network: Network) -> "keras.Model | None":
    """Return the part of a network, frozen by `freeze`, that no training changes.

    It maps the input to the tensors that cross the cut, in a list, and must run in inference mode.
    A layer is after the cut when it is in the head, is trainable and has weights, or depends on
    such a layer. Without a head and such a layer, the part is the whole network. Returns None where
    no layer with weights is before the cut.
    """
    import keras

    nodes = _nodes(network.model)
    maker = {}  # layer that makes a tensor, by the tensor's id
    trained = {id(layer) for layer in network.head}
    tensors = []
    # Keras lists an operation after all that it depends on. Not all are layers: MobileNetV3 adds 3.
    for layer in network.model.operations:
        sources = nodes[id(layer)].input_tensors
        fed_by_trained = [id(maker[id(tensor)]) in trained for tensor in sources]
        if any(fed_by_trained) or _trains(layer):
            trained.add(id(layer))
        if id(layer) in trained:
            known = {id(tensor) for tensor in tensors}
            tensors += [
                tensor
                for tensor, inside in zip(sources, fed_by_trained, strict=True)
                if not inside and id(tensor) not in known
            ]
        maker[id(nodes[id(layer)].output_tensors[0])] = layer
    if not any(layer.weights and id(layer) not in trained for layer in network.model.layers):
        return None
    return keras.Model(network.model.input, tensors or [network.model.output], name="frozen")


def crossing(frozen: "keras.Model | None") -> list[dict]:
    """Return the tensors that cross a cut, in the order of the outputs of ``frozen``.

    Each has ``layer``, the name of the layer that makes it, and ``shape`` for one image. There are
    none where nothing is frozen.
    """
    if frozen is None:
        return []
    makers = {id(node.output_tensors[0]): node.operation.name for node in _nodes(frozen).values()}
    return [
        {"layer": makers[id(tensor)], "shape": list(tensor.shape[1:])} for tensor in frozen.outputs
    ]


def joined(network: Network, frozen: "keras.Model | None", trained: "keras.Model") -> "keras.Model":
    """Return the network from input to logits with its frozen part in inference mode."""
    import keras

    if frozen is None:
        return trained
    return keras.Model(network.model.input, trained(frozen(network.model.input, training=False)))


def _trains(operation: Any) -> bool:
    return getattr(operation, "trainable", False) and bool(operation.weights)


def _nodes(model: "keras.Model") -> dict[int, Any]:
    """Return what each layer of a network takes and gives in it, by the layer's id.

    ``layer.input`` and ``layer.output`` say the same, except where a layer is a network itself, as
    the stem of ConvNeXt is: there they are what its first layer takes and its last one gives.
    """
    # Keras has no public name for the nodes of a graph.
    levels = model._nodes_by_depth.values()
    return {id(node.operation): node for nodes in levels for node in nodes}
