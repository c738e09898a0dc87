"""Lung masks in every form in which people store them: which of their pixels are lung.

A mask of the database is grey with 0 outside and 255 inside. Others hold two other values, one
value or colour per lung, or soft edges; what was made of them is recorded. What fits none of these
forms is refused, since a guess would show in no later number.
"""

from dataclasses import dataclass

import cv2
import numpy as np

STANDARD = "0, 255"
_VALUES_NAMED = 6  # in the form of a mask
_FEW = 64  # values or colours; noise of compression has more
_EXTREME = 1 / 8  # of the full scale: closer to an end of it is dark or light
_MOST_GREY = 0.25  # of the pixels, neither dark nor light
_LABELLED = 0.05  # of the even areas that are not dark: more between dark and light are labels
_INVERTED = 0.5  # of the pixels; no mask of 800 covers more than 0.47 or any corner


@dataclass(frozen=True)
class Lungs:
    """What a mask means.

    Attributes:
        inside: h x w uint8, 255 inside the lungs and 0 outside.
        form: What the pixels hold and what counts as lung, in a few words; ``STANDARD`` for masks
            as in the database.
    """

    inside: np.ndarray
    form: str


def standard(grey: np.ndarray) -> bool:
    """Return whether all h x w uint8 pixels are 0 or 255: only then do they have this sum."""
    return cv2.sumElems(grey)[0] == 255 * cv2.countNonZero(grey)


def lungs(pixels: np.ndarray) -> Lungs:
    """Return which pixels of a mask are lung.

    Args:
        pixels: h x w, or h x w x 3 or 4 (BGR, alpha), uint8 or uint16, as OpenCV decodes a PNG.

    Raises:
        ValueError: with the reason. All pixels are equal, or many are neither dark nor light and
            form no even areas either.
    """
    values, form = _single_channel(pixels)
    counts = np.bincount(values.ravel())
    levels = np.flatnonzero(counts)
    if len(levels) == 1:
        raise ValueError(_even(int(levels[0]), values.dtype))
    named = ", ".join(map(str, levels[:_VALUES_NAMED])) + (", ..." * (len(levels) > _VALUES_NAMED))
    if len(levels) == 2:
        form = form or (STANDARD if levels.tolist() == [0, 255] else f"{named}: the higher is lung")
        return Lungs(_white(values == levels[1]), form)
    lowest, full = int(levels[0]), int(levels[-1])
    low = lowest if len(levels) <= _FEW else max(lowest, int(full * _EXTREME))
    if form or _is_labelled(values, low, full):
        return Lungs(_white(values > low), form or f"{named}: all above {low} is lung")
    grey = counts[int(full * _EXTREME) + 1 : int(full * (1 - _EXTREME))].sum() / values.size
    if grey > _MOST_GREY:
        raise ValueError(f"mask is a picture: {grey:.0%} of its pixels are neither dark nor light")
    threshold = full // 2
    return Lungs(_white(values > threshold), f"grey levels: above {threshold} is lung")


def problem(mask: np.ndarray) -> str | None:
    """Return why a mask cannot be one of lungs, None if it can.

    Args:
        mask: s x s uint8, 1 inside the lungs.
    """
    inside = cv2.countNonZero(mask)
    if inside == 0:
        return "mask is all black"
    if inside == mask.size:
        return "mask is all white"
    if inside > _INVERTED * mask.size and mask[:: len(mask) - 1, :: len(mask) - 1].all():
        share = inside / mask.size
        return f"mask looks inverted: it covers all corners and {share:.0%} of the image"
    return None


def _single_channel(pixels: np.ndarray) -> tuple[np.ndarray, str]:
    """Return h x w values, and the form of the mask if it is one of colours or of alpha."""
    if pixels.ndim == 2:
        return pixels, ""
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    first = colour[..., 0]
    if (colour == first[..., None]).all():
        if alpha.size and first.min() == first.max() and alpha.min() != alpha.max():
            return np.ascontiguousarray(alpha[..., 0]), ""
        return np.ascontiguousarray(first), ""
    # A label of any colour has one channel at least that is not dark.
    brightest = colour.max(axis=2)
    colours = len(np.unique(colour.reshape(-1, 3), axis=0))
    if colours <= _FEW:
        return brightest, f"{colours} colours: all but black is lung"
    return brightest, ""


def _is_labelled(values: np.ndarray, low: int, full: int) -> bool:
    """Return whether whole areas, and not edges alone, lie between dark and light."""
    around = np.ones((3, 3), np.uint8)
    even = cv2.erode(values, around) == cv2.dilate(values, around)
    light = full - max(low, 1)
    above = np.count_nonzero(even & (values > low))
    between = np.count_nonzero(even & (values > low) & (values <= light))
    return between > _LABELLED * max(above, 1)


def _even(value: int, dtype: np.dtype) -> str:
    if value == 0:
        return "mask is all black"
    white = value in (255, np.iinfo(dtype).max)
    return "mask is all white" if white else f"mask has no value but {value}"


def _white(inside: np.ndarray) -> np.ndarray:
    return np.where(inside, np.uint8(255), np.uint8(0))
