"""Lung masks in every form in which people store them: which of their pixels are lung.

A mask of the database is grey with 0 outside and 255 inside. Others hold two other values, one
value or colour per lung, or soft edges; what was made of them is recorded. What fits none of these
forms is refused, since a guess would show in no later number.
"""

from dataclasses import dataclass

import cv2
import numpy as np

STANDARD = "0, 255"
WHOLE = "all white: the whole image is lung"
_VALUES_NAMED = 6  # in the form of a mask
_AROUND = np.ones((3, 3), np.uint8)
_LABELS = 0.7  # of the levels have an even area where they are labels
_EXTREME = 1 / 8  # of the full scale: closer to an end of it is dark or light
_MOST_GREY = 0.15  # of the pixels, neither dark nor light
_MOSTLY_EVEN = 0.6  # of the pixels; JPEG leaves more of a mask, and radiographs have less
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


def all_white(pixels: np.ndarray) -> bool:
    """Return whether all of a mask, as OpenCV decodes it, has the highest value."""
    colour = pixels if pixels.ndim == 2 else pixels[..., :3]
    return bool(colour.min() in (255, np.iinfo(pixels.dtype).max) and colour.min() == colour.max())


def lungs(pixels: np.ndarray) -> Lungs:
    """Return which pixels of a mask are lung.

    Args:
        pixels: h x w, or h x w x 3 or 4 (BGR, alpha), uint8 or uint16, as OpenCV decodes a PNG.

    Raises:
        ValueError: with the reason. All pixels are equal, or many are neither dark nor light and
            form no even areas either.
    """
    values, coloured = _single_channel(pixels)
    counts = np.bincount(values.ravel())
    levels = np.flatnonzero(counts)
    if len(levels) == 1:
        raise ValueError(_one_value(int(levels[0]), values.dtype))
    if coloured:
        named = f"{len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0))} colours"
    else:
        more = ", ..." if len(levels) > _VALUES_NAMED else ""
        named = ", ".join(map(str, levels[:_VALUES_NAMED])) + more
    lowest, full = int(levels[0]), int(levels[-1])
    if len(levels) == 2:
        standard_values = not coloured and (lowest, full) == (0, 255)
        what = _above(lowest) if coloured else "the brighter is lung"
        return Lungs(_white(values == full), STANDARD if standard_values else f"{named}: {what}")
    even = cv2.erode(values, _AROUND) == cv2.dilate(values, _AROUND)
    # A label has an area, if a small one; most levels of soft edges and of compression have none.
    if len(np.unique(values[even])) > _LABELS * len(levels):
        dark, light = lowest, full - 1
    else:
        # Compression overshoots: the level of the lungs is the most frequent light one.
        full = full // 2 + int(np.argmax(counts[full // 2 :]))
        dark, light = max(lowest, int(full * _EXTREME)), int(full * (1 - _EXTREME))
    inside = values > dark
    between = np.count_nonzero(even & inside & (values <= light))
    if even.mean() > _MOSTLY_EVEN and between > _LABELLED * np.count_nonzero(even & inside):
        return Lungs(_white(inside), f"{named}: {_above(dark)}")
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


def _single_channel(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return h x w values, and whether they are the brightest channels of colours."""
    if pixels.ndim == 2:
        return pixels, False
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    first = np.ascontiguousarray(colour[..., 0])
    if (colour == first[..., None]).all():
        transparent = alpha.size and first.min() == first.max() and alpha.min() != alpha.max()
        return (np.ascontiguousarray(alpha[..., 0]) if transparent else first), False
    return colour.max(axis=2), True


def _above(dark: int) -> str:
    return f"all above {dark} is lung" if dark else "all but black is lung"


def _one_value(value: int, dtype: np.dtype) -> str:
    if value == 0:
        return "mask is all black"
    white = value in (255, np.iinfo(dtype).max)
    return "mask is all white" if white else f"mask has no value but {value}"


def _white(inside: np.ndarray) -> np.ndarray:
    return np.where(inside, np.uint8(255), np.uint8(0))
