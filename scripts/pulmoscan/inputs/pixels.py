"""What an image shows to a network: a pure function of the packed image and its mask.

An entry of ``pixels:`` in the configuration names a ``region`` (where the image is kept; elsewhere
it is black), then the steps of ``enhance`` in their order, and optionally ``reduce: histogram``,
which replaces the image by its intensity histogram. The functions here are applied when a batch is
read, so no array is stored for each kind of pixels.
"""

from collections.abc import Mapping

import cv2
import numpy as np

REGIONS = ("lungs", "outside", "full")
STEPS = {
    "equalize": cv2.equalizeHist,
    "blur": lambda image: cv2.GaussianBlur(image, (5, 5), 0),
}
REDUCTIONS = ("histogram",)
KEYS = ("region", "enhance", "reduce")
GREY_LEVELS = 256


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
        ValueError: for an unknown key, region, step or reduction, and when the shapes of images
            and masks differ.
    """
    validate(settings)
    if images.shape != masks.shape:
        raise ValueError(f"images of shape {images.shape} but masks of shape {masks.shape}")
    shown = _region(images, masks, settings["region"])
    for step in settings.get("enhance") or ():
        for index, image in enumerate(shown):
            shown[index] = STEPS[step](image)
    if settings.get("reduce") == "histogram":
        return histograms(shown)
    return _resized(shown, size)


def with_channel(x: np.ndarray) -> np.ndarray:
    """Return pixels or histograms as networks take them: float32, with a last axis of length 1."""
    # Indexing by None would give that axis a stride of 0, which JAX copies element by element.
    return x.astype("float32", copy=False).reshape(*x.shape, 1)


def validate(settings: Mapping) -> None:
    """Raise ``ValueError`` for settings that `apply` does not know, naming the valid ones."""
    for key in settings:
        _among(key, KEYS, "key")
    if "region" not in settings:
        raise ValueError(f"pixels need a region: one of {', '.join(REGIONS)}")
    _among(settings["region"], REGIONS, "region")
    for step in settings.get("enhance") or ():
        _among(step, STEPS, "enhance step")
    if settings.get("reduce") is not None:
        _among(settings["reduce"], REDUCTIONS, "reduce")


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


def _region(images: np.ndarray, masks: np.ndarray, region: str) -> np.ndarray:
    """Return a new array of the images, black where ``region`` leaves them out."""
    if region == "full":
        return np.array(images)
    inside = masks if region == "lungs" else 1 - masks
    return images * inside


def _resized(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[1:] == (size, size):
        return images
    resized = np.empty((len(images), size, size), images.dtype)
    for index, image in enumerate(images):
        cv2.resize(image, (size, size), dst=resized[index], interpolation=cv2.INTER_LINEAR)
    return resized


def _among(name: str, valid: Mapping | tuple[str, ...], what: str) -> None:
    if name not in valid:
        raise ValueError(f"unknown {what} of pixels {name!r}: it is one of {', '.join(valid)}")
