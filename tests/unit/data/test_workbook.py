"""Workbooks of every kind are read, or refused with what to do."""

import io
import re
import zipfile
from io import BytesIO

import openpyxl
import pytest
import small_database as small
from pulmoscan.data import metadata, workbook

ROW = ("COVID-1", "PNG", "299*299", "https://eurorad.org")
EXPECTED = [dict(zip(small.HEADER, ROW, strict=True))]
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def read(content: bytes) -> list[dict[str, str]]:
    return workbook.read_rows(content, metadata.NEEDED)


def strict() -> bytes:
    """A workbook as an office writes it that was told to follow the standard strictly."""
    usual = zipfile.ZipFile(BytesIO(small.workbook([small.HEADER, ROW])))
    changed = BytesIO()
    with zipfile.ZipFile(changed, "w") as book:
        for name in usual.namelist():
            text = usual.read(name)
            for strict_name, name_2006 in workbook._STRICT.items():
                text = text.replace(name_2006, strict_name)
            book.writestr(name, text)
    return changed.getvalue()


def with_second_sheet() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["notes", "about", "this"])
    sheet = book.create_sheet("data")
    for row in (small.HEADER, ROW):
        sheet.append(row)
    content = BytesIO()
    book.save(content)
    return content.getvalue()


READ = {
    "strict": strict(),
    "second sheet": with_second_sheet(),
    "title above": small.workbook(
        [["COVID-19 Radiography Database"], [], [2021], small.HEADER, ROW]
    ),
    "blanks and case": small.workbook([[f" {name.lower()} " for name in small.HEADER], ROW]),
    "without blanks": small.workbook([["FileName", *small.HEADER[1:]], ROW]),
    "underscores": small.workbook([["file_name", *small.HEADER[1:]], ROW]),
    "empty rows": small.workbook([[], small.HEADER, [], [None, None], ROW, []]),
}


@pytest.mark.parametrize("name", READ)
def test_the_table_is_found(name, recwarn):
    assert read(READ[name]) == EXPECTED
    assert [str(warning.message) for warning in recwarn] == []


def zipped(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in entries.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return stream.getvalue()


REFUSED = {
    "the file is empty": b"",
    "an old .xls workbook: save it as .xlsx": COMPOUND,
    "protected by a password: save it as .xlsx without one": (
        COMPOUND + "EncryptedPackage".encode("utf-16-le")
    ),
    "text such as CSV, not an .xlsx workbook: save it as .xlsx": b"FILE NAME,URL\nCOVID-1,x\n",
    "not an .xlsx workbook, or a damaged one": bytes(1000),
    "an OpenDocument file: save it as .xlsx": zipped(mimetype=b"x", content_xml=b"x"),
    "an .xlsb workbook: save it as .xlsx": zipped(xl__workbook_bin=b"x"),
    "damaged or cut off (File is not a zip file)": small.workbook([small.HEADER, ROW])[:2000],
    "no column FILE NAME": small.workbook([["name"], ["COVID-1"]]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_read_says_what_to_do(reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        read(REFUSED[reason])
