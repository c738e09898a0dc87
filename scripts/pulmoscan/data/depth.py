"""How many bits the images of a data set use, where their files could hold more.

A detector of 12 bits is often saved in a PNG of 16, whose upper 8 bits are then nearly black. The
scale is one of the data set and not of the image, so that a dark image stays dark.
"""

from collections.abc import Iterable

import cv2
import numpy as np

_USUAL = (8, 10, 12, 14, 16)  # of detectors and displays


def bits_in_use(highest: int) -> int:
    """Return the smallest usual number of bits that holds the value ``highest``."""
    return next(bits for bits in _USUAL if highest < 1 << bits)


def of_data_set(highest: Iterable[int]) -> int:
    """Return the bits in use of a data set, given the highest value of each 16-bit image.

    16 where there is no such image or all of them are black.
    """
    return bits_in_use(max(highest, default=0) or 0xFFFF)


def reduced(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Return the upper 8 of the bits in use.

    Args:
        pixels: uint16, none above ``bits``.
        bits: 8 or more.
    """
    return cv2.convertScaleAbs(pixels >> (bits - 8))
