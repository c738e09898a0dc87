"""How bright images are: grey-level histograms, their moments, and sums of images."""

import cv2
import numpy as np

LEVELS = 256


def histograms(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the counts of grey levels of an image, whole and inside its mask.

    Args:
        image: s x s uint8.
        mask: s x s uint8, nonzero inside the lungs.

    Returns:
        2 x 256 int32: the whole image, inside the mask.
    """
    counts = [cv2.calcHist([image], [0], part, [LEVELS], [0, LEVELS]) for part in (None, mask)]
    # OpenCV counts in float32, which is exact up to 16 million pixels; its shape varies by version.
    return np.stack([count.ravel() for count in counts]).astype(np.int32)


def moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (divided by n) of histograms.

    Args:
        counts: ... x 256 counts of the grey levels 0..255.

    Returns:
        Two arrays of the leading shape, in grey levels; NaN where nothing was counted.
    """
    levels = np.arange(LEVELS)
    total = counts.sum(axis=-1)
    n = np.where(total > 0, total, np.nan)
    mean = counts @ levels / n
    variance = (counts @ levels**2) / n - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def pixel_sums(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the pixelwise sum of images, whole and inside their masks.

    Args:
        images: n x s x s uint8.
        masks: n x s x s uint8, 1 inside the lungs; outside, an image counts as black.

    Returns:
        2 x s x s float64, whole numbers: whole, inside the mask.
    """
    sums = np.zeros((2, *images.shape[1:]))
    for image, mask in zip(images, masks, strict=True):
        cv2.accumulate(image, sums[0])
        cv2.accumulate(image, sums[1], mask=mask)
    return sums
