"""Frames without the constant margins that scanners, viewers and papers put around radiographs."""

import cv2
import numpy as np

# The spread of a line (standard deviation, in grey levels), and by how much its mean may differ
# from the outermost line's: of margins with nothing in them at all, and of those with noise.
_LIMITS = ((1.0, 2.0), (4.0, 10.0))
_MOST = 0.35  # of the image at each side

Frame = tuple[int, int, int, int]


def frames(image: np.ndarray) -> list[Frame]:
    """Return what may be the radiograph in an image: all of it, and without constant margins.

    Lines that are part of the radiograph, such as the dark ones beside a patient, may go with a
    margin that somebody added. So there are up to two frames without margins: one that leaves lines
    with the least noise in, and one that does not.

    Args:
        image: s x s uint8.

    Returns:
        One to three different frames as ``top, bottom, left, right``, in pixels, the first the
        whole image.
    """
    found = [(0, image.shape[0], 0, image.shape[1])]
    for spread, step in _LIMITS:
        frame = _without_margins(image, spread, step)
        if frame not in found:
            found.append(frame)
    return found


def _without_margins(image: np.ndarray, spread: float, step: float) -> Frame:
    top, bottom, left, right = 0, image.shape[0], 0, image.shape[1]
    for _ in range(2):  # a margin at the sides may end in lines of another level above and below
        first, last = _margins(image[top:bottom, left:right], 1, spread, step)
        top, bottom = _inwards(top, bottom, first, last, image.shape[0])
        first, last = _margins(image[top:bottom, left:right], 0, spread, step)
        left, right = _inwards(left, right, first, last, image.shape[1])
        if right - left == image.shape[1]:
            break
    return top, bottom, left, right


def _inwards(start: int, end: int, first: int, last: int, side: int) -> tuple[int, int]:
    most = int(_MOST * side)
    return min(start + first, max(start, most)), max(end - last, min(end, side - most))


def _margins(image: np.ndarray, axis: int, spread: float, step: float) -> tuple[int, int]:
    """Return how many lines are constant at either end."""
    sums = cv2.reduce(image, axis, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel()
    squares = cv2.reduce(image, axis, cv2.REDUCE_SUM2, dtype=cv2.CV_64F).ravel()
    variances = squares / image.shape[axis] - sums**2
    constant = variances <= spread**2
    ends = []
    for towards in (slice(None), slice(None, None, -1)):
        inside = ~constant[towards] | (np.abs(sums[towards] - sums[towards][0]) > step)
        ends.append(int(inside.argmax()) if inside.any() else 0)
    return ends[0], ends[1]
