"""Images that show the same radiograph, with equal or nearly equal pixels.

Nearly equal means that 64-bit perceptual hashes differ in at most ``MOST_BITS`` bits and that the
images, reduced to ``COMPARED`` pixels per side, have a Pearson correlation of at least
``LEAST_CORRELATION``. The hash alone is not enough: chest radiographs look alike, and of the
319,600 pairs of 800 images, 110 have such hashes while two show the same radiograph. Those two
correlate at 1 and 0.997, the next pair at 0.958.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pandas as pd

MOST_BITS = 8
LEAST_CORRELATION = 0.98
COMPARED = 64
PAIR_COLUMNS = ("kind", "a", "b", "distance", "correlation")

_HASHED = 32
_BLOCK = 32  # images whose hashes, or pixels, are compared at a time: as many as fit the cache


def perceptual_hash(image: np.ndarray) -> np.uint64:
    """Return the DCT hash of an image.

    Method: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), the
    DCT based hash: reduced to 32 x 32, one bit for each of the 8 x 8 lowest frequencies, set if the
    coefficient is above their median. The constant term is one of them here.

    Args:
        image: s x s uint8.

    Returns:
        64 bits, the first frequency in the highest bit.
    """
    reduced = cv2.resize(image, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA)
    low = cv2.dct(reduced.astype(np.float32))[:8, :8].ravel()
    below, above = np.sort(low)[31:33]
    return np.packbits(low > (below + above) / 2).view(">u8")[0].astype(np.uint64)


def reduced(image: np.ndarray) -> np.ndarray:
    """Return an image in the size of comparisons: ``COMPARED`` x ``COMPARED`` uint8, averaged."""
    return cv2.resize(image, (COMPARED, COMPARED), interpolation=cv2.INTER_AREA)


def find(contents: Sequence[str], hashes: np.ndarray, thumbnails: np.ndarray) -> pd.DataFrame:
    """Return the pairs of images that show the same radiograph.

    Of images with equal pixels the first stands for all: it is paired with each of the others, and
    it alone takes part in the search for near duplicates, so that n equal images give n - 1 pairs.

    Args:
        contents: n texts, equal for images with equal pixels.
        hashes: n uint64, see `perceptual_hash`.
        thumbnails: n x ``COMPARED`` x ``COMPARED`` uint8, see `reduced`.

    Returns:
        One row per pair: ``kind`` (exact or near), ``a`` and ``b`` (positions, a < b), ``distance``
        of their hashes in bits, and ``correlation``; sorted by a and b.
    """
    first: dict[str, int] = {}
    rows: list[tuple[str, int, int, int, float]] = []
    for position, content in enumerate(contents):
        original = first.setdefault(content, position)
        if original != position:
            rows.append(("exact", original, position, 0, 1.0))
    distinct = np.fromiter(first.values(), np.intp, len(first))
    for a, others, distances in _candidates(hashes[distinct]):
        correlations = _correlations(thumbnails, distinct[a], distinct[others])
        rows += [
            ("near", int(distinct[a]), int(distinct[b]), int(distance), float(correlation))
            for b, distance, correlation in zip(others, distances, correlations, strict=True)
            if correlation >= LEAST_CORRELATION
        ]
    pairs = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    return pairs.sort_values(["a", "b"], ignore_index=True)


def groups(pairs: pd.DataFrame, count: int) -> np.ndarray:
    """Return the duplicate group of each image: connected images form one.

    Args:
        pairs: one row per pair with ``a`` and ``b``, as `find` returns them.
        count: number of images.

    Returns:
        ``count`` integers: the position of the group's first image, -1 for an image without
        duplicates.
    """
    a, b = pairs["a"].to_numpy(np.intp), pairs["b"].to_numpy(np.intp)
    first = np.arange(count)
    # Both images of a pair take the earlier position, until all have it. That the groups are those
    # of scipy.sparse.csgraph is tested; to import it takes a third of the time of a small audit.
    while (first[a] != first[b]).any():
        earlier = np.minimum(first[a], first[b])
        np.minimum.at(first, a, earlier)
        np.minimum.at(first, b, earlier)
    sizes = np.bincount(first, minlength=count)
    return np.where(sizes[first] > 1, first, -1)


def _candidates(hashes: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each position with the later positions whose hash is near, and their distances."""
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        distances = np.bitwise_count(block ^ hashes[None, start:])
        near = distances <= MOST_BITS
        for index in range(len(block)):
            later = index + 1 + np.flatnonzero(near[index, index + 1 :])
            if len(later):
                yield start + index, start + later, distances[index, later]


def _correlations(thumbnails: np.ndarray, a: int, others: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of image ``a`` with each of ``others``; 0 for a constant one.

    Sums of products of 8-bit levels are whole numbers that float64 holds exactly, so the result
    does not depend on the order of summation.
    """
    one = thumbnails[a].ravel().astype(np.float64)
    result = np.empty(len(others))
    for start in range(0, len(others), _BLOCK):
        many = thumbnails[others[start : start + _BLOCK]].reshape(-1, one.size).astype(np.float64)
        covariance = one.size * (many @ one) - many.sum(axis=1) * one.sum()
        variances = one.size * np.einsum("ij,ij->i", many, many) - many.sum(axis=1) ** 2
        scale = np.sqrt(variances) * np.sqrt(one.size * (one @ one) - one.sum() ** 2)
        result[start : start + _BLOCK] = np.where(scale > 0, covariance / np.maximum(scale, 1), 0)
    return result
