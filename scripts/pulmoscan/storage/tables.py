"""Tables that one stage writes and another reads: Parquet, TSV with a header, or JSON."""

import json
from collections.abc import Callable, Collection
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from pulmoscan.storage.atomic import replacing

_MISSING = ("", "NaN", "nan")  # cells of a TSV that hold no number


def read(path: str | Path, stage: str, text: Collection[str] = ()) -> pd.DataFrame:
    """Return a table that another stage wrote, as ``.tsv`` or as Parquet.

    Args:
        path: the file.
        stage: what wrote it, for messages: ``the audit``.
        text: columns of a TSV that hold names or sentences. They stay text whatever they look like
            (``NA``, ``1``), and an empty cell is "". Other columns get the type of their content,
            with NaN for an empty cell. Parquet knows its types.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, is not a table, or lacks a column of ``text``.
    """
    path = Path(path)

    def parse(content: bytes) -> pd.DataFrame:
        if path.suffix == ".tsv":
            return _parsed(content, text)
        return pd.read_parquet(BytesIO(content))

    table = _read(path, stage, parse)
    for name in text:
        if name not in table:
            raise ValueError(f"{path} has no column {name!r}: run {stage} again")
    return table


def read_json(path: str | Path, stage: str) -> Any:
    """Return what another stage, which messages name, wrote as JSON.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    return _read(Path(path), stage, json.loads)


def write(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index, as TSV where the path ends in ``.tsv``, else as Parquet.

    The file is complete or absent, see `atomic.replacing`.
    """
    with replacing(path) as temporary:
        if temporary.suffix == ".tsv":
            table.to_csv(temporary, sep="\t", index=False)
        else:
            table.to_parquet(temporary, index=False)


def _read(path: Path, stage: str, parse: Callable[[bytes], Any]) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}; run {stage} again") from error
    try:
        return parse(content)
    except Exception as error:  # a damaged file ends in whatever the reader's parts raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{path} is damaged ({reason}): remove it and run {stage} again"
        ) from error


def _parsed(content: bytes, text: Collection[str]) -> pd.DataFrame:
    names = pd.read_csv(BytesIO(content), sep="\t", nrows=0).columns
    table = pd.read_csv(
        BytesIO(content),
        sep="\t",
        dtype=dict.fromkeys(names.intersection(list(text)), "str"),
        keep_default_na=False,
        na_values={name: _MISSING for name in names if name not in text},
    )
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for an index
        raise ValueError("some lines have more fields than the header")
    return table
