"""The rows of an .xlsx workbook, read without trusting it; only values, no formulas."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO

import openpyxl

from pulmoscan.data.raw_folder import ZIP_METHODS

# The largest table of the database has 10,192 rows and some 3 million bytes of XML.
MOST_UNPACKED = 64 << 20  # bytes
MOST_CELLS = 2**21  # of all rows together, an empty row counted as one cell
HEADER_ROWS = 20  # that may stand above the header, such as a title

# Namespaces of Strict Open XML, which openpyxl does not know, and those of the usual files.
_STRICT = {
    b"http://purl.oclc.org/ooxml/spreadsheetml/main": (
        b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    ),
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
    b"http://purl.oclc.org/ooxml/drawingml/main": (
        b"http://schemas.openxmlformats.org/drawingml/2006/main"
    ),
}
_OTHERS = {  # by an entry that tells them from .xlsx
    "xl/workbook.bin": "an .xlsb workbook",
    "content.xml": "an OpenDocument file",
    "Index/Document.iwa": "a Numbers document",
    "word/document.xml": "a Word document",
}


class _NotReadError(ValueError):
    """The file is refused, with a user-facing message."""


def read_rows(content: bytes, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of the first sheet that has the first of ``columns``.

    The header is the first row with that column, among the first ``HEADER_ROWS``; case, blanks and
    underscores do not matter. Unknown columns and empty rows are left out.

    Returns:
        For each row the text of those ``columns`` that the sheet has; "" for an empty cell.

    Raises:
        ValueError: the file cannot be parsed, is far larger than a table of the database, or has no
            such sheet.
    """
    try:
        with warnings.catch_warnings():
            # Of styles and validations that openpyxl leaves out; values do not depend on them.
            warnings.simplefilter("ignore", UserWarning)
            found = next(_tables(_usual(content), columns), None)
    except _NotReadError:
        raise
    except zipfile.BadZipFile as error:
        raise ValueError(f"damaged or cut off ({error})") from error
    except Exception as error:
        # openpyxl checks little: a damaged file makes it raise anything.
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(f"{type(error).__name__}: {reason}") from error
    if found is None:
        raise ValueError(f"no column {columns[0]}")
    return found


def _usual(content: bytes) -> bytes:
    """Return the workbook with the usual namespaces; refuse what is too large or no .xlsx."""
    if not content.startswith(b"PK"):
        raise _NotReadError(_what_else(content))
    with zipfile.ZipFile(BytesIO(content)) as parts:
        entries = parts.infolist()
        names = {entry.filename for entry in entries}
        for name, what in _OTHERS.items():
            if name in names:
                raise _NotReadError(f"{what}: save it as .xlsx")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MOST_UNPACKED:
            raise _NotReadError(
                f"it would unpack to {unpacked:,} bytes, more than {MOST_UNPACKED:,}"
            )
        methods = {entry.compress_type for entry in entries} - {*ZIP_METHODS}
        if methods:
            raise ValueError(f"compression method {min(methods)}, which no xlsx file has")
        start = parts.read("xl/workbook.xml")
        if not any(strict in start for strict in _STRICT):
            return content
        texts = {entry.filename: parts.read(entry) for entry in entries}
    usual = BytesIO()
    with zipfile.ZipFile(usual, "w") as parts:
        for name, text in texts.items():
            for strict, transitional in _STRICT.items():
                text = text.replace(strict, transitional)
            parts.writestr(name, text)
    return usual.getvalue()


def _what_else(content: bytes) -> str:
    if not content:
        return "the file is empty"
    if content.startswith(b"\xd0\xcf\x11\xe0"):  # Microsoft's compound file
        if "EncryptedPackage".encode("utf-16-le") in content:
            return "protected by a password: save it as .xlsx without one"
        return "an old .xls workbook: save it as .xlsx"
    start = content[:1000]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in start:
        return "text such as CSV, not an .xlsx workbook: save it as .xlsx"
    return "not an .xlsx workbook, or a damaged one"


def _tables(content: bytes, columns: Sequence[str]) -> Iterator[list[dict[str, str]]]:
    """Yield the rows below each header that a sheet has."""
    book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True)
    left = MOST_CELLS
    for sheet in book.worksheets:
        cells: list[list[str]] = []
        sheet.reset_dimensions()  # the size that a file states for its sheet may be wrong
        for row in sheet.iter_rows(values_only=True):
            # A row may claim to be the billionth: openpyxl then yields all rows before it.
            left -= max(len(row), 1)
            if left < 0:
                raise _NotReadError(f"its sheets have more than {MOST_CELLS:,} cells")
            texts = [_text(value) for value in row]
            if any(texts):
                cells.append(texts)
        for number, header in enumerate(cells[:HEADER_ROWS], 1):
            keys = [key(name) for name in header]
            if key(columns[0]) in keys:
                places = {name: keys.index(key(name)) for name in columns if key(name) in keys}
                yield [
                    {name: row[at] if at < len(row) else "" for name, at in places.items()}
                    for row in cells[number:]
                ]


def key(name: str) -> str:
    """Return what names of a column have in common, however their blanks and case are written."""
    return re.sub(r"[\s_]", "", name).casefold()


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
