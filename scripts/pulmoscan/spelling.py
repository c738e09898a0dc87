"""Names in messages: the closest of the known ones to a misspelt one, and the first of many."""

import difflib
from collections.abc import Collection, Sequence


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name whose spelling is closest to ``name``, None if none is close."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def guess(name: str, known: Collection[str]) -> str:
    """Return ``did you mean 'x'?`` and a space, or an empty text if no known name is close."""
    close = nearest(name, known)
    return f"did you mean {close!r}? " if close else ""


def unknown(name: str, known: Collection[str]) -> str:
    """Return a message about a name that is not among the known ones, with a suggestion."""
    return f"no {name!r}: {guess(name, known)}It is one of {', '.join(known)}"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
