"""The database's metadata tables, and where they disagree with the images.

One ``<Class>.metadata.xlsx`` per class, with the columns FILE NAME, FORMAT, SIZE and URL. Only
values are read; formulas are not evaluated.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO

import openpyxl
import pandas as pd

from pulmoscan.data import collections
from pulmoscan.data.layout import CLASSES, METADATA_SUFFIX, canonical_image
from pulmoscan.data.raw_folder import ZIP_METHODS

NEEDED = ("FILE NAME", "FORMAT", "SIZE", "URL")
ERROR_COLUMNS = ("class", "image", "error", "value", "expected")

# The largest table of the database has 10,192 rows and some 3 million bytes of XML.
MOST_UNPACKED = 64 << 20  # bytes
MOST_CELLS = 2**21  # of all rows together, an empty row counted as one cell


class _TooLargeError(ValueError):
    """The file holds more than any table of the database does."""


def read_rows(content: bytes) -> list[dict[str, str]]:
    """Return the rows of the first sheet of an xlsx file.

    The first row that is not empty is the header, matched without regard to case. Unknown columns
    and empty rows are left out.

    Returns:
        For each row the text of the columns ``NEEDED`` that the sheet has; "" for an empty cell.

    Raises:
        ValueError: the file cannot be parsed, is far larger than a table of the database, or has no
            column FILE NAME.
    """
    try:
        _check_size(content)
        cells = _cells(content)
    except _TooLargeError:
        raise
    except Exception as error:
        # openpyxl checks little: a damaged file makes it raise anything.
        raise ValueError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    header = [name.upper().replace("_", " ") for name in cells[0]] if cells else []
    if NEEDED[0] not in header:
        raise ValueError(f"no column {NEEDED[0]}")
    columns = {name: header.index(name) for name in NEEDED if name in header}
    return [
        {name: row[index] if index < len(row) else "" for name, index in columns.items()}
        for row in cells[1:]
    ]


def _check_size(content: bytes) -> None:
    """Raise ``_TooLargeError`` for a file that would fill the memory when unpacked."""
    with zipfile.ZipFile(BytesIO(content)) as parts:
        entries = parts.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED:
        raise _TooLargeError(f"it would unpack to {unpacked:,} bytes, more than {MOST_UNPACKED:,}")
    methods = {entry.compress_type for entry in entries} - {*ZIP_METHODS}
    if methods:
        raise ValueError(f"compression method {min(methods)}, which no xlsx file has")


def _cells(content: bytes) -> list[list[str]]:
    """Return the text of the first sheet's cells, without empty rows."""
    book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True)
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # the size that a file states for its sheet may be wrong
    cells, count = [], 0
    for row in sheet.iter_rows(values_only=True):
        # A row may claim to be the billionth: openpyxl then yields all rows before it.
        count += max(len(row), 1)
        if count > MOST_CELLS:
            raise _TooLargeError(f"its sheet has more than {MOST_CELLS:,} cells")
        texts = [_text(value) for value in row]
        if any(texts):
            cells.append(texts)
    return cells


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
            rows = read_rows(content)
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


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _image(name: str) -> str:
    """Return the canonical name of an image, or ``name`` itself if it is not one."""
    try:
        return canonical_image(re.sub(r"\.png$", "", name, flags=re.IGNORECASE))
    except ValueError:
        return name


def _size(text: str) -> str:
    """Return ``text`` with ``*`` between width and height, however it separates them."""
    return re.sub(r"\s*[*x×]\s*", "*", text.casefold())
