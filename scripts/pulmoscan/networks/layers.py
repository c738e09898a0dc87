"""Layers as the configuration writes them: heads of backbones, and networks of our own.

A list of layers holds words (`average_pooling`, `global_max_pooling`, `flatten`, `max_pooling`,
`batch_normalization`) and mappings of one kind with its options: `{conv2d: 16, kernel: 5}`,
`{dense: 128, l2: 0.01}`, `{dropout: 0.2}`. `{dense: 0}` and `{dropout: 0}` leave the layer out, and
a text `$name` stands for a value that is chosen later (see `hyperparameters`). The first layer
after which there are no maps any more, such as `average_pooling` or `flatten`, is called the joint.
Keras is imported only where layers are built, since lists are checked while the Snakefile is
parsed.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from pulmoscan import spelling

if TYPE_CHECKING:
    import keras

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "selu", "gelu", "swish", "linear")
# From maps or series to one vector.
JOINTS = ("average_pooling", "global_max_pooling", "flatten")
WORDS = (*JOINTS, "max_pooling", "batch_normalization")
CONVOLUTIONS = ("conv1d", "conv2d")
CONVOLUTION_DEFAULTS = {"kernel": 3, "strides": 1, "activation": "relu"}
# The options of a layer that is a mapping, beside its own value.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "conv1d": CONVOLUTION_DEFAULTS,
    "conv2d": CONVOLUTION_DEFAULTS,
    "dense": {"activation": "relu", "l2": 0},
    "dropout": {},
}
LARGEST = 65_536  # units, filters, pixels of a kernel: more is a slip
AFTER_JOINT = ("dense", "dropout", "batch_normalization")
PLACEHOLDER = re.compile(r"\$([A-Za-z_]\w*)")
# The first part of a layer's name in Keras, which a number follows.
PREFIXES = {
    "conv1d": "conv",
    "conv2d": "conv",
    "max_pooling": "pool",
    "dense": "dense",
    "dropout": "dropout",
    "batch_normalization": "normalization",
}
POOLED = "pooled"
NAMES = {"average_pooling": POOLED, "global_max_pooling": "max_pooled", "flatten": "flatten"}


def problems(layers: Any, head: bool) -> list[str]:
    """Return what is wrong with a list of layers, one line each; an empty list if it is valid.

    Lines begin with the position of the layer, counted from 1. A ``$name`` is valid wherever a
    value is.

    Args:
        layers: what the configuration holds, of any type.
        head: whether it is the head of a backbone, not a whole architecture.

    Example:
        >>> problems(["flatten", {"dense": 128}, {"dropout": 0.2}], head=True)
        []
        >>> problems(["flatten", {"dropout": 1.5}], head=True)
        ['layer 2: dropout is 1.5: expected a number from 0 to less than 1']
    """
    if isinstance(layers, str | Mapping) or not isinstance(layers, Sequence):
        return [
            f"{layers!r} is not a list of layers, "
            "such as [average_pooling, {dense: 128}, {dropout: 0.2}]"
        ]
    wrong = [
        f"layer {position}: {problem}"
        for position, entry in enumerate(layers, start=1)
        for problem in _entry_problems(entry)
    ]
    return wrong or list(_order_problems([_kind(entry) for entry in layers], head))


def takes_histograms(layers: Sequence) -> bool:
    """Return whether a network of these layers takes histograms rather than images.

    Example:
        >>> takes_histograms([{"conv1d": 32}, "flatten", {"dense": 8}])
        True
    """
    return any(isinstance(entry, Mapping) and "conv1d" in entry for entry in layers)


def no_room(layers: Sequence, size: int) -> str:
    """Return at which layer an input of ``size`` by ``size`` pixels has none left, "" if at none.

    Invalid lists (see `problems`) and strides that a search chooses are skipped.

    Example:
        >>> no_room(["max_pooling", "max_pooling", "flatten"], size=3)
        'layer 2: max_pooling has no room left of 3 pixels'
    """
    if problems(layers, head=False):
        return ""
    left = size
    for position, entry in enumerate(layers, start=1):
        if entry in JOINTS:
            break
        if entry == "max_pooling":
            left //= 2
        elif isinstance(entry, Mapping) and isinstance(step := entry.get("strides", 1), int):
            left = -(-left // step)
        if not left:
            return f"layer {position}: {entry} has no room left of {size} pixels"
    return ""


def placeholder(value: Any) -> str | None:
    """Return the name in a text ``$name``, None for anything else.

    Example:
        >>> placeholder("$dense_1")
        'dense_1'
    """
    match = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def apply(x: "keras.KerasTensor", layers: Sequence) -> "keras.KerasTensor":
    """Return a tensor after these layers, a valid list (see `problems`) without ``$names``.

    Layers are named by kind and number (``conv_1``, ``pool_1``, ``dense_1``, ``normalization_1``),
    a single dropout is ``dropout``, and the joints are ``pooled``, ``max_pooled`` and ``flatten``.
    A layer that is left out is not counted: the network is the same as without its entry. Raises
    ``ValueError`` for a layer for which the tensor before it has no room.

    Example:
        >>> import keras
        >>> maps = keras.Input((7, 7, 256))
        >>> layers = ["average_pooling", {"dense": 128}, {"dense": 0}, {"dense": 32}]
        >>> model = keras.Model(maps, apply(maps, layers))
        >>> [layer.name for layer in model.layers[1:]]
        ['pooled', 'dense_1', 'dense_2']
    """
    present = [entry for entry in layers if not _left_out(entry)]
    for entry, name in zip(present, _names(present), strict=True):
        layer = _layer(entry, name, series=len(x.shape) == 3)
        try:
            x = layer(x)
        except ValueError as error:
            shape = " x ".join(str(size) for size in x.shape[1:])
            raise ValueError(f"no room for the layer {name} on a tensor of {shape}") from error
    return x


def _kind(entry: Any) -> str:
    """Return the kind of a valid entry (see `_entry_problems`)."""
    return entry if isinstance(entry, str) else next(key for key in entry if key in DEFAULTS)


def _entry_problems(entry: Any) -> Iterator[str]:
    """Yield what is wrong with one entry, whatever the entries around it."""
    if isinstance(entry, str):
        if placeholder(entry):
            yield f"{entry} stands for a value, not for a layer"
        elif entry in DEFAULTS:
            yield f"{entry} needs a value, as in {{{entry}: 32}}"
        elif entry not in WORDS:
            yield f"no layer {entry!r}: {_hint(entry, (*WORDS, *DEFAULTS))}"
        return
    if not isinstance(entry, Mapping):
        yield f"{entry!r} is neither a word nor a mapping"
        return
    kinds = [key for key in entry if key in DEFAULTS]
    if len(kinds) > 1:
        yield f"{' and '.join(kinds)} are two layers, each an entry of its own"
    elif not kinds:
        words = [key for key in entry if key in WORDS]
        names = [str(key) for key in entry]
        if words:
            yield f"{words[0]} is a word without a value or options"
        elif names:
            yield f"no layer {names[0]!r}: {_hint(names[0], (*DEFAULTS, *WORDS))}"
        else:
            yield f"an empty mapping; the layers are {', '.join((*DEFAULTS, *WORDS))}"
    else:
        yield from _option_problems(kinds[0], entry)


def _option_problems(kind: str, entry: Mapping) -> Iterator[str]:
    """Yield the unknown options and the wrong values of a layer of a known kind."""
    for key, value in entry.items():
        if key != kind and key not in DEFAULTS[kind]:
            known = DEFAULTS[kind]
            yield f"{kind} takes no {key!r}" + (f": {_hint(str(key), known)}" if known else "")
        elif placeholder(value) is None and (expected := _expected(key, value)):
            yield f"{key} is {value!r}: expected {expected}"


def _expected(key: str, value: Any) -> str:
    """Return which values ``key`` takes, as text, where ``value`` is none of them, else ""."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    whole = number and isinstance(value, Integral)
    if key == "activation":
        if isinstance(value, str) and value in ACTIVATIONS:
            return ""
        return f"one of {', '.join(ACTIVATIONS)}"
    if key == "dropout":
        return "" if number and 0 <= value < 1 else "a number from 0 to less than 1"
    if key == "l2":
        return "" if number and 0 <= value <= LARGEST else f"a number of 0 or more, to {LARGEST}"
    least = 0 if key == "dense" else 1
    if whole and least <= value <= LARGEST:
        return ""
    return f"a whole number of {least} or more, to {LARGEST}"


