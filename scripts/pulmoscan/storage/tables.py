"""Tables that one stage writes and another reads: Parquet, TSV with a header, or JSON."""

import json
from collections.abc import Callable, Collection, Mapping
from io import BytesIO
from pathlib import Path
from types import UnionType
from typing import Any

import pandas as pd

from pulmoscan.storage import reading
from pulmoscan.storage.atomic import replacing

_MISSING = ("", "NaN", "nan")  # cells of a TSV that hold no number


def read(
    path: str | Path,
    stage: str,
    text: Collection[str] = (),
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
    *,
    others: Collection[str] = (),
    all_text: bool = False,
    then: Callable[[pd.DataFrame], Any] = lambda table: None,
    unchanged: bool = True,
) -> pd.DataFrame:
    """Return a table that another stage wrote, as ``.tsv`` or as Parquet.

    Args:
        path: the file.
        stage: what wrote it, for messages: ``the audit``.
        text: columns that hold names or sentences. In a TSV they stay text whatever they look like
            (``NA``, ``1``), and an empty cell is "". Other columns get the type of their content,
            with NaN for an empty cell. Parquet knows its types.
        numbers: columns of numbers, or NaN.
        whole: columns of whole numbers from 0.
        others: columns of any content.
        all_text: whether all columns of a TSV stay text.
        then: is called with the table, and raises ``ValueError`` for a reason that it is damaged.
        unchanged: whether a result that was changed after it was made is refused.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, is not a table, lacks one of the columns, or has something else
            in it; or it is a result that was changed after it was made.
    """
    path = Path(path)

    def parse(content: bytes) -> pd.DataFrame:
        kept = None if all_text else text
        table = _parsed(content, kept) if path.suffix == ".tsv" else _of_parquet(content)
        check_columns(table, text, numbers, whole)
        check_columns(table.iloc[:0], others)
        then(table)
        return table

    return _read(path, stage, parse, unchanged)


def check_columns(
    table: pd.DataFrame,
    text: Collection[str] = (),
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
) -> None:
    """Raise ``ValueError`` unless a table has columns with the content that `read` describes."""
    for kind, names in (("text", text), ("numbers", numbers), ("whole numbers", whole)):
        for name in names:
            if name not in table:
                raise ValueError(f"it has no column {name!r}")
            if len(table) and not KINDS[kind](table[name]):
                raise ValueError(f"not all cells of its column {name!r} are {kind}")


def read_json(
    path: str | Path,
    stage: str,
    keys: Mapping[str, type | UnionType] | None = None,
    *,
    then: Callable[[Any], Any] = lambda value: None,
    unchanged: bool = True,
) -> Any:
    """Return what another stage, which messages name, wrote as JSON.

    With ``keys`` it is an object whose values have these types; a key may be absent where None is
    among its types. ``then`` and ``unchanged`` are those of `read`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, lacks a key, or is a result that was changed after it was made.
    """

    def parse(content: bytes) -> Any:
        value = json.loads(content)
        check_keys(value, keys or {})
        then(value)
        return value

    return _read(Path(path), stage, parse, unchanged)


def check_keys(value: Any, keys: Mapping[str, type | UnionType]) -> None:
    """Raise ``ValueError`` unless a value of JSON has these keys with these types."""
    if keys and not isinstance(value, dict):
        raise ValueError(f"it holds {value!r:.40}, not an object")
    for key, kind in keys.items():
        if not isinstance(value.get(key), kind):
            held = f"its {key!r} is {value[key]!r:.40}" if key in value else f"it has no {key!r}"
            raise ValueError(held)


def write(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table without its index, as TSV where the path ends in ``.tsv``, else as Parquet.

    The file is complete or absent, see `atomic.replacing`.
    """
    with replacing(path) as temporary:
        if temporary.suffix == ".tsv":
            table.to_csv(temporary, sep="\t", index=False)
        else:
            table.to_parquet(temporary, index=False)


def _read(path: Path, stage: str, parse: Callable[[bytes], Any], unchanged: bool = True) -> Any:
    content = reading.content(path, stage, unchanged)
    try:
        return parse(content)
    except Exception as error:  # a damaged file ends in whatever the reader's parts raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{path} is damaged ({reason}): remove it and run {stage} again"
        ) from error


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=False) == "string"


def _is_number(column: pd.Series) -> bool:
    kinds = pd.api.types
    numeric = kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)
    return numeric or column.isna().all()


def _is_whole(column: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(column) and column.notna().all() and column.min() >= 0


KINDS = {"text": _is_text, "numbers": _is_number, "whole numbers": _is_whole}


def _of_parquet(content: bytes) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(content))


def _parsed(content: bytes, text: Collection[str] | None) -> pd.DataFrame:
    """Return a TSV; the columns ``text`` stay text, all of them where it is None."""
    names = pd.read_csv(BytesIO(content), sep="\t", nrows=0).columns
    if not content.endswith(b"\n"):
        raise ValueError("its last line is not complete")
    text = names if text is None else text
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
