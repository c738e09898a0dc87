"""Which of the classes that a data set states are taken, and what they are called."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pulmoscan import spelling

Wanted = None | Sequence[str] | Mapping[str, str | None]

_NAMED = 8  # classes that a message names


def taken(wanted: Wanted, found: Counter[str], key: str) -> dict[str, str]:
    """Return what each class that is taken is called, by the name that the data state.

    Args:
        wanted: ``classes`` of the configuration. None takes all under their own names; a list takes
            those that it names; a mapping gives each a name, and None to those that it leaves out.
        found: the number of images of each class that the data state.
        key: of the configuration, for messages.

    Raises:
        ValueError: a class is named that the data do not state, or a mapping does not say what
            becomes of one that they do.

    Example:
        >>> found = Counter({"COVID-19": 5, "unclear": 2})
        >>> taken({"COVID-19": "COVID", "unclear": None}, found, "dataset.classes")
        {'COVID-19': 'COVID'}
    """
    if wanted is None:
        return {name: name for name in sorted(found)}
    for name in wanted:
        if name not in found:
            there = _listed(found) or "no class"
            raise ValueError(
                f"{key} names {name!r}, a class of no image: {spelling.guess(name, found)}"
                f"The data have {there}"
            )
    if not isinstance(wanted, Mapping):
        return {name: name for name in wanted}
    if missing := Counter({name: found[name] for name in found if name not in wanted}):
        raise ValueError(
            f"{key} does not say what becomes of {_listed(missing)}: give each a name, or null to "
            "leave its images out"
        )
    return {name: called for name, called in wanted.items() if called is not None}


def _listed(found: Counter[str]) -> str:
    """Return classes with their number of images, the most frequent first."""
    return spelling.listed([f"{name!r} ({count:,})" for name, count in found.most_common()], _NAMED)
