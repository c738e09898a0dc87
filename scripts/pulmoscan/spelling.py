"""What to say of a name that there is not: the nearest one that there is."""

import difflib
from collections.abc import Collection


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is spelled most like ``name``, None where none is like it."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def guess(name: str, known: Collection[str]) -> str:
    """Return ``did you mean 'x'?`` and a space, or nothing."""
    close = nearest(name, known)
    return f"did you mean {close!r}? " if close else ""


def unknown(name: str, known: Collection[str]) -> str:
    """Return what is wrong with a name that is not among the known ones, with a guess."""
    return f"no {name!r}: {guess(name, known)}It is one of {', '.join(known)}"
