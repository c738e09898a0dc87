"""Describe the data set and find what is wrong with it, from packed arrays and metadata.

Settings: ``--on-defect exclude`` lists defective images, which later stages leave out; ``fail``
stops when there is one. ``--threads``: how many blocks of images are read at a time.

Inputs: the folder ``raw/`` (of which only the metadata are read) and the table of its files; the
packed images and masks, and the table of what was decoded.

Outputs, in the order of the packed arrays where they have a row an image:

- ``images.parquet``: ``image, class, source, width, height, mode, equal_channels, mask_width,
  mask_height, mask_binary, useful_area`` (share of the image that the mask covers, null without
  image or mask), ``mean, sd`` (grey levels of the whole image at its stored size), ``mean_lungs,
  sd_lungs`` (inside the packed mask), ``sha256, pixel_sha256, phash`` (16 hexadecimal digits),
  ``duplicate_group`` (name of the group's first image, null without duplicates), ``defects``
  (reasons joined by "; ").
- ``histograms.npy``: n x 2 x 256 int32, grey levels of the packed image: whole, inside the mask;
  zeros for an image that cannot be read.
- ``mean_images.npy``: 4 classes x 2 x s x s float32, the mean of all images without defects: whole,
  and black outside the mask; NaN for a class that has none.
- tables: ``metadata_errors`` as in ``pulmoscan.data.metadata``; ``duplicates`` with ``group``,
  ``kind`` (exact or near), ``image_a, image_b, distance`` (bits of the hash), ``correlation``; ``defects``
  with ``image, class, defect``; the others as in ``pulmoscan.data.describe``.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pulmoscan import command
from pulmoscan.data import describe as dataset_tables
from pulmoscan.data import duplicates, intensity, measures, metadata, raw_table
from pulmoscan.data.layout import CLASSES, METADATA_SUFFIX
from pulmoscan.storage import arrays, atomic
from pulmoscan.storage import tables as parquet

NAMED = 3  # defects that the error of --on-defect fail names
COLUMNS = [
    "image",
    "class",
    "source",
    "width",
    "height",
    "mode",
    "equal_channels",
    "mask_width",
    "mask_height",
    "mask_binary",
    "useful_area",
    "mean",
    "sd",
    "mean_lungs",
    "sd_lungs",
    "sha256",
    "pixel_sha256",
    "phash",
    "duplicate_group",
    "defects",
]


def main(argv: Sequence[str]) -> None:
    """Audit a data set as the command line says; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--files", type=Path, required=True, help="table of its files")
    parser.add_argument("--decoded", type=Path, required=True, help="table of what was decoded")
    parser.add_argument("--images", type=Path, required=True, help="packed images")
    parser.add_argument("--masks", type=Path, required=True, help="packed masks")
    parser.add_argument("--on-defect", choices=("exclude", "fail"), required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--audit", type=Path, required=True, help="folder to write to")
    parser.add_argument("--tables", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args(argv)
    if arguments.threads < 1:
        raise ValueError("--threads is 1 or more")
    cv2.setNumThreads(1)  # the threads are ours: one block each
    packed = measures.Packed(arguments.images, arguments.masks)
    decoded = parquet.read(arguments.decoded, "the packing")
    files = raw_table.read(arguments.files)
    packed.check(len(decoded))
    with ThreadPoolExecutor(arguments.threads) as pool:
        measured = packed.measure(decoded, pool.map)
    measured.histograms[(decoded["pixel_sha256"] == "").to_numpy()] = 0
    contents = _metadata_files(arguments.raw, files)
    images, tables = describe(decoded, measured, files, contents)
    if arguments.on_defect == "fail" and len(tables["defects"]):
        _fail(tables["defects"])
    means = packed.class_means(measured, images)
    _write(arguments.audit, arguments.tables, images, measured.histograms, means, tables)


def describe(
    decoded: pd.DataFrame,
    measured: measures.Measured,
    files: Sequence[raw_table.RawFile],
    contents: dict[str, bytes | None],
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return the table of images and the tables of the module by name.

    Args:
        decoded: the packing's table.
        measured: the same images' pixels.
        files: the files of the data set.
        contents: the metadata file of each class.
    """
    images = decoded.copy()
    images["source"], metadata_errors = metadata.check(decoded, contents)
    whole, lungs = measured.histograms[:, 0], measured.histograms[:, 1]
    inside = lungs.sum(axis=1)
    images["useful_area"] = np.where(inside > 0, inside, np.nan) / np.maximum(whole.sum(axis=1), 1)
    images["mean_lungs"], images["sd_lungs"] = intensity.moments(lungs)
    readable = decoded["pixel_sha256"] != ""
    images["phash"] = np.where(readable, [f"{value:016x}" for value in measured.hashes], "")

    pairs = _duplicate_pairs(decoded, measured)
    group = duplicates.groups(pairs, len(decoded))
    names = decoded["image"]
    images["duplicate_group"] = names.reindex(group).where(group >= 0, None).to_numpy()
    images["defects"] = _with_spanning_groups(images)
    tables = {
        "classes": dataset_tables.classes(images),
        "modes": dataset_tables.modes(images),
        "sizes": dataset_tables.sizes(images),
        "sources": dataset_tables.sources(images),
        "class_by_source": dataset_tables.class_by_source(images),
        "useful_area": dataset_tables.useful_area(images),
        "intensity": dataset_tables.intensity(images),
        "metadata_errors": metadata_errors,
        "duplicates": pd.DataFrame(
            {
                "group": images["duplicate_group"].to_numpy()[pairs["a"]],
                "kind": pairs["kind"],
                "image_a": names.to_numpy()[pairs["a"]],
                "image_b": names.to_numpy()[pairs["b"]],
                "distance": pairs["distance"],
                "correlation": pairs["correlation"].round(6),
            }
        ),
        "defects": _defects(images, raw_table.masks_without_image(files)),
    }
    return images[COLUMNS], tables


def _duplicate_pairs(decoded: pd.DataFrame, measured: measures.Measured) -> pd.DataFrame:
    """Return ``duplicates.find`` in rows of the data set.

    Images that could not be read or have one grey level show no radiograph and are left out; those
    with another defect take part, since a copy with a broken mask is still a copy.
    """
    levels = (measured.histograms[:, 0] > 0).sum(axis=1)
    rows = np.flatnonzero((decoded["pixel_sha256"] != "").to_numpy() & (levels > 1))
    shown = decoded.iloc[rows]
    contents = [
        f"{width}x{height} {sha256}"
        for width, height, sha256 in zip(
            shown["width"], shown["height"], shown["pixel_sha256"], strict=True
        )
    ]
    pairs = duplicates.find(contents, measured.hashes[rows], measured.thumbnails[rows])
    return pairs.assign(a=rows[pairs["a"]], b=rows[pairs["b"]])


def _with_spanning_groups(images: pd.DataFrame) -> pd.Series:
    """Return the defects, with those of images whose duplicate group has several classes."""
    defects = images["defects"].copy()
    for group, members in images.groupby("duplicate_group"):
        found = [name for name in CLASSES if (members["class"] == name).any()]
        if len(found) > 1:
            reason = f"duplicate group {group} spans {', '.join(found)}"
            former = defects[members.index]
            defects[members.index] = former.where(former == "", former + "; ") + reason
    return defects


def _defects(images: pd.DataFrame, lone_masks: Sequence[raw_table.RawFile]) -> pd.DataFrame:
    rows = [
        (image, class_name, defect)
        for image, class_name, defects in images[["image", "class", "defects"]].itertuples(
            index=False
        )
        for defect in filter(None, defects.split("; "))
    ]
    rows += [(file.path.stem, file.path.parts[0], "mask without image") for file in lone_masks]
    return pd.DataFrame(rows, columns=["image", "class", "defect"], dtype="str")


def _fail(defects: pd.DataFrame) -> None:
    """Print the defects and stop: a failed job leaves no table to look into."""
    print(defects.to_csv(sep="\t", index=False), file=sys.stderr, end="")
    named = [f"{row.image} ({row.defect})" for row in defects.head(NAMED).itertuples()]
    count = defects["image"].nunique()
    more = ", ..." if len(defects) > NAMED else ""
    raise ValueError(
        f"{count} {'radiographs are' if count > 1 else 'radiograph is'} defective: "
        f"{', '.join(named)}{more}; the "
        "lines above list all. Repair or remove them, or set dataset.on_defect: exclude"
    )


def _metadata_files(raw: Path, files: Sequence[raw_table.RawFile]) -> dict[str, bytes | None]:
    by_path = {str(file.path): file for file in files}
    found = {name: by_path.get(name + METADATA_SUFFIX) for name in CLASSES}
    return {name: file and raw_table.content(raw, file) for name, file in found.items()}


def _write(
    audit: Path,
    tables_folder: Path,
    images: pd.DataFrame,
    histograms: np.ndarray,
    means: np.ndarray,
    tables: dict[str, pd.DataFrame],
) -> None:
    with atomic.replacing(audit / "images.parquet") as temporary:
        images.to_parquet(temporary, index=False)
    for name, array in (("histograms", histograms), ("mean_images", means)):
        with atomic.replacing(audit / f"{name}.npy") as temporary:
            arrays.write(temporary, array)
    for name, table in tables.items():
        with atomic.replacing(tables_folder / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False)


if __name__ == "__main__":
    command.run(main)