def _order_problems(kinds: Sequence[str], head: bool) -> Iterator[str]:
    """Yield what is wrong with the order of layers that are valid one by one."""
    joints = [index for index, kind in enumerate(kinds) if kind in JOINTS]
    either = f"{', '.join(JOINTS[:-1])} or {JOINTS[-1]}"
    if head and kinds[:1] != ["max_pooling"] and joints[:1] != [0]:
        yield f"a head begins with {', '.join(JOINTS)} or max_pooling"
        return
    if head and "conv1d" in kinds:
        yield "conv1d is for histograms, and a backbone takes images"
    if not joints:
        yield f"no {either}: one of them goes between the maps and the classes"
        return
    if set(CONVOLUTIONS) <= set(kinds):
        yield "conv1d and conv2d in one network: it takes either histograms or images"
    for position, kind in enumerate(kinds, start=1):
        if position <= joints[0] and kind == "dense":
            yield f"layer {position}: dense goes after {kinds[joints[0]]}"
        if position > joints[0] + 1 and kind not in AFTER_JOINT:
            yield (
                f"layer {position}: {kind} after {kinds[joints[0]]}, "
                f"where only {', '.join(AFTER_JOINT)} are allowed"
            )


def _hint(name: str, known: Collection[str]) -> str:
    return f"{spelling.guess(name, known)}There are {', '.join(known)}"


