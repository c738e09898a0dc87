"""What an image shows to a network: a pure function of the packed image and its mask.

An entry of ``pixels:`` in the configuration names a ``region`` (where the image is kept; elsewhere
it is black), then the steps of ``enhance`` in their order (see `enhancement`), and optionally a
``reduce`` that replaces the image. `REGIONS` and `REDUCTIONS` list them all: a new one is a
function and an entry here. They are applied when a batch is read, so no array is stored for each
kind of pixels.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Union

import cv2
import numpy as np

from pulmoscan.inputs import enhancement

if TYPE_CHECKING:
    from pulmoscan.storage.arrays import NpyFile

GREY_LEVELS = 256
BATCH = 256  # images whose pixels are computed at once


def lungs(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return new images, black outside the lungs."""
    return images * masks


def outside(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return new images, black inside the lungs."""
    return images * (1 - masks)


def full(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return a copy of the whole images."""
    return np.array(images)


def histograms(images: np.ndarray) -> np.ndarray:
    """Return each image's counts of grey levels without the zeros, scaled to 0..1 by min and max.

    Black is what the mask leaves out, so level 0 counts nothing. An image that is all black gives
    zeros.

    Args:
        images: n x s x s uint8.

    Returns:
        n x 256 float32; the most frequent level of an image is 1.
    """
    counts = np.zeros((len(images), GREY_LEVELS), np.float32)
    for index, image in enumerate(images):
        counts[index, 1:] = np.bincount(image.ravel(), minlength=GREY_LEVELS)[1:]
    # The minimum is that of level 0, which is always zero: the maximum alone scales.
    return counts / np.maximum(counts.max(axis=1, keepdims=True, initial=0), 1)


def needs_mask(settings: Mapping) -> bool:
    """Return whether a kind of pixels, an entry of ``pixels:``, shows what only a mask can tell."""
    return settings["region"] != "full"


Region = Callable[[np.ndarray, np.ndarray], np.ndarray]  # images, masks -> images, n x s x s uint8
Reduction = Callable[[np.ndarray], np.ndarray]  # images, n x s x s uint8 -> n x ...

REGIONS: Mapping[str, Region] = {"lungs": lungs, "outside": outside, "full": full}
REDUCTIONS: Mapping[str, Reduction] = {"histogram": histograms}


def apply(
    images: np.ndarray, masks: np.ndarray, settings: Mapping, size: int | None = None
) -> np.ndarray:
    """Return what a network sees of a batch.

    Args:
        images: n x s x s uint8 grey images.
        masks: n x s x s uint8, 1 inside the lungs and 0 outside.
        settings: an entry of ``pixels:``, see the module.
        size: width and height of the result in pixels; None keeps s. A histogram has no size and
            is counted on the packed image.

    Returns:
        n x size x size uint8, resized bilinearly after the enhancement; with
        ``reduce: histogram`` n x 256 float32 in 0..1, see `histograms`.

    Raises:
        ValueError: the shapes of images and masks differ.
    """
    if images.shape != masks.shape:
        raise ValueError(f"images of shape {images.shape} but masks of shape {masks.shape}")
    shown = REGIONS[settings["region"]](images, masks)
    if enhance := settings.get("enhance"):
        for index, image in enumerate(shown):
            shown[index] = enhancement.apply(image, enhance)
    if "reduce" in settings:
        return REDUCTIONS[settings["reduce"]](shown)
    return _resized(shown, size)


def apply_to_rows(
    images: Union[np.ndarray, "NpyFile"],
    masks: Union[np.ndarray, "NpyFile"],
    rows: np.ndarray,
    settings: Mapping,
) -> np.ndarray:
    """Return what `apply` gives for rows of the packed arrays, of which one batch is in memory."""
    starts = range(0, max(len(rows), 1), BATCH)
    parts = [rows[start : start + BATCH] for start in starts]
    return np.concatenate([apply(images[part], masks[part], settings) for part in parts])


def with_channel(x: np.ndarray) -> np.ndarray:
    """Return pixels or histograms as networks take them: float32, with a last axis of length 1."""
    # Indexing by None would give that axis a stride of 0, which JAX copies element by element.
    return x.astype("float32", copy=False).reshape(*x.shape, 1)


def _resized(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[1:] == (size, size):
        return images
    resized = np.empty((len(images), size, size), images.dtype)
    for index, image in enumerate(images):
        cv2.resize(image, (size, size), dst=resized[index], interpolation=cv2.INTER_LINEAR)
    return resized
