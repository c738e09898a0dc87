"""Lay one image over another and measure how well their detail agrees.

The outline of a chest is much the same in all patients, and once laid over each other, two of them
correlate at 0.9 and more. Their ribs, vessels and markings do not agree: compared is what is one or
two pixels wide, with the contrast around every pixel made equal, which a changed exposure, an
equalised histogram or an inversion leave as it is.
"""

from typing import NamedTuple

import cv2
import numpy as np

from pulmoscan.data import lookalikes, margins

# Compared at two sizes; at the first, most of what only looks alike drops out in little time.
_SIDES = (64, 128)
_LEAST = {64: 0.6, 128: 0.81}  # correlation of the detail
_LEAST_OF_SMALL = 0.78  # where images are too small for the second size
_DETAIL = {64: (0.7, 1.5), 128: (1.0, 2.0)}  # standard deviations in pixels: what is between them
_OUTLINE = (0.7, 4.0)  # the same, of what is laid over each other
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_SMOOTHED = 3  # pixels
_MOST_STRETCHED = 1.35
_LEAST_SHARED = 0.5  # of the image
_TURNED = np.sin(np.radians(1))
_CUT = 0.015  # of the side
_MOVED = 0.004


class Aligned(NamedTuple):
    """How an image lies on another.

    Attributes:
        correlation: Of their detail where both show something.
        onto_b: Map from the (mirrored) unit square of the frame of b to that of a.
    """

    correlation: float
    onto_b: np.ndarray


def aligned(a: np.ndarray, b: np.ndarray, way: lookalikes.Way) -> Aligned | None:
    """Return how image ``a`` lies on ``b``; None if they do not show the same.

    Args:
        a: s x s uint8.
        b: the same.
        way: about how they lie.
    """
    parts = [_part(a, way.frame_a), _part(b, way.frame_b)]
    if way.mirrored:
        parts[1] = parts[1][:, ::-1]
    onto_b = way.onto_b
    correlation = 0.0
    for side in _SIDES:
        if side > max(len(a), _SIDES[0]):
            return Aligned(correlation, onto_b) if correlation >= _LEAST_OF_SMALL else None
        one, other = (
            cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
            for part in parts
        )
        if way.inverted:
            one = 255 - one
        found = _laid_over(one, other, onto_b, side)
        if found is None:
            return None
        onto_b = found
        correlation = _agreement(one, other, onto_b, side)
        if correlation < _LEAST[side]:
            return None
    return Aligned(correlation, onto_b)


def _part(image: np.ndarray, frame: margins.Frame) -> np.ndarray:
    top, bottom, left, right = frame
    return image[top:bottom, left:right]


def _laid_over(
    one: np.ndarray, other: np.ndarray, onto_b: np.ndarray, side: int
) -> np.ndarray | None:
    """Return the affine map that maximises the correlation; None if there is none nearby."""
    start = lookalikes.in_pixels(onto_b, side)
    try:
        _, warp = cv2.findTransformECC(
            lookalikes.detail(other, *_OUTLINE),
            lookalikes.detail(one, *_OUTLINE),
            start,
            cv2.MOTION_AFFINE,
            _STEPS,
            None,
            _SMOOTHED,
        )
    except cv2.error:  # it does not converge
        return None
    stretched = np.linalg.svd(warp[:, :2], compute_uv=False)
    if stretched[0] > _MOST_STRETCHED or stretched[1] < 1 / _MOST_STRETCHED:
        return None
    return lookalikes.in_unit(warp, side)


def _agreement(one: np.ndarray, other: np.ndarray, onto_b: np.ndarray, side: int) -> float:
    """Return the correlation of the detail of both, away from the edges of what both show."""
    laid = lookalikes.warped(one, onto_b, cv2.BORDER_REPLICATE)
    inside = np.zeros(one.shape, np.uint8)
    edge = 2 * side // 64
    inside[edge:-edge, edge:-edge] = 1
    shared = lookalikes.warped(inside, onto_b, cv2.BORDER_CONSTANT) * inside
    if shared.mean() < _LEAST_SHARED:
        return 0.0
    x, y = (lookalikes.detail(image, *_DETAIL[side])[shared > 0] for image in (laid, other))
    return float(np.corrcoef(x, y)[0, 1])


def change(a: np.ndarray, b: np.ndarray, way: lookalikes.Way, laid: Aligned) -> str:
    """Return how an image that lies on another differs from it, in words joined by ", ".

    ``mirrored`` (left and right), ``inverted`` (grey levels), ``rotated``, ``cropped`` (either
    shows less of the radiograph), ``margin`` (either has a constant one that the other does not
    have); where none of these is true, ``moved``, or ``contrast`` if only the grey levels differ.

    Args:
        a: s x s uint8.
        b: the same.
        way: how they were laid over each other.
        laid: the result.
    """
    shown_a, shown_b = (_unit(margins.frames(image)[-1], len(image)) for image in (a, b))
    used_a, used_b = _unit(way.frame_a, len(a)), _unit(way.frame_b, len(b))
    if way.mirrored:
        shown_b, used_b = (lookalikes.MIRROR @ one @ lookalikes.MIRROR for one in (shown_b, used_b))
    onto_a = used_a @ laid.onto_b @ np.linalg.inv(used_b)
    stretch = np.sqrt(abs(np.linalg.det(onto_a[:2, :2])))
    sine = (onto_a[1, 0] - onto_a[0, 1]) / (2 * stretch)
    words = {
        "mirrored": way.mirrored,
        "inverted": way.inverted,
        "rotated": abs(sine) > _TURNED,
        "cropped": _differ(_sides(onto_a @ shown_b), _sides(shown_a), _CUT),
        "margin": _differ(_sides(shown_b), _sides(shown_a), _CUT),
    }
    found = [word for word, holds in words.items() if holds]
    moved = _differ(_sides(onto_a), _sides(np.eye(3)), _MOVED)
    return ", ".join(found) or ("moved" if moved else "contrast")


def _unit(frame: margins.Frame, side: int) -> np.ndarray:
    """Return the map from the unit square to a frame of an image."""
    return lookalikes.placed(*(edge / side for edge in frame))


def _sides(place: np.ndarray) -> np.ndarray:
    """Return where the sides of a mapped unit square are, at their middle: left ... bottom."""
    middles = place @ np.array([[0, 1, 0.5, 0.5], [0.5, 0.5, 0, 1], [1, 1, 1, 1]])
    return np.array([*middles[0, :2], *middles[1, 2:]])


def _differ(one: np.ndarray, other: np.ndarray, limit: float) -> bool:
    return bool(np.abs(one - other).max() > limit)
