"""Pairs of images that may show one radiograph: mirrored, inverted, cropped, framed or turned.

Every image is described by the lower frequencies of its cosine transform, all frequencies with
about the same weight, so that the outline of the chest, which all patients share, does not decide.
In this description a mirrored image has the odd horizontal frequencies negated, an inverted one has
all negated: with E and O the products over the even and the odd ones, the best of the four versions
has the correlation |E| + |O|, which takes no more time than one. What remains is tried: parts of
one image, which the other may be.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pulmoscan.data import margins

LEAST = 0.79  # correlation of the descriptions

_SIDE = 32
_KEPT = 16  # frequencies in each direction
_LOWEST = 3.0
_NORM = 250  # of the descriptions, in whole numbers of 8 bits: their products are exact in float32
_AROUND = 4.0  # pixels, a standard deviation: where contrast is made equal
_FAINT = 1.0  # grey levels squared: fainter detail is noise
_LEAST_NORM = 1e-3
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_IMAGES, _COLUMNS = 400, 2048  # images, and views of others, that are compared at a time
_TRIED = 3  # ways to lay one image over another, of those that look best

_CROPS = (0.03, 0.06, 0.09)
_SHIFT = 0.05
_DEGREES = 2.5


def placed(top: float, bottom: float, left: float, right: float) -> np.ndarray:
    """Return the map, 3 x 3, from the unit square to a part of it."""
    return np.array([[right - left, 0, left], [0, bottom - top, top], [0, 0, 1]])


def _turned(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x = 0.5 - 0.5 * cosine + 0.5 * sine
    y = 0.5 - 0.5 * sine - 0.5 * cosine
    return np.array([[cosine, -sine, x], [sine, cosine, y], [0, 0, 1]])


# What is tried: the whole image, its centre, its corners, all but one side, and turned.
PLACES = (
    placed(0, 1, 0, 1),
    *(placed(crop, 1 - crop, crop, 1 - crop) for crop in _CROPS),
    *(
        placed(top, 1 - _SHIFT + top, left, 1 - _SHIFT + left)
        for top in (0, _SHIFT)
        for left in (0, _SHIFT)
    ),
    placed(_SHIFT, 1, 0, 1),
    placed(0, 1 - _SHIFT, 0, 1),
    placed(0, 1, _SHIFT, 1),
    placed(0, 1, 0, 1 - _SHIFT),
    _turned(_DEGREES),
    _turned(-_DEGREES),
)

MIRROR = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]])

_FREQUENCY = np.hypot(*np.mgrid[:_KEPT, :_KEPT])
_USED = (_FREQUENCY >= _LOWEST) & (_FREQUENCY < _KEPT)
_ODD = (np.indices((_KEPT, _KEPT))[1] % 2 == 1)[_USED]
_ORDER = np.argsort(_ODD, kind="stable")
_EVEN = int((~_ODD).sum())  # how many of the used frequencies are even; they come first


class Way(NamedTuple):
    """One way to lay an image over another.

    Attributes:
        score: Correlation of their descriptions.
        frame_a: Frame of the one image, see ``margins.frames``.
        frame_b: Frame of the other.
        onto_b: Map from the unit square of frame b, mirrored or not, to that of frame a.
        mirrored: Whether frame b is mirrored first.
        inverted: Whether the grey levels run the other way.
    """

    score: float
    frame_a: margins.Frame
    frame_b: margins.Frame
    onto_b: np.ndarray
    mirrored: bool
    inverted: bool


@dataclass(frozen=True)
class Views:
    """The frames of n images, image by image, and how each looks.

    Attributes:
        image: m positions of images, ascending.
        frames: m frames.
        looks: ``len(PLACES)`` x m x d int8: every place of every frame, even frequencies first.
    """

    image: np.ndarray
    frames: list[margins.Frame]
    looks: np.ndarray


def views(pixels: Callable[[int], np.ndarray], rows: Iterable[int], map_: Callable = map) -> Views:
    """Describe images.

    Args:
        pixels: returns the s x s uint8 image of a row.
        rows: the rows of interest; positions in what is returned count in them.
        map_: applies a function to the rows.
    """

    def work(row: int) -> tuple[list[margins.Frame], list[np.ndarray]]:
        image = pixels(row)
        frames = margins.frames(image)
        return frames, [
            _looks(image[top:bottom, left:right]) for top, bottom, left, right in frames
        ]

    found = list(map_(work, rows))
    counts = [len(frames) for frames, _ in found]
    looks = [one for _, several in found for one in several]
    shape = (len(PLACES), 0, len(_ORDER))
    return Views(
        np.repeat(np.arange(len(found)), counts),
        [frame for frames, _ in found for frame in frames],
        np.stack(looks, axis=1) if looks else np.zeros(shape, np.int8),
    )


def blocks(a: Views) -> list[slice]:
    """Return the rows of ``a`` that `pairs` compares at a time: those of whole images."""
    starts = np.searchsorted(a.image, np.arange(0, a.image.max(initial=-1) + 1, _IMAGES))
    return [slice(*edges) for edges in itertools.pairwise([*starts.tolist(), len(a.image)])]


def pairs(a: Views, b: Views, rows: slice) -> list[tuple[int, int, list[Way]]]:
    """Return the images that look alike, with the best ways to lay one over the other.

    Args:
        a: one set of images, of which a block is compared.
        b: another one, or the same: then each pair is found once, as (earlier, later).
        rows: one of `blocks`.
    """
    first = rows.start if a is b else 0
    ways: dict[tuple[int, int], list[Way]] = {}
    for place, inner in enumerate(PLACES):
        for of_a in (True, False) if place else (True,):
            for row, column, even, odd in _hits(a, b, rows, first, place, of_a):
                pair = int(a.image[row]), int(b.image[column])
                if a is b and pair[0] >= pair[1]:
                    continue
                mirrored = (even < 0) != (odd < 0)
                way = Way(
                    float(abs(even) + abs(odd)) / _NORM**2,
                    a.frames[row],
                    b.frames[column],
                    _laid(inner, mirrored, of_a),
                    mirrored,
                    bool(even < 0),
                )
                ways.setdefault(pair, []).append(way)
    return [(*pair, _best(ways[pair])) for pair in sorted(ways)]


def _looks(part: np.ndarray) -> np.ndarray:
    """Return ``len(PLACES)`` x d int8."""
    reduced = cv2.resize(part, (2 * _SIDE, 2 * _SIDE), interpolation=cv2.INTER_AREA)
    lines = detail(reduced.astype(np.float32))
    looks = np.empty((len(PLACES), len(_ORDER)), np.int8)
    for index, half in enumerate(_HALVES):
        # Between four pixels, bilinear interpolation is their mean.
        shown = cv2.warpAffine(
            lines, half, (_SIDE, _SIDE), flags=_WARP, borderMode=cv2.BORDER_REPLICATE
        )
        low = (cv2.dct(shown)[:_KEPT, :_KEPT] * _FREQUENCY)[_USED][_ORDER]
        norm = np.sqrt(low @ low)
        scaled = low * (_NORM / norm) if norm > _LEAST_NORM else np.zeros_like(low)
        looks[index] = np.clip(np.rint(scaled), -127, 127)
    return looks


def detail(image: np.ndarray, fine: float = 0.0, coarse: float = 4.0) -> np.ndarray:
    """Return what is between two widths, with the contrast around every pixel made equal.

    A changed exposure, an equalised histogram or an inversion leave it much as it is.

    Args:
        image: s x s float32 grey levels.
        fine: standard deviation in pixels of what is smoothed away; 0 for nothing.
        coarse: that of what is taken away.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), fine) if fine else image
    found = smooth - cv2.GaussianBlur(image, (0, 0), coarse)
    return found / np.sqrt(cv2.GaussianBlur(found * found, (0, 0), _AROUND) + _FAINT)


