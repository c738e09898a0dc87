"""What is wrong with a data set: the table of defects, and a summary of everything in few lines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.data import collections, depth, layout, masks, radiographs, raw_table, unread

COLUMNS = ("image", "class", "defect")
_WARNING = "warning: "  # such lines are shown on the terminal, the others in the log alone
_NAMED = 3  # defects that a message names
_OF_FILES = ("no metadata file", "damaged metadata file", "metadata file not read", "no column")
_WARNINGS_NAMED = 4  # in a summary


def defects(
    images: pd.DataFrame, files: Sequence[raw_table.RawFile], left: Sequence[unread.UnreadFile]
) -> pd.DataFrame:
    """Return a table with the ``COLUMNS``, one row per defect.

    Args:
        images: one row per image with ``image, class, defects``.
        files: the files of the data set, of which masks without image are listed.
        left: files that look like data and are not read; they have their path for a name.
    """
    rows = [
        (image, class_name, defect)
        for image, class_name, reasons in images[["image", "class", "defects"]].itertuples(
            index=False
        )
        for defect in filter(None, reasons.split("; "))
    ]
    rows += [
        (file.file, file.class_name, f"{unread.DEFECT}: {file.reason}")
        for file in left
        if file.reason != unread.METADATA_REASON
    ]
    rows += [
        (mask.path.stem, mask.path.parts[0], _lone_mask(mask))
        for mask in raw_table.masks_without_image(files)
    ]
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def _lone_mask(mask: raw_table.RawFile) -> str:
    named, folder = layout.class_of_image(mask.path.stem), mask.path.parts[0]
    return "mask without image" + (f": named {named}, lies in {folder}" * (named != folder))


def refusal(defects: pd.DataFrame) -> str:
    """Return why a data set is refused, given its table of defects, which is not empty."""
    named = [f"{row.image} ({row.defect})" for row in defects.head(_NAMED).itertuples()]
    count = defects["image"].nunique()
    more = ", ..." if len(defects) > _NAMED else ""
    return (
        f"{count:,} {'images or files are' if count > 1 else 'image or file is'} defective: "
        f"{', '.join(named)}{more}; the log lists all. "
        "Repair or remove them, or set dataset.on_defect: exclude"
    )


def summary(
    images: pd.DataFrame, tables: Mapping[str, pd.DataFrame], folder: Path
) -> Iterator[str]:
    """Yield what was found, one line per subject.

    Args:
        images: the audit's table of images.
        tables: ``defects``, ``metadata_errors`` and ``warnings``.
        folder: where the tables are written.
    """
    found = f"{len(images):,} images in {images['class'].nunique()} classes"
    wrong = tables["defects"]["defect"]
    if wrong.empty:
        yield f"{found}, no defects"
    else:
        bad = int((images["defects"] != "").sum())
        lost = int(wrong.str.startswith(unread.DEFECT).sum())
        parts = [f"{bad:,} defective"] * (bad > 0)
        parts += [f"{unread.files(lost)} not read"] * (lost > 0)
        what = "; ".join([found, *parts])
        yield f"{_WARNING}{what} ({folder}/defects.tsv): {unread.summary(_kinds(wrong))}"
    yield from _about_metadata(images, tables["metadata_errors"], folder)
    forms = images["mask_form"][~images["mask_form"].isin(["", masks.STANDARD])]
    if len(forms):
        yield f"masks that hold other values than 0 and 255: {unread.summary(forms)}"
    yield from _about_pixels(images)
    warnings = [
        f"{_WARNING}{row.image or row[1]}: {row.warning}" for row in tables["warnings"].itertuples()
    ]
    yield from warnings[:_WARNINGS_NAMED]
    if len(warnings) > _WARNINGS_NAMED:
        yield f"{_WARNING}{len(warnings) - _WARNINGS_NAMED:,} more in {folder}/warnings.tsv"


def _about_pixels(images: pd.DataFrame) -> Iterator[str]:
    scale = images["scale"][images["scale"] != ""]
    if len(scale):
        # A window is that of one image.
        of_data_set = scale.str.startswith((depth.IN_USE, depth.ALL))
        kinds = scale.where(of_data_set, scale.str.partition(":")[0])
        yield f"what becomes 0 to 255 in deeper images: {unread.summary(kinds)}"
    sizes = [images[name].to_numpy() for name in ("mask_width", "mask_height", "width", "height")]
    scaled = int(radiographs.scaled_masks(*sizes).sum())
    if scaled:
        yield f"masks of another size than their image, scaled to it: {scaled:,}"


def _about_metadata(images: pd.DataFrame, errors: pd.DataFrame, folder: Path) -> Iterator[str]:
    if errors.empty:
        return
    unknown = int((images["source"] == collections.UNKNOWN).sum())
    more = f"; images of unknown source: {unknown:,}" if unknown else ""
    yield (
        f"errors in the metadata: {len(errors):,} ({folder}/metadata_errors.tsv): "
        f"{unread.summary(errors['error'])}{more}"
    )
    for row in errors[errors["image"] == ""].itertuples():
        if row.error in _OF_FILES:
            details = f": {row.value or row.expected}" if row.error != "no metadata file" else ""
            yield f"{_WARNING}metadata of {row[1] or 'no class'}: {row.error}{details}"


def _kinds(texts: pd.Series) -> pd.Series:
    """Return what each defect has in common with others: its text, but for names and numbers."""
    kinds = texts.str.replace(r"^duplicate group .* spans", "duplicate group spans", regex=True)
    alike = kinds.str.replace(r"\d+", "N", regex=True)
    return kinds.where(kinds.groupby(alike).transform("nunique") == 1, alike)
