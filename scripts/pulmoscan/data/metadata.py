"""The database's metadata tables, and where they disagree with the images.

One ``<Class>.metadata.xlsx``, ``.csv`` or ``.tsv`` per class, with the columns FILE NAME, FORMAT,
SIZE and URL. Only values are read; formulas are not evaluated.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import pandas as pd

from pulmoscan.data import collections, raw_table, text_table, unread, workbook
from pulmoscan.data.layout import METADATA_SUFFIX, SUFFIXES, canonical_image

NEEDED = ("FILE NAME", "FORMAT", "SIZE", "URL")
ERROR_COLUMNS = ("class", "image", "error", "value", "expected")


def with_unread(errors: pd.DataFrame, left: Sequence[unread.UnreadFile]) -> pd.DataFrame:
    """Return the errors of `check`, with files that seem to be metadata and are not read."""
    rows = [
        (file.class_name, "", "metadata file not read", file.file, f"<class>{METADATA_SUFFIX}")
        for file in left
        if file.reason == unread.METADATA_REASON
    ]
    if not rows:
        return errors
    more = pd.DataFrame(rows, columns=ERROR_COLUMNS, dtype="str")
    return pd.concat([errors, more], ignore_index=True)


def check(
    images: pd.DataFrame, contents: Mapping[str, raw_table.RawMetadata | None]
) -> tuple[pd.Series, pd.DataFrame]:
    """Join the metadata to the images.

    Args:
        images: one row per image with ``image, class, width, height``; width 0 if the image could
            not be read, whose size is then not compared.
        contents: for each class its metadata file, None if there is none.

    Returns:
        The source of each image, aligned with ``images`` (``collections.UNKNOWN`` without a row or
        URL), and a table with the columns ``class, image, error, value, expected``, one row per
        error: a file that is missing or damaged (the only error then for its class), a missing
        column, a row without image, a second row of one image (the first counts), a format or size
        that is not the image's, an unknown source, an image without row.
    """
    source = pd.Series(collections.UNKNOWN, images.index, dtype="str", name="source")
    errors: list[tuple[str, str, str, str, str]] = []
    for class_name in contents:
        members = images[images["class"] == class_name].reset_index(names="row")
        file = contents[class_name]
        if file is None:
            wanted = class_name + METADATA_SUFFIX
            errors.append((class_name, "", "no metadata file", "", wanted))
            continue
        try:
            rows = _rows(file)
        except ValueError as error:
            errors.append((class_name, "", "damaged metadata file", str(error), file.name))
            continue
        known, found = _check_class(class_name, members, rows)
        source.update(pd.Series(known, dtype="str"))
        errors += found
    return source, pd.DataFrame(errors, columns=ERROR_COLUMNS, dtype="str")


def _rows(file: raw_table.RawMetadata) -> list[dict[str, str]]:
    """Return the rows of a metadata file with those of the `NEEDED` columns that it has.

    Raises:
        ValueError: it cannot be parsed, or has no column FILE NAME.
    """
    if file.name.endswith(METADATA_SUFFIX):
        return workbook.read_rows(file.content, NEEDED)
    table = text_table.parse(file.content)
    columns = {workbook.key(name): name for name in table.columns}
    places = {name: columns[workbook.key(name)] for name in NEEDED if workbook.key(name) in columns}
    if NEEDED[0] not in places:
        raise ValueError(f"no column {NEEDED[0]}")
    return [{name: row[at] for name, at in places.items()} for row in table.rows.values()]


def _check_class(
    class_name: str, members: pd.DataFrame, rows: list[dict[str, str]]
) -> tuple[dict[int, str], list[tuple[str, str, str, str, str]]]:
    """Return the source of each image by its index, and the errors of one class."""
    known: dict[int, str] = {}
    errors = [
        (class_name, "", "no column", "", name) for name in NEEDED if rows and name not in rows[0]
    ]
    expected = {
        _key(PurePosixPath(facts["image"]).name): facts
        for facts in members[["image", "row", "width", "height"]].to_dict("records")
    }
    seen: set[str] = set()

    def error(image: str, what: str, value: str, should: str) -> None:
        errors.append((class_name, image, what, value, should))

    for row in rows:
        key = _key(row["FILE NAME"])
        if key not in expected:
            error(key, "row without image", row["FILE NAME"], "")
            continue
        facts = expected[key]
        image = facts["image"]
        if key in seen:
            error(image, "duplicate row", row.get("URL", ""), "")
            continue
        seen.add(key)
        size = f"{facts['width']}*{facts['height']}"
        if row.get("FORMAT", "PNG").upper() != "PNG":
            error(image, "wrong FORMAT", row["FORMAT"], "PNG")
        if facts["width"] and _size(row.get("SIZE", size)) != size:
            error(image, "wrong SIZE", row["SIZE"], size)
        if "URL" in row:
            known[facts["row"]] = collections.from_url(row["URL"])
            if known[facts["row"]] not in collections.SOURCES:
                error(
                    image, "unknown source", row["URL"], "one of " + ", ".join(collections.SOURCES)
                )
    for key, facts in expected.items():
        if key not in seen:
            error(facts["image"], "image without row", "", "")
    return known, errors


def _key(name: str) -> str:
    """Return what rows and images are matched by: the name of a file in its canonical spelling."""
    path = PurePosixPath(name)
    bare = name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else name
    try:
        return canonical_image(bare)
    except ValueError:
        return bare


def _size(text: str) -> str:
    """Return ``text`` with ``*`` between width and height, however it separates them."""
    return re.sub(r"\s*[*x×]\s*", "*", text.casefold())