def in_pixels(place: np.ndarray, side: int, shown: int | None = None) -> np.ndarray:
    """Return a map of the unit square as one of pixels, for OpenCV: 2 x 3 float32.

    Args:
        place: the map.
        side: of the image in pixels.
        shown: of what is shown of it; the same if None.
    """
    return (np.linalg.inv(_centres(side)) @ place @ _centres(shown or side))[:2].astype(np.float32)


def in_unit(warp: np.ndarray, side: int) -> np.ndarray:
    """Return the inverse of `in_pixels`: 3 x 3."""
    return _centres(side) @ np.vstack([warp, [0, 0, 1]]) @ np.linalg.inv(_centres(side))


def _centres(side: int) -> np.ndarray:
    """Return the map from pixels, counted from the centre of the first, to the unit square."""
    return np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]])


def warped(image: np.ndarray, place: np.ndarray, border: int) -> np.ndarray:
    """Return the part of an s x s image that a map of the unit square shows, at its size."""
    return cv2.warpAffine(
        image,
        in_pixels(place, len(image)),
        image.shape[::-1],
        flags=_WARP,
        borderMode=border,
    )


def _laid(inner: np.ndarray, mirrored: bool, of_a: bool) -> np.ndarray:
    """Return the map from the (mirrored) unit square of b to that of a."""
    if of_a:
        return inner
    return np.linalg.inv(MIRROR @ inner @ MIRROR if mirrored else inner)


def _best(ways: list[Way]) -> list[Way]:
    """Return the best way of each pair of frames, the best of all first."""
    found: dict[tuple[margins.Frame, margins.Frame], Way] = {}
    for way in sorted(ways, key=lambda way: -way.score):
        found.setdefault((way.frame_a, way.frame_b), way)
    return list(found.values())[:_TRIED]


def _hits(
    a: Views, b: Views, rows: slice, first: int, place: int, of_a: bool
) -> Iterator[tuple[int, int, float, float]]:
    """Yield rows of ``a``, rows of ``b``, and the products of even and of odd frequencies."""
    in_a, in_b = (place, 0) if of_a else (0, place)
    one = a.looks[in_a, rows].astype(np.float32)
    room = np.empty((2, len(one), _COLUMNS), np.float32)  # in the cache, and not made anew
    for begin in range(first, len(b.image), _COLUMNS):
        other = b.looks[in_b, begin : begin + _COLUMNS].astype(np.float32)
        even, odd = room[:, :, : len(other)]
        np.matmul(one[:, :_EVEN], other[:, :_EVEN].T, out=even)
        np.matmul(one[:, _EVEN:], other[:, _EVEN:].T, out=odd)
        np.abs(even, out=even)
        np.abs(odd, out=odd)
        even += odd
        hits = np.flatnonzero(even >= LEAST * _NORM**2)  # of a plane, nonzero() takes longer
        for row, column in zip(*np.divmod(hits, len(other)), strict=True):
            products = one[row] * other[column]
            yield (
                rows.start + row,
                begin + column,
                products[:_EVEN].sum(),
                products[_EVEN:].sum(),
            )


_HALVES = [in_pixels(place, 2 * _SIDE, _SIDE) for place in PLACES]
