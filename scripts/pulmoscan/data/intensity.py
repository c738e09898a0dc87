"""How bright images are: grey-level histograms, their moments, and sums of images."""

import cv2
import numpy as np

LEVELS = 256
MOST_SUMMED = 2**24 // (LEVELS - 1)  # float32 holds all whole numbers up to 2^24


def histograms(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the counts of grey levels of an image, whole and inside its mask.

    Args:
        image: s x s uint8.
        mask: s x s uint8, 1 inside the lungs and 0 outside.

    Returns:
        2 x 256 int32: the whole image, inside the mask.
    """
    # Level and mask together, in one pass. OpenCV counts in float32, exact up to 16 million pixels.
    counts = cv2.calcHist([image, mask], [0, 1], None, [LEVELS, 2], [0, LEVELS, 0, 2])
    outside, inside = counts.astype(np.int32).T
    return np.array([outside + inside, inside])


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


def add_pixels(sums: np.ndarray, image: np.ndarray, mask: np.ndarray) -> None:
    """Add an image to sums of images, whole and inside its mask.

    Args:
        sums: 2 x s x s float32 to add to: whole, inside the mask. They are whole numbers, exact up
            to ``MOST_SUMMED`` images.
        image: s x s uint8.
        mask: s x s uint8, 1 inside the lungs; outside, the second sum takes the image as black.
    """
    cv2.accumulate(image, sums[0])
    cv2.accumulate(image, sums[1], mask=mask)
