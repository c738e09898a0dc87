"""Tables that people keep of their images: CSV or TSV, as an editor or a spreadsheet saves it."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
MOST_CELLS = 2**24

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of today's and of the older formats
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class TextTable:
    """The cells of a table, without blanks around them.

    Attributes:
        columns: The names in its header.
        rows: One mapping per row that holds something, from column to cell, by the number of its
            line in the file.
    """

    columns: list[str]
    rows: Mapping[int, dict[str, str]]


def parse(content: bytes) -> TextTable:
    """Return a table, whose columns are separated by tabs, commas or semicolons.

    The separator is the one that the header has most of. Empty cells after the last column, and
    missing ones, do not matter.

    Raises:
        ValueError: it is a workbook or another kind of file, a column has no name or the name of
            another one, or a row has more cells than there are columns. The message goes after the
            name of the file.
    """
    text = _text(content)
    first = text.lstrip("\r\n").splitlines()[:1]
    if not first:
        raise ValueError("it is empty: expected a header and one row per image")
    separator = max(SEPARATORS, key=first[0].count)
    lines: dict[int, list[str]] = {}
    cells = 0
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for row in reader:
            stripped = [cell.strip() for cell in row]
            cells += len(row)
            if cells > MOST_CELLS:
                raise ValueError(f"it has more than {MOST_CELLS:,} cells")
            if any(stripped):
                lines[reader.line_num] = stripped
    except csv.Error as error:
        raise ValueError(
            f"it cannot be parsed as text with {SEPARATORS[separator]}: {error}"
        ) from None
    header = lines.pop(next(iter(lines)))
    while header and not header[-1]:
        header.pop()
    for name in header:
        if not name:
            raise ValueError("it has a column without a name")
        if header.count(name) > 1:
            raise ValueError(f"it has two columns {name!r}")
    for line, row in lines.items():
        if any(row[len(header) :]):
            raise ValueError(f"line {line} has {len(row)} cells, the header {len(header)}")
    return TextTable(
        header,
        {
            line: dict(zip(header, row + [""] * (len(header) - len(row)), strict=False))
            for line, row in lines.items()
        },
    )


def _text(content: bytes) -> str:
    if content.startswith(_WORKBOOKS):
        raise ValueError("it is a workbook: save it as CSV or TSV")
    if b"\0" in content[:1000] or content.startswith(_UTF_16):
        raise ValueError("it is not text in UTF-8: save it as CSV or TSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8: save it as CSV or TSV in UTF-8") from None
