"""Steps that change the grey levels of an image before a network sees it.

An entry of ``enhance`` is a word (`equalize`), or a mapping of a step to its value (`{blur: 5}`) or
to its options (`{clahe: {clip: 2.0, tiles: 8}}`). `STEPS` lists them all: a new one is a function
and an entry here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np

from pulmoscan import spelling

LEVELS = np.arange(256)


def equalize(image: np.ndarray) -> np.ndarray:
    """Return an image (s x s uint8) whose histogram is equalised."""
    return cv2.equalizeHist(image)


def clahe(image: np.ndarray, clip: float, tiles: int) -> np.ndarray:
    """Return an image (s x s uint8) after contrast-limited adaptive histogram equalisation.

    Args:
        image: s x s uint8.
        clip: how often a grey level may occur in a tile, as a multiple of the mean.
        tiles: number of tiles along a side, each of which is equalised by itself.

    Source: Zuiderveld (1994), Graphics Gems IV, VIII.5, as OpenCV computes it.
    """
    return cv2.createCLAHE(clip, (tiles, tiles)).apply(image)


def blur(image: np.ndarray, size: int) -> np.ndarray:
    """Return an image (s x s uint8) after a Gaussian blur of size x size pixels."""
    return cv2.GaussianBlur(image, (size, size), 0)


def gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """Return an image (s x s uint8) whose grey levels, as 0..1, are raised to an exponent."""
    return np.round(255 * (LEVELS / 255) ** exponent).astype(np.uint8)[image]


@dataclass(frozen=True)
class Option:
    """A number that a step takes.

    Attributes:
        low, high: its limits, both included.
        default: its value where none is given; None: it must be given.
        whole: whether it is a whole number.
        odd: whether it is an odd one.
    """

    low: float
    high: float
    default: float | None = None
    whole: bool = False
    odd: bool = False

    @property
    def kind(self) -> str:
        """What values are, in words."""
        return "an odd number" if self.odd else "a whole number" if self.whole else "a number"

    def expected(self, value: Any) -> str:
        """Return what a value must be, or "" if it is valid."""
        valid = isinstance(value, Real) and not isinstance(value, bool)
        valid = valid and self.low <= value <= self.high
        if self.whole or self.odd:
            valid = valid and isinstance(value, Integral) and (not self.odd or value % 2 == 1)
        return "" if valid else f"{self.kind} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Step:
    """A step of ``enhance``.

    Attributes:
        change: image (s x s uint8) and options to a new image of that kind.
        options: by name; the first is the one that a bare value gives.
    """

    change: Callable[..., np.ndarray]
    options: Mapping[str, Option] = field(default_factory=dict)


STEPS: dict[str, Step] = {
    "equalize": Step(equalize),
    "clahe": Step(clahe, {"clip": Option(0.01, 100, 2.0), "tiles": Option(1, 64, 8, whole=True)}),
    "blur": Step(blur, {"size": Option(1, 99, 5, odd=True)}),
    "gamma": Step(gamma, {"exponent": Option(0.01, 100)}),
}


def problems(entries: Any) -> Iterator[str]:
    """Yield one line per problem of a list of steps, beginning with its position, from 1.

    Example:
        >>> list(problems(["equalize", {"blur": 4}]))
        ['step 2: size of blur is 4: expected an odd number from 1 to 99']
    """
    for position, entry in enumerate(entries, start=1):
        yield from (f"step {position}: {problem}" for problem in _entry_problems(entry))


def apply(image: np.ndarray, entries: list) -> np.ndarray:
    """Return an image (s x s uint8) after steps without `problems`, in their order."""
    for entry in entries:
        name, given = _parts(entry)
        step = STEPS[name]
        defaults = {option: known.default for option, known in step.options.items()}
        image = step.change(image, **defaults | given)
    return image


def _parts(entry: str | Mapping) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a step and the options that an entry gives it."""
    if isinstance(entry, str):
        return entry, {}
    ((name, given),) = entry.items()
    if isinstance(given, Mapping):
        return name, given
    return name, {next(iter(STEPS[name].options), "value"): given}


def _entry_problems(entry: Any) -> Iterator[str]:
    if not isinstance(entry, str) and not (isinstance(entry, Mapping) and len(entry) == 1):
        yield f"{entry!r} is neither a word nor a mapping of one step to its options"
        return
    name = entry if isinstance(entry, str) else next(iter(entry))
    if name not in STEPS:
        yield f"no step {name!r}: {spelling.guess(str(name), STEPS)}There are {', '.join(STEPS)}"
        return
    name, given = _parts(entry)
    options = STEPS[name].options
    for option, value in given.items():
        if option not in options:
            takes = f"it takes {', '.join(options)}" if options else "it takes none"
            yield f"{name} takes no {option!r}: {takes}"
        elif expected := options[option].expected(value):
            yield f"{option} of {name} is {value!r}: expected {expected}"
    for option, known in options.items():
        if known.default is None and option not in given:
            yield f"{name} needs a value, as in {{{name}: 0.8}}"
