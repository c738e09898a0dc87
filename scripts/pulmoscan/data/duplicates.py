"""Images that show the same radiograph: with equal pixels, with nearly equal ones, or changed.

Nearly equal means that 64-bit perceptual hashes differ in at most ``MOST_BITS`` bits and that the
images, reduced to ``COMPARED`` pixels per side, have a Pearson correlation of at least
``LEAST_CORRELATION``. The hash alone is not enough: chest radiographs look alike, and of the
319,600 pairs of 800 images, 110 have such hashes while two show the same radiograph. Those two
correlate at 1 and 0.997, the next pair at 0.958.

Changed means mirrored, inverted, cropped, framed, turned a little, or with other contrast. Such
pairs look alike to ``lookalikes``, which compares all, and have the same detail once one is laid
over the other by ``alignment``. There copies of one radiograph correlate at 0.85 or more, of two at
0.6 or less, in 800 of them; two of the same patient, taken anew, do at 0.8.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pulmoscan.data import alignment, lookalikes

MOST_BITS = 8
LEAST_CORRELATION = 0.98
COMPARED = 64
PAIR_COLUMNS = ("kind", "a", "b", "distance", "correlation", "change")

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


@dataclass(frozen=True)
class Images:
    """A set of n images, as they are compared.

    Attributes:
        contents: n texts, equal for images with equal pixels.
        hashes: n uint64, see `perceptual_hash`.
        thumbnails: n x ``COMPARED`` x ``COMPARED`` uint8, see `reduced`.
        pixels: returns the s x s uint8 grey levels of an image.
    """

    contents: Sequence[str]
    hashes: np.ndarray
    thumbnails: np.ndarray
    pixels: Callable[[int], np.ndarray]


def contents(table: pd.DataFrame) -> list[str]:
    """Return one text per image, equal for equal pixels: of ``width, height, pixel_sha256``."""
    columns = (table[name] for name in ("width", "height", "pixel_sha256"))
    return [f"{width}x{height} {sha256}" for width, height, sha256 in zip(*columns, strict=True)]


def described(table: pd.DataFrame, pixels: Callable[[int], np.ndarray], map_: Callable) -> Images:
    """Return images in the form in which they are compared.

    Args:
        table: one row per image with ``width, height, pixel_sha256``, of its stored pixels.
        pixels: returns the packed grey levels of a row.
        map_: applies a function to the rows.
    """
    found = list(
        map_(lambda row: (perceptual_hash(pixels(row)), reduced(pixels(row))), range(len(table)))
    )
    hashes = np.array([one for one, _ in found], np.uint64)
    thumbnails = np.array([one for _, one in found], np.uint8).reshape(-1, COMPARED, COMPARED)
    return Images(contents(table), hashes, thumbnails, pixels)


def find(images: Images, map_: Callable = map) -> pd.DataFrame:
    """Return the pairs of images that show the same radiograph.

    Of images with equal pixels the first stands for all: it is paired with each of the others, and
    it alone takes part in the search for near duplicates, so that n equal images give n - 1 pairs.

    Args:
        images: all images.
        map_: applies a function to blocks of images, such as ``map`` of a pool of threads.

    Returns:
        One row per pair: ``kind`` (exact or near), ``a`` and ``b`` (positions, a < b), ``distance``
        of their hashes in bits; ``correlation``, of the reduced images, or of their detail once a
        change is undone; ``change``, what has to be undone before the two are nearly equal, see
        ``alignment.change``, "" for nothing; sorted by a and b.
    """
    first: dict[str, int] = {}
    rows: list[tuple] = []
    for position, content in enumerate(images.contents):
        original = first.setdefault(content, position)
        if original != position:
            rows.append(("exact", original, position, 0, 1.0, ""))
    distinct = np.fromiter(first.values(), np.intp, len(first))
    return _table(rows + _near(images, distinct, images, distinct, map_))


def find_between(one: Images, other: Images, map_: Callable = map) -> pd.DataFrame:
    """Return the images of one set that show the same radiograph as one of another set.

    Both sets are described as for `find`: ``contents`` by size and digest of the stored pixels,
    as the audit makes them of ``decoded.parquet``; ``hashes, thumbnails`` and ``pixels`` from the
    packed images. Their packed images may differ in size, but have to be made in the same way:
    stretched images and ones with bars at their sides differ by more than what is found.

    Args:
        one: such as a test set from elsewhere.
        other: such as what models are trained on.
        map_: as for `find`.

    Returns:
        The columns of `find`: ``a`` is a position in ``one`` and ``b`` in ``other``. Of equal
        images in ``other`` the first stands for all; an image of ``one`` has a row for each
        different image that it is a copy of.
    """
    first: dict[str, int] = {}
    for position, content in enumerate(other.contents):
        first.setdefault(content, position)
    rows: list[tuple] = []
    new = []
    for position, content in enumerate(one.contents):
        if content in first:
            rows.append(("exact", position, first[content], 0, 1.0, ""))
        else:
            new.append(position)
    distinct = np.fromiter(first.values(), np.intp, len(first))
    return _table(rows + _near(one, np.array(new, np.intp), other, distinct, map_))


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


def _table(rows: list[tuple]) -> pd.DataFrame:
    pairs = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    return pairs.sort_values(["a", "b"], ignore_index=True)


def _near(
    one: Images, rows_a: np.ndarray, other: Images, rows_b: np.ndarray, map_: Callable
) -> list[tuple]:
    """Return the rows of near duplicates: those that are nearly equal, and those changed."""
    same = one is other
    rows = []
    for a, found, distances in _candidates(one.hashes[rows_a], other.hashes[rows_b], same):
        values = _correlations(one.thumbnails[rows_a[a]], other.thumbnails, rows_b[found])
        rows += [
            ("near", int(rows_a[a]), int(rows_b[b]), int(distance), float(correlation), "")
            for b, distance, correlation in zip(found, distances, values, strict=True)
            if correlation >= LEAST_CORRELATION
        ]
    known = {row[1:3] for row in rows}
    views_a = lookalikes.views(one.pixels, rows_a, map_)
    views_b = views_a if same else lookalikes.views(other.pixels, rows_b, map_)

    def changed(block: slice) -> list[tuple]:
        found = []
        for row, column, ways in lookalikes.pairs(views_a, views_b, block):
            a, b = int(rows_a[row]), int(rows_b[column])
            if (a, b) not in known and (laid := _laid(one.pixels(a), other.pixels(b), ways)):
                distance = int(np.bitwise_count(one.hashes[a] ^ other.hashes[b]))
                found.append(("near", a, b, distance, *laid))
        return found

    # The threads are those of ``map_``; matrix products with threads of their own would wait for
    # one another.
    with threadpool_limits(1, "blas"):
        for found in map_(changed, lookalikes.blocks(views_a)):
            rows += found
    return rows


def _laid(a: np.ndarray, b: np.ndarray, ways: Sequence[lookalikes.Way]) -> tuple[float, str] | None:
    """Return correlation and change of two images in the first way in which they show the same."""
    for way in ways:
        if (laid := alignment.aligned(a, b, way)) is not None:
            return laid.correlation, alignment.change(a, b, way, laid)
    return None


def _candidates(
    hashes: np.ndarray, others: np.ndarray, same: bool
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each position with those of ``others`` whose hash is near, and their distances.

    Where ``others`` are the same, with later ones only.
    """
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        first = start if same else 0
        distances = np.bitwise_count(block ^ others[None, first:])
        near = distances <= MOST_BITS
        for index in range(len(block)):
            skipped = index + 1 if same else 0
            found = skipped + np.flatnonzero(near[index, skipped:])
            if len(found):
                yield start + index, first + found, distances[index, found]


def _correlations(thumbnail: np.ndarray, thumbnails: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of an image with each of ``others``; 0 for a constant one.

    Sums of products of 8-bit levels are whole numbers that float64 holds exactly, so the result
    does not depend on the order of summation.
    """
    one = thumbnail.ravel().astype(np.float64)
    result = np.empty(len(others))
    for start in range(0, len(others), _BLOCK):
        many = thumbnails[others[start : start + _BLOCK]].reshape(-1, one.size).astype(np.float64)
        covariance = one.size * (many @ one) - many.sum(axis=1) * one.sum()
        variances = one.size * np.einsum("ij,ij->i", many, many) - many.sum(axis=1) ** 2
        scale = np.sqrt(variances) * np.sqrt(one.size * (one @ one) - one.sum() ** 2)
        result[start : start + _BLOCK] = np.where(scale > 0, covariance / np.maximum(scale, 1), 0)
    return result
