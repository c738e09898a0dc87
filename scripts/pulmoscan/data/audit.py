"""What is in a data set and what is wrong with it: its pixels, metadata and duplicates together."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from pulmoscan.data import (
    describe,
    duplicates,
    findings,
    intensity,
    measures,
    metadata,
    plausibility,
    raw_table,
    stated,
    unread,
)

COLUMNS = (
    "image",
    "class",
    "source",
    "width",
    "height",
    "format",
    "mode",
    "equal_channels",
    "mask_width",
    "mask_height",
    "mask_binary",
    "mask_form",
    "bits",
    "scale",
    "useful_area",
    "mean",
    "sd",
    "mean_lungs",
    "sd_lungs",
    "mask_contrast",
    "sha256",
    "pixel_sha256",
    "phash",
    "duplicate_group",
    "defects",
)


@dataclass(frozen=True)
class Audit:
    """What was found, in the order of the packed arrays where it has one row per image.

    Attributes:
        images: one row per image, with the ``COLUMNS`` and then those of ``stated.further``:
            ``source``, the collection it comes from;
            ``useful_area``, the share of the image (0..1) that the mask covers, null without image
            or mask; ``mean, sd``, grey levels of the whole image at its stored size; ``mean_lungs,
            sd_lungs``, those inside the packed mask; ``mask_contrast``, how much
            lighter the image is just outside the mask than just inside it, see
            ``plausibility.edge_contrast``; ``phash``, 16 hexadecimal digits;
            ``duplicate_group``, the name of the group's first image, null without duplicates;
            ``defects``, reasons joined by "; "; the others as in ``radiographs.Radiograph``.
        histograms: n x 2 x 256 int32, grey levels of the packed image: whole, inside the mask;
            zeros for an image that cannot be read.
        mean_images: see ``measures.Packed.class_means``.
        tables: by name: those of ``describe.tables``; ``metadata_errors``, see ``metadata.check``;
            ``duplicates`` with ``group, kind`` (exact or near), ``image_a, image_b, distance``
            (bits of the hash), ``correlation``, ``change``, see ``duplicates.find``; ``defects``,
            see ``findings.defects``; ``warnings``, see ``plausibility.warnings``; ``attributes``,
            see ``stated.attributes``.
    """

    images: pd.DataFrame
    histograms: np.ndarray
    mean_images: np.ndarray
    tables: dict[str, pd.DataFrame]


def audit(
    packed: measures.Packed,
    decoded: pd.DataFrame,
    files: Sequence[raw_table.RawFile],
    left: Sequence[unread.UnreadFile],
    contents: Mapping[str, raw_table.RawMetadata | None],
    listed: pd.DataFrame | None,
    threads: int,
) -> Audit:
    """Audit a data set.

    Args:
        packed: the packed arrays.
        decoded: the table of ``pack.pack``, in the same order.
        files: the files of the data set.
        left: the files that look like data and were not read.
        contents: the metadata file of each class, None if there is none.
        listed: what the download says of the images, see ``raw_table.images``. Where it states
            sources, no metadata are read.
        threads: how many blocks of images are read at a time.

    Raises:
        OSError: an array cannot be read.
        ValueError: an array does not belong to the table.
    """
    cv2.setNumThreads(1)  # the threads are ours: one block each
    packed.check(len(decoded))
    with ThreadPoolExecutor(threads) as pool:
        measured = packed.measure(decoded, pool.map)
        measured.histograms[(decoded["pixel_sha256"] == "").to_numpy()] = 0
        pairs = _duplicate_pairs(decoded, measured, packed, pool.map)
    images, metadata_errors = _described(decoded, measured, contents, listed, pairs)
    further = pd.DataFrame(index=images.index)
    if listed is not None:
        further = stated.further(images["image"], listed, COLUMNS)
    images = pd.concat([images[list(COLUMNS)], further], axis=1)
    tables = describe.tables(images) | {
        "metadata_errors": metadata.with_unread(metadata_errors, left),
        "duplicates": _duplicates(images, pairs),
        "defects": findings.defects(images, files, left),
        "warnings": plausibility.warnings(images, measured.thumbnails, measured.masks),
        "attributes": stated.attributes(images, further.columns.difference(["patient"], False)),
    }
    means = packed.class_means(measured, images)
    return Audit(images, measured.histograms, means, tables)


def _described(
    decoded: pd.DataFrame,
    measured: measures.Measured,
    contents: Mapping[str, raw_table.RawMetadata | None],
    listed: pd.DataFrame | None,
    pairs: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images with all their columns, and the metadata errors."""
    images = decoded.copy()
    stating = listed is not None and "source" in listed
    images["source"], metadata_errors = metadata.check(decoded, {} if stating else contents)
    if stating:
        images["source"] = stated.sources(images["image"], listed)
    whole, lungs = measured.histograms[:, 0], measured.histograms[:, 1]
    inside = lungs.sum(axis=1)
    images["useful_area"] = np.where(inside > 0, inside, np.nan) / np.maximum(whole.sum(axis=1), 1)
    images["mean_lungs"], images["sd_lungs"] = intensity.moments(lungs)
    images["mask_contrast"] = measured.mask_contrast
    readable = decoded["pixel_sha256"] != ""
    images["phash"] = np.where(readable, [f"{value:016x}" for value in measured.hashes], "")
    group = duplicates.groups(pairs, len(decoded))
    images["duplicate_group"] = images["image"].reindex(group).where(group >= 0, None).to_numpy()
    images["defects"] = _with_spanning_groups(images)
    return images, metadata_errors


def _duplicate_pairs(
    decoded: pd.DataFrame, measured: measures.Measured, packed: measures.Packed, map_: Callable
) -> pd.DataFrame:
    """Return ``duplicates.find`` in rows of the data set.

    Images that could not be read or have one grey level show no radiograph and are left out; those
    with another defect take part, since a copy with a broken mask is still a copy.
    """
    levels = (measured.histograms[:, 0] > 0).sum(axis=1)
    rows = np.flatnonzero((decoded["pixel_sha256"] != "").to_numpy() & (levels > 1))
    shown = duplicates.Images(
        duplicates.contents(decoded.iloc[rows]),
        measured.hashes[rows],
        measured.thumbnails[rows],
        lambda position: packed.rows(rows[position])[0],
    )
    pairs = duplicates.find(shown, map_)
    return pairs.assign(a=rows[pairs["a"]], b=rows[pairs["b"]])


def _duplicates(images: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    names = images["image"].to_numpy()
    return pd.DataFrame(
        {
            "group": images["duplicate_group"].to_numpy()[pairs["a"]],
            "kind": pairs["kind"],
            "image_a": names[pairs["a"]],
            "image_b": names[pairs["b"]],
            "distance": pairs["distance"],
            "correlation": pairs["correlation"].round(6),
            "change": pairs["change"],
        }
    )


def _with_spanning_groups(images: pd.DataFrame) -> pd.Series:
    """Return the defects, with those of images whose duplicate group has several classes."""
    defects = images["defects"].copy()
    for group, members in images.groupby("duplicate_group"):
        found = describe.classes_of(members)
        if len(found) > 1:
            reason = f"duplicate group {group} spans {', '.join(found)}"
            former = defects[members.index]
            defects[members.index] = former.where(former == "", former + "; ") + reason
    return defects
