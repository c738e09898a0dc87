"""Images that are not square, in the square of a packed array."""

import cv2
import numpy as np


def fit(pixels: np.ndarray, square: np.ndarray, shape: str, interpolation: int) -> None:
    """Resize an image into a square.

    Args:
        pixels: h x w uint8.
        square: s x s uint8 to write to.
        shape: ``stretch`` takes the whole image, whatever its ratio; ``pad`` keeps the ratio and
            adds black (0) at the shorter sides; ``crop`` keeps it and takes the middle of the
            longer ones. All are the same for a square image.
        interpolation: that of OpenCV.
    """
    height, width = pixels.shape
    if shape == "crop" and height != width:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    elif shape == "pad" and height != width:
        size, longer = len(square), max(height, width)
        rows, columns = (max(1, round(size * side / longer)) for side in (height, width))
        top, left = (size - rows) // 2, (size - columns) // 2
        square.fill(0)
        square[top : top + rows, left : left + columns] = cv2.resize(
            pixels, (columns, rows), interpolation=interpolation
        )
        return
    cv2.resize(pixels, square.shape, dst=square, interpolation=interpolation)