def _left_out(entry: Any) -> bool:
    """Return whether an entry is present only because a search space contains 0."""
    return isinstance(entry, Mapping) and any(
        entry.get(kind) == 0 for kind in ("dense", "dropout") if kind in entry
    )


def _names(layers: Sequence) -> list[str]:
    """Return the names in Keras of layers none of which is left out."""
    kinds = [_kind(entry) for entry in layers]
    seen: Counter[str] = Counter()
    names = []
    for kind in kinds:
        prefix = PREFIXES.get(kind)
        if prefix is None or (kind == "dropout" and kinds.count(kind) == 1):
            names.append(NAMES.get(kind, kind))
            continue
        seen[prefix] += 1
        names.append(f"{prefix}_{seen[prefix]}")
    return names


def _layer(entry: Any, name: str, series: bool) -> "keras.layers.Layer":
    """Return the layer of an entry; ``series`` says that its input is (length, channels)."""
    import keras

    kind = _kind(entry)
    options = {**DEFAULTS.get(kind, {}), **(entry if isinstance(entry, Mapping) else {})}
    if kind in CONVOLUTIONS:
        make = keras.layers.Conv1D if kind == "conv1d" else keras.layers.Conv2D
        return make(
            options[kind],
            options["kernel"],
            strides=options["strides"],
            padding="same",
            activation=options["activation"],
            name=name,
        )
    if kind == "dense":
        penalty = keras.regularizers.L2(options["l2"]) if options["l2"] else None
        return keras.layers.Dense(
            options[kind], activation=options["activation"], kernel_regularizer=penalty, name=name
        )
    if kind == "dropout":
        return keras.layers.Dropout(options[kind], name=name)
    if kind == "max_pooling":
        return (keras.layers.MaxPooling1D if series else keras.layers.MaxPooling2D)(name=name)
    if kind in ("average_pooling", "global_max_pooling"):
        pooling = "GlobalAveragePooling" if kind == "average_pooling" else "GlobalMaxPooling"
        return getattr(keras.layers, pooling + ("1D" if series else "2D"))(name=name)
    if kind == "flatten":
        return keras.layers.Flatten(name=name)
    return keras.layers.BatchNormalization(name=name)
