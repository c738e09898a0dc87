"""Whether images and masks look as they should: what no single file shows to be wrong.

In a radiograph the lungs are darker than what surrounds them, and a mask ends where they do. So the
grey level just outside a mask is above that just inside. The limits below are far from what 800
radiographs of the database show: medians of 0.25 to 0.52 in their classes, none below -0.01, and no
pair of images of which either mask fits the other image better by more than 0.02. Of pairs of their
masks exchanged on purpose three in four are found; between patients of much the same shape, an
exchange cannot be seen.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd

from pulmoscan.data import masks
from pulmoscan.data.duplicates import COMPARED

COLUMNS = ("class", "image", "warning")
FEWEST = 10  # images of a class to say something about all of them

_INVERTED = -0.1  # median contrast of a class
_LOOSE = 0.1  # the same: masks of other images have 0.02 to 0.09
_LIGHTER = -0.15  # contrast of an image in a class that looks as it should
_SUSPICIOUS = 0.2  # contrast of masks that may belong to another image
_EXCHANGED = 0.15  # how much better the other mask fits
_MOST_COMPARED = 4000  # masks; with more suspicious ones the class as a whole is named
_LARGE = 0.6  # share of the image; 0.47 at most in the same 800
_OTHER_FORMAT = 0.1  # more of a class than of the others
_AROUND = np.ones((3, 3), np.uint8)


def reduced_mask(mask: np.ndarray) -> np.ndarray:
    """Return an s x s mask (0 and 1) in the size of comparisons, one bit per pixel."""
    side = (COMPARED, COMPARED)
    small = cv2.resize(mask * np.uint8(255), side, interpolation=cv2.INTER_AREA)
    return np.packbits(small > 127)


def edge_contrast(thumbnail: np.ndarray, bits: np.ndarray) -> float:
    """Return how much lighter an image is just outside a mask than just inside it.

    Args:
        thumbnail: the image in the size of comparisons.
        bits: the mask, see `reduced_mask`.

    Returns:
        The difference of the means, in standard deviations of the image; NaN without such pixels.
    """
    weights = _weights(bits)
    spread = thumbnail.std()
    return float(np.vdot(weights, thumbnail) / spread) if weights.any() and spread else np.nan


def warnings(images: pd.DataFrame, thumbnails: np.ndarray, bits: np.ndarray) -> pd.DataFrame:
    """Return what does not look right, of images without defects.

    Args:
        images: one row per image with ``class, image, format, defects, mask_form, mask_contrast,
            useful_area, duplicate_group``. Nothing is said of masks that show no lungs: those that
            are not there, and those that are all white on purpose.
        thumbnails: n x ``COMPARED`` x ``COMPARED`` uint8.
        bits: n masks, see `reduced_mask`.

    Returns:
        A table with the ``COLUMNS``; without an image where a warning is about the class.
    """
    usable = images.assign(row=range(len(images)))[images["defects"] == ""]
    rows = list(_formats(usable))
    usable = usable[~usable["mask_form"].isin(["", masks.WHOLE])]
    judged = usable
    for name in sorted(images["class"].unique()):
        members = usable[usable["class"] == name]
        warning = _of_class(members["mask_contrast"].dropna())
        if warning is not None:
            rows.append((name, "", warning))
            judged = judged.drop(members.index)  # each of them would be named
    for name, image, area, contrast in judged[
        ["class", "image", "useful_area", "mask_contrast"]
    ].itertuples(index=False):
        if area > _LARGE:
            rows.append((name, image, f"mask covers {area:.0%} of the image"))
        if contrast < _LIGHTER:
            rows.append((name, image, "looks inverted, or its mask belongs to another image"))
    rows += _equal_masks(usable, bits)
    rows += _exchanged(judged[judged["mask_contrast"] < _SUSPICIOUS], thumbnails, bits)
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def _formats(usable: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each class that has more files of an unusual format than the others have.

    A compression leaves traces, which a network takes for what the class looks like.
    """
    usual = usable["format"].mode().tolist()[:1]
    for name, members in usable.groupby("class"):
        others = usable[usable["class"] != name]
        if min(len(members), len(others)) < FEWEST:
            continue
        for kind, count in members["format"].value_counts().items():
            share = (others["format"] == kind).mean()
            if kind not in usual and count / len(members) > share + _OTHER_FORMAT:
                told = (
                    f"{count:,} of {len(members):,} images are {kind}, of other classes {share:.0%}"
                )
                yield (
                    name,
                    "",
                    f"{told}: a network can tell the class by the traces of its format",
                )


def _of_class(contrast: pd.Series) -> str | None:
    if len(contrast) < FEWEST:
        return None
    lighter = f"in {(contrast < 0).sum():,} of {len(contrast):,} the lungs are lighter"
    if contrast.median() < _INVERTED:
        return f"most images look inverted: {lighter} than what surrounds them"
    if contrast.median() < _LOOSE:
        return (
            "the masks do not follow the lungs, as if they belonged to other images: "
            f"{lighter} than what surrounds them"
        )
    return None


def _equal_masks(usable: pd.DataFrame, bits: np.ndarray) -> list[tuple[str, str, str]]:
    """Return one row for each group of images that are no duplicates and have one mask."""
    usable = usable[usable["useful_area"] > 0]  # an image without a mask has the mask of no other
    own = usable["duplicate_group"].fillna(usable["image"])
    content = [bits[row].tobytes() for row in usable["row"]]
    rows = []
    for _, members in usable.assign(own=own).groupby(content, sort=False):
        if members["own"].nunique() > 1:
            first, second, *others = members["image"]
            more = f" and {len(others):,} more images" if others else ""
            rows.append((members["class"].iloc[0], first, f"mask is that of {second}{more}, too"))
    return rows


def _exchanged(
    suspicious: pd.DataFrame, thumbnails: np.ndarray, bits: np.ndarray
) -> list[tuple[str, str, str]]:
    """Return the pairs of images of which either fits the other's mask better."""
    if len(suspicious) > _MOST_COMPARED or suspicious.empty:
        return []
    pixels = thumbnails[suspicious["row"]].reshape(len(suspicious), -1).astype(np.float32)
    weights = np.array([_weights(bits[row]).ravel() for row in suspicious["row"]])
    contrast = pixels @ weights.T / pixels.std(axis=1, keepdims=True)
    gain = contrast - np.diag(contrast)[:, None]
    better = (gain > _EXCHANGED) & (contrast > _LOOSE)
    # Of several masks that fit better, an image is named with the best.
    mutual = np.where(better & better.T, np.minimum(gain, gain.T), 0)
    best = (mutual > 0) & (mutual == mutual.max(axis=1, keepdims=True))
    pairs = np.argwhere(np.triu(best & best.T))
    names, classes = (suspicious[column].to_numpy() for column in ("image", "class"))
    return [(classes[a], names[a], f"mask and that of {names[b]} seem exchanged") for a, b in pairs]


def _weights(bits: np.ndarray) -> np.ndarray:
    """Return float32 weights whose product with an image is its contrast at the mask's edge."""
    mask = np.unpackbits(bits).reshape(COMPARED, COMPARED)
    outside = cv2.dilate(mask, _AROUND) - mask
    inside = mask - cv2.erode(mask, _AROUND)
    counts = cv2.countNonZero(outside), cv2.countNonZero(inside)
    if not all(counts):
        return np.zeros(mask.shape, np.float32)
    return outside / np.float32(counts[0]) - inside / np.float32(counts[1])
