"""Small random movements of training images: an affine warp and a change of intensity."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np


def augment(
    images: np.ndarray, settings: Mapping, seed: int, epoch: int, rows: Sequence[int]
) -> np.ndarray:
    """Return randomly moved copies of images.

    What happens to an image depends on ``(seed, epoch, row)`` alone, not on its batch. Amounts are
    uniform between minus and plus the setting: ``translation`` as a share of width and height,
    ``rotation`` in degrees about the centre, ``zoom`` (0.15: scaled by 0.85 to 1.15), and
    ``intensity`` (0.1: multiplied by 0.9 to 1.1, clipped at 255); ``flip`` mirrors every second
    image on average. All movements are one bilinear warp, and what comes from outside the image is
    black, as it is outside the mask.

    Args:
        images: n x s x s uint8.
        settings: ``translation, rotation, zoom, intensity, flip``; a missing one does nothing.
        seed: of the training.
        epoch: counted from 0.
        rows: n rows of the packed arrays, one per image.

    Returns:
        n x s x s float32 in 0..255.
    """
    moved = np.empty(images.shape, np.float32)
    for index, (image, row) in enumerate(zip(images, rows, strict=True)):
        random = np.random.default_rng([seed, epoch, int(row)])
        size = image.shape[0]
        shift = random.uniform(-1, 1, 2) * settings.get("translation", 0) * size
        angle = random.uniform(-1, 1) * settings.get("rotation", 0)
        scale = 1 + random.uniform(-1, 1) * settings.get("zoom", 0)
        gain = 1 + random.uniform(-1, 1) * settings.get("intensity", 0)
        mirrored = random.random() < 0.5 and bool(settings.get("flip"))
        centre = (size - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), angle, scale)
        if mirrored:  # x -> size - 1 - x, before the rotation
            matrix[:, 2] += matrix[:, 0] * (size - 1)
            matrix[:, 0] *= -1
        matrix[:, 2] += shift
        warped = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
        moved[index] = np.minimum(warped * np.float32(gain), 255)
    return moved
