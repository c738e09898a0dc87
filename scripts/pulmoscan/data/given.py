"""Parts that the data themselves give: a column that names them, or a source that is held out."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd

from pulmoscan import spelling
from pulmoscan.data.layout import PART_OF_WORD
from pulmoscan.data.schemes import PARTS

LISTED = 10  # values or columns that a message names
OWN = "defects"  # the last of the audit's own columns: those of the user come after it


def of_column(images: pd.DataFrame, column: str) -> pd.Series:
    """Return the part of each image, as its ``column`` says in one of the words of `PART_OF_WORD`.

    Upper and lower case are the same.

    Raises:
        ValueError: there is no such column, a cell says something else, or no image tests.
    """
    said = _text(images, column)
    part = said.str.strip().str.casefold().map(PART_OF_WORD)
    if len(wrong := images["image"][part.isna()]):
        value = said[wrong.index[0]]
        holds = f"{value!r}, which is not one of {', '.join(PART_OF_WORD)}"
        if not value.strip():
            holds = f"nothing: write {', '.join(PARTS[:-1])} or {PARTS[-1]}"
        count = f" ({len(wrong):,} images in all)" if len(wrong) > 1 else ""
        raise ValueError(f"image {wrong.iloc[0]}: its column {column!r} holds {holds}{count}")
    if not (part == "test").any():
        raise ValueError(
            f"no image has test in the column {column!r}: a given split needs test images, "
            "and test or folds instead of column draws them"
        )
    return part


def check_learnt(table: pd.DataFrame, column: str) -> None:
    """Raise ``ValueError`` unless every class has images that train and some that validate.

    ``table`` has ``class`` and ``split``.
    """
    counts = table.groupby(["class", "split"]).size().unstack(fill_value=0)
    for part in ("train", "validation"):
        if lacking := [name for name in counts.index if not counts.get(part, {}).get(name, 0)]:
            raise ValueError(
                f"class {lacking[0]} has no image with {part} in the column {column!r}: every "
                "class needs one to train and one to validate; add it or leave the class out "
                "(dataset.classes)"
            )


def no_validation(column: str) -> str:
    """Return what to do where no image of a given split validates."""
    return (
        f"no image has validation in the column {column!r}: give the split validation, the share "
        "of its training images that validate, with seed and group"
    )


def held_out(images: pd.DataFrame, hold_out: Mapping[str, Collection]) -> pd.Series:
    """Return whether each image has one of the values that test.

    Args:
        images: one row per image.
        hold_out: one column, and values of it.

    Raises:
        ValueError: there is no such column, or no image has one of the values.
    """
    ((column, values),) = hold_out.items()
    said = _text(images, column)
    there = said.value_counts().sort_index()
    for value in map(str, values):
        if value not in there.index:
            counted = [f"{name or 'no value'} ({images:,})" for name, images in there.items()]
            raise ValueError(
                f"no image without defects has the {column} {value!r}: "
                f"{spelling.guess(value, list(there.index))}"
                f"There are {spelling.listed(counted, LISTED)}"
            )
    return said.isin([str(value) for value in values])


def beside(table: pd.DataFrame, tested: pd.Series) -> pd.Series:
    """Return whether each image belongs together with one that tests, and does not test itself."""
    return ~tested & table["group"].isin(table.loc[tested, "group"])


def remarks(images: pd.DataFrame, table: pd.DataFrame, scheme: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be known of a split, one line per subject; a warning says that it is one.

    Args:
        images: the audit's images, of which ``table`` has the ``row``.
        table: what `splits.assign` returns.
        scheme: its settings.
    """
    rows = images.iloc[table["row"]].assign(split=table["split"].to_numpy())
    if "hold_out" in scheme:
        usable = int((images["defects"].fillna("") == "").sum())
        if lost := usable - len(table):
            yield (
                f"warning: {lost:,} image{'s' * (lost > 1)} neither train nor test: each belongs "
                "together with a held-out image, and is not held out itself"
            )
    column = "column" in scheme
    whole = column or scheme["group"] == "duplicates"
    if whole and "patient" in images and (count := _in_several(rows, "patient")):
        what = "given split" if column else "split: set its group to patient"
        yield f"warning: {_have(count, 'patient')} images in several parts of the {what}"
    if column and (count := _in_several(rows, "duplicate_group")):
        lie = "groups of duplicates lie" if count > 1 else "group of duplicates lies"
        yield f"warning: {count:,} {lie} in several parts of the given split"
    if "patient" in images:
        known = rows[_filled(rows["patient"])]
        if count := int((known.groupby("patient")["class"].nunique() > 1).sum()):
            yield f"{_have(count, 'patient')} images of several classes"
    untested = sorted({*table["class"]} - {*table.loc[table["split"] == "test", "class"]})
    if untested:
        yield f"warning: no image of {', '.join(untested)} tests: no sensitivity is measured for it"


def further(images: pd.DataFrame) -> list[str]:
    """Return the columns of the audit's images that a table of the user's states."""
    return list(images.columns[images.columns.get_loc(OWN) + 1 :])


def _in_several(rows: pd.DataFrame, column: str) -> int:
    """Return how many values of a column have images in several parts."""
    known = rows[_filled(rows[column])]
    return int((known.groupby(column)["split"].nunique() > 1).sum())


def _filled(column: pd.Series) -> pd.Series:
    return column.notna() & (column != "")


def _have(count: int, noun: str) -> str:
    return f"{count:,} {noun}s have" if count > 1 else f"1 {noun} has"


def _text(images: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as text, "" where it has no value; 3.0 reads as 3."""
    if column not in images:
        known = ["source", *further(images)]
        raise ValueError(
            f"the data set has no column {column!r}: {spelling.guess(column, known)}"
            f"It has {spelling.listed(known, LISTED)}"
        )
    return images[column].map(_as_text)


def _as_text(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)
