"""Hyperparameters: the ``$names`` in a model's layers, and the space they are chosen from.

A model with ``tune:`` has a space with an entry for every ``$name`` of its layers: ``values`` to
choose from, or ``min``, ``max`` and ``step``. ``learning_rate`` in the space is that of training
and appears in no layer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from pulmoscan.networks import layers
from pulmoscan.networks.layers import placeholder

RANGE_KEYS = ("min", "max", "step")
LEARNING_RATE = "learning_rate"
MOST = 10_000  # values of one hyperparameter; more are a mistake in its step
LARGEST = 1e9  # of the numbers in a space
DIGITS = 12  # decimals to which a step's multiples are rounded: 3 * 0.1 is 0.3


def names(value: Any) -> set[str]:
    """Return the names of all ``$name`` in a text or in nested lists and mappings."""
    if (name := placeholder(value)) is not None:
        return {name}
    return set().union(*(names(item) for item in _items(value)))


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a nested structure with every ``$name`` replaced by its value.

    Raises ``ValueError`` that lists the names without a value.
    """
    if missing := sorted(names(value) - set(values)):
        known = ", ".join(sorted(values)) or "none"
        raise ValueError(
            f"no value for ${', $'.join(missing)}: the hyperparameters chosen are {known}"
        )
    return _replaced(value, values)


def choices(entry: Mapping[str, Any]) -> list:
    """Return all values of an entry of a space, in its order.

    Those of a range are ``min``, ``min + step`` and so on to at most ``max``: whole numbers where
    all three are. Numbers of ``values`` are all whole or all floating.
    """
    if "values" in entry:
        listed = list(entry["values"])
        mixed = all(_is_number(value) for value in listed) and any(
            not isinstance(value, Integral) for value in listed
        )
        return [float(value) for value in listed] if mixed else listed
    return [_nth(entry, index) for index in range(_length(entry))]


def combinations(space: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many different trials a valid space allows."""
    return math.prod(len(choices(entry)) for entry in space.values())


def brackets(max_epochs: int, factor: int) -> list[int]:
    """Return how many trials each bracket of Hyperband begins with, the largest first.

    Those of the first bracket train for one or two epochs, and one in ``factor`` goes on; those of
    the last train for ``max_epochs``.

    Example:
        >>> brackets(9, 3)
        [9, 5, 3]
    """
    count, epochs = 0, float(max_epochs)
    while epochs >= 1:
        epochs, count = epochs / factor, count + 1
    last = math.ceil(1 + math.log(max_epochs, factor))
    return [math.ceil(last / (number + 1) * factor**number) for number in reversed(range(count))]


def too_few(tune: Mapping[str, Any]) -> str:
    """Return why a search would never halve its trials, "" where it does.

    Hyperband compares the trials of a bracket when all of them have ended, and ends itself when it
    finds no trial that it has not made yet.
    """
    asked, there = brackets(tune["max_epochs"], tune["factor"])[0], combinations(tune["space"])
    if there >= asked:
        return ""
    fewer = next(
        (n for n in range(tune["max_epochs"], 0, -1) if brackets(n, tune["factor"])[0] <= there), 0
    )
    lower = f"lower max_epochs to {fewer}, or " if fewer else ""
    return (
        f"max_epochs {tune['max_epochs']} and factor {tune['factor']} begin with {asked} short "
        f"trials, of which the best go on, but the space has {there} combinations: {lower}"
        "give the space more values"
    )


def problems(model: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the space of a model's search, one line per problem.

    ``model`` has ``tune``, whose shape the schema has checked, and under ``architecture`` or
    ``head`` the list of its layers, which must be valid (see `layers.problems`). Lines begin with
    the key below ``tune``.
    """
    key = "architecture" if "architecture" in model else "head"
    own, space = model[key], model["tune"]["space"]
    wrong = [
        f"space.{name}: {problem}"
        for name, entry in space.items()
        for problem in _space_problems(name, entry, own, key == "head")
    ]
    used = names(own)
    wrong += [f"space: ${name} of the {key} is missing" for name in sorted(used - set(space))]
    unused = [name for name in space if name not in used and name != LEARNING_RATE]
    return wrong + [f"space.{name}: no layer of the {key} has ${name}" for name in unused]


def _items(value: Any) -> list:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _replaced(value: Any, values: Mapping[str, Any]) -> Any:
    """Return the structure with every ``$name`` that has a value replaced by it."""
    if isinstance(value, Mapping):
        return {key: _replaced(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, values) for item in value]
    return values.get(placeholder(value), value)


def _space_problems(name: str, entry: Any, own: Sequence, head: bool) -> Iterator[str]:
    """Yield why an entry is invalid, or which of its values the model cannot take."""
    if unreadable := _unreadable(entry):
        yield unreadable
        return
    before = set(layers.problems(own, head))
    for value in _extremes(entry):
        if name == LEARNING_RATE and not (_is_number(value) and 0 < value <= 1000):
            yield f"{value!r} is not a learning rate: expected a number above 0, to 1000"
        after = layers.problems(_replaced(own, {name: value}), head)
        yield from (f"{value!r}: {problem}" for problem in after if problem not in before)


def _unreadable(entry: Any) -> str:
    """Return why an entry is neither a list of values nor a range; "" where it is one."""
    form = "expected {values: [...]} or {min: ..., max: ..., step: ...}"
    if not isinstance(entry, Mapping):
        return f"{entry!r}: {form}"
    if set(entry) == {"values"}:
        values = entry["values"]
        if not isinstance(values, list | tuple):
            return f"values is {values!r}, not a list"
        if not values:
            return "values is empty"
        if large := [v for v in values if isinstance(v, Real) and not abs(v) <= LARGEST]:
            return f"values has {large[0]!r}: expected numbers to {LARGEST:g}"
        if not (all(map(_is_number, values)) or all(isinstance(v, str) for v in values)):
            return f"values {list(values)!r} are neither all numbers nor all text"
        twice = sorted({value for value in values if values.count(value) > 1})
        return f"values has {twice[0]!r} more than once" if twice else ""
    if set(entry) != set(RANGE_KEYS):
        return f"it has {', '.join(map(str, entry)) or 'no keys'}: {form}"
    for key in RANGE_KEYS:
        if not _is_number(entry[key]):
            return f"{key} is {entry[key]!r}, not a number"
    if entry["min"] > entry["max"]:
        return f"min {entry['min']} is larger than max {entry['max']}"
    if entry["step"] <= 0:
        return f"step is {entry['step']}: expected more than 0"
    if entry["max"] - entry["min"] > MOST * entry["step"]:
        return f"step {entry['step']} is too small: it gives more than {MOST} values"
    return ""


def _extremes(entry: Mapping[str, Any]) -> list:
    """Return the values to try in a model: all listed ones, or both ends of a range.

    The numbers that a layer accepts form an interval (see `layers.problems`).
    """
    if "values" in entry:
        return choices(entry)
    return sorted({_nth(entry, 0), _nth(entry, _length(entry) - 1)})


def _length(entry: Mapping[str, Any]) -> int:
    """Return the number of values of a range; a last step may miss ``max`` by rounding."""
    return math.floor((entry["max"] - entry["min"]) / entry["step"] + 1e-9) + 1


def _nth(entry: Mapping[str, Any], index: int) -> int | float:
    value = entry["min"] + index * entry["step"]
    whole = all(isinstance(entry[key], Integral) for key in RANGE_KEYS)
    return value if whole else round(float(value), DIGITS)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return abs(value) <= LARGEST  # neither is NaN
