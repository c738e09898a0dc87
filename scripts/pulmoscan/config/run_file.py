"""The file of the run table: text between tabs, as an editor or a spreadsheet saves it."""

import csv
import io
from pathlib import Path

import pandas as pd

from pulmoscan.config import places, spelled
from pulmoscan.config.runs import COLUMNS, KEY, NAME, OPTIONAL, name

MOST = 10_000_000  # bytes
UNFREEZE = "0|[1-9][0-9]{0,5}|half|all"
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of today's and of the older formats
SEPARATORS = {",": "commas", ";": "semicolons", "|": "bars"}


def read(path: str | Path, split: str) -> pd.DataFrame:
    """Return the run table, all columns as text.

    Columns: ``split`` (a name of the configuration; where the file has no such column, or an empty
    cell, the given one), ``model`` (a name of the configuration), ``unfreeze`` (``0``, a number of
    layers, ``half`` or ``all``), ``variant`` (a name of the configuration) and ``tables`` (the
    published tables that the run stands in, separated by commas; may be empty). Blanks around
    cells, empty lines, and empty cells behind the last column are left out.

    Raises:
        OSError: the file is none, or cannot be read.
        ValueError: it is not such a table, a column is missing or unknown, a cell is empty or
            invalid, or a run appears twice.
    """
    lines = _cells(path)
    header = lines.pop(next(iter(lines)))
    while header and not header[-1]:
        header.pop()
    _check_header(path, header)
    if not lines:
        raise ValueError(f"{path} has no run below its header")
    for line, row in lines.items():
        if any(row[len(header) :]):
            raise ValueError(f"{path}, line {line} has {len(row)} cells, its header {len(header)}")
    # Missing cells are at the end of a line, and empty.
    padded = [(row + [""] * len(header))[: len(header)] for row in lines.values()]
    runs = pd.DataFrame(padded, columns=header, index=list(lines), dtype=str)
    for column in NAME:
        if (empty := runs[column].eq("")).any():
            raise ValueError(f"{path}, line {empty.idxmax()}: {column} is empty")
    if "split" not in runs:
        runs["split"] = ""
    runs["split"] = runs["split"].mask(runs["split"].eq(""), split)
    runs = runs[[*KEY, "tables"]]
    readable = runs["unfreeze"].str.fullmatch(UNFREEZE)
    if not readable.all():
        line = readable.idxmin()
        raise ValueError(
            f"{path}, line {line}: unfreeze is {runs['unfreeze'][line]!r}: "
            "write a number of layers, half or all"
        )
    if (twice := runs.duplicated(KEY)).any():
        run = name(**runs[NAME].loc[twice.idxmax()])
        raise ValueError(f"{path}, line {twice.idxmax()}: the run {run} appears twice")
    return runs.reset_index(drop=True)


def _check_header(path: str | Path, header: list[str]) -> None:
    known = [*COLUMNS, *OPTIONAL]
    missing = [column for column in COLUMNS if column not in header]
    unknown = [column for column in header if column not in known or header.count(column) > 1]
    if not missing and not unknown:
        return
    expected = f"its columns, between tabs, are {', '.join(COLUMNS)}, and split if you like"
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}: {expected}")
    if not unknown[0]:
        raise ValueError(f"{path} has a column without a name: {expected}")
    twice = " twice" if header.count(unknown[0]) > 1 else ""
    raise ValueError(f"{path} has a column {unknown[0]!r}{twice}: {expected}")


def _cells(path: str | Path) -> dict[int, list[str]]:
    """Return the lines that hold something by number, split into cells without blanks around."""
    try:
        content = places.content(path, MOST)
    except OSError as error:
        raise OSError(f"runs: cannot read the run table {path}: {error}") from None
    except ValueError as error:
        raise ValueError(f"runs: {path}: {error}") from None
    if content.startswith(WORKBOOKS):
        raise ValueError(f"runs: {path} is a workbook: save it as text separated by tabs")
    try:
        text = spelled.text_of(content)
    except ValueError as error:
        raise ValueError(f"runs: {path}: {error}") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = text.lstrip().partition("\n")[0]
    if "\t" not in first and (found := next((sign for sign in SEPARATORS if sign in first), None)):
        raise ValueError(
            f"runs: {path} has {SEPARATORS[found]} instead of tabs: "
            "save it as text separated by tabs"
        )
    lines = {}
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                lines[rows.line_num] = cells
    except csv.Error as error:
        raise ValueError(f"runs: {path} is not a table of tab-separated text: {error}") from None
    if not lines:
        raise ValueError(f"runs: {path} is empty: expected a table of tab-separated text")
    return lines
