"""The database's metadata tables, and where they disagree with the images.

One ``<Class>.metadata.xlsx`` per class, with the columns FILE NAME, FORMAT, SIZE and URL. Only
values are read; formulas are not evaluated.
"""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from pulmoscan.data import collections, unread, workbook
from pulmoscan.data.layout import CLASSES, METADATA_SUFFIX, canonical_image

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
    images: pd.DataFrame, contents: Mapping[str, bytes | None]
) -> tuple[pd.Series, pd.DataFrame]:
    """Join the metadata to the images.

    Args:
        images: one row per image with ``image, class, width, height``; width 0 if the image could
            not be read, whose size is then not compared.
        contents: for each class its xlsx file, None if there is none.

    Returns:
        The source of each image, aligned with ``images`` (``collections.UNKNOWN`` without a row or
        URL), and a table with the columns ``class, image, error, value, expected``, one row per
        error: a file that is missing or damaged (the only error then for its class), a missing
        column, a row without image, a second row of one image (the first counts), a format or size
        that is not the image's, an unknown source, an image without row.
    """
    source = pd.Series(collections.UNKNOWN, images.index, dtype="str", name="source")
    errors: list[tuple[str, str, str, str, str]] = []
    for class_name in CLASSES:
        members = images[images["class"] == class_name].reset_index(names="row").set_index("image")
        file = class_name + METADATA_SUFFIX
        content = contents.get(class_name)
        if content is None:
            errors.append((class_name, "", "no metadata file", "", file))
            continue
        try:
            rows = workbook.read_rows(content, NEEDED)
        except ValueError as error:
            errors.append((class_name, "", "damaged metadata file", str(error), file))
            continue
        known, found = _check_class(class_name, members, rows)
        source.update(pd.Series(known, dtype="str"))
        errors += found
    return source, pd.DataFrame(errors, columns=ERROR_COLUMNS, dtype="str")


def _check_class(
    class_name: str, members: pd.DataFrame, rows: list[dict[str, str]]
) -> tuple[dict[int, str], list[tuple[str, str, str, str, str]]]:
    """Return the source of each image by its index, and the errors of one class."""
    known: dict[int, str] = {}
    errors = [
        (class_name, "", "no column", "", name) for name in NEEDED if rows and name not in rows[0]
    ]
    expected = members[["row", "width", "height"]].to_dict("index")
    seen: set[str] = set()

    def error(image: str, what: str, value: str, should: str) -> None:
        errors.append((class_name, image, what, value, should))

    for row in rows:
        image = _image(row["FILE NAME"])
        if image not in expected:
            error(image, "row without image", row["FILE NAME"], "")
            continue
        if image in seen:
            error(image, "duplicate row", row.get("URL", ""), "")
            continue
        seen.add(image)
        facts = expected[image]
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
    for image in expected:
        if image not in seen:
            error(image, "image without row", "", "")
    return known, errors


def _image(name: str) -> str:
    """Return the canonical name of an image, or ``name`` itself if it is not one."""
    try:
        return canonical_image(re.sub(r"\.png$", "", name, flags=re.IGNORECASE))
    except ValueError:
        return name


def _size(text: str) -> str:
    """Return ``text`` with ``*`` between width and height, however it separates them."""
    return re.sub(r"\s*[*x×]\s*", "*", text.casefold())
