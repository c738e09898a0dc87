"""Eight bits of images that have more, or that say themselves how they are shown.

A detector of 12 bits is often saved in a file of 16, whose upper 8 bits are then nearly black. The
scale of such files is one of the data set and not of the image, so that a dark image stays dark;
where a DICOM file has a window, that is what its users see.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from pulmoscan.data.options import Options

IN_USE, ALL = "bits in use", "all bits"  # how the scale of such an image begins
_USUAL = (8, 10, 12, 14, 16)  # of detectors and displays


@dataclass(frozen=True)
class Table:
    """How a file says that its values are shown.

    Attributes:
        levels: The grey level of every value that it can store, from the lowest, uint8.
        text: Where that comes from.
    """

    levels: np.ndarray
    text: str


def bits_in_use(highest: int) -> int:
    """Return the smallest usual number of bits that holds the value ``highest``."""
    return next(bits for bits in _USUAL if highest < 1 << bits)


def of_data_set(highest: Iterable[int]) -> int:
    """Return the bits in use of a data set, given the highest value of each deep image.

    16 where there is no such image or all of them are black.
    """
    return bits_in_use(max(highest, default=0) or 0xFFFF)


def needs_data_set(bits: int, table: Table | None, options: Options) -> bool:
    """Return whether an image is scaled by the bits that its data set uses.

    Args:
        bits: of the image, per channel.
        table: what its file says of how it is shown.
        options: how the data set is packed.
    """
    return bits > 8 and options.depth == "auto" and table is None


def reduced(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Return the upper 8 of the bits in use.

    Args:
        pixels: uint16, none above ``bits``.
        bits: 8 or more.
    """
    return cv2.convertScaleAbs(pixels >> (bits - 8))


def windowed(pixels: np.ndarray, window: tuple[float, float]) -> tuple[np.ndarray, str]:
    """Return 8 bits between two percentiles of an image, and which values those are.

    Args:
        pixels: h x w uint16.
        window: the percentiles, 0..100, that become black and white.
    """
    counts = np.cumsum(np.bincount(pixels.ravel(), minlength=1 << 16))
    shares = np.asarray(window) / 100 * counts[-1]
    low, high = (int(value) for value in np.searchsorted(counts, shares))
    levels = (np.arange(1 << 16) - low) / max(high - low, 1) * 255
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return table[pixels], f"percentiles: {low} to {high}"
