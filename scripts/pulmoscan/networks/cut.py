"""Which layers of a network a run trains, and where the network is cut before the first of them."""

from typing import TYPE_CHECKING

from pulmoscan.networks.build import Network

if TYPE_CHECKING:
    import keras


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


def cut(network: Network) -> tuple["keras.Model | None", "keras.Model"]:
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
