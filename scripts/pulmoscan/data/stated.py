"""What the user's own table says of images besides their class: patient, source, split, others."""

from collections.abc import Collection

import pandas as pd

from pulmoscan.data import collections, raw_folder

SHOWN = 20  # values of a column that are counted one by one; numbers with more are cut in ranges
RANGES = 4
LONGEST = 60  # characters of a value that a table shows


def sources(images: pd.Series, listed: pd.DataFrame) -> pd.Series:
    """Return the source of each image, ``collections.UNKNOWN`` where none is stated.

    Args:
        images: their names.
        listed: what the download says of the images, with a column ``source``.
    """
    return _aligned(images, listed)["source"].replace("", collections.UNKNOWN)


def further(images: pd.Series, listed: pd.DataFrame, taken: Collection[str]) -> pd.DataFrame:
    """Return ``patient``, ``split`` and further columns of images, null where a cell is empty.

    Args:
        images: their names.
        listed: what the download says of the images.
        taken: names of columns that the audit has itself. A column of such a name is called
            ``<name>_given``.

    Returns:
        The columns that there are, aligned with ``images``; text, or numbers where all are.
    """
    own = {*raw_folder.IMAGE_COLUMNS, "source"}
    names = [name for name in listed.columns if name not in own]
    table = _aligned(images, listed)[names]
    table = table.where(table != "", None)
    for name in names:
        numbers = pd.to_numeric(table[name], errors="coerce")
        # A patient's number is a name: it is never computed with, and may begin with zeros.
        if name not in ("patient", "split") and numbers.notna().eq(table[name].notna()).all():
            table[name] = numbers if table[name].notna().any() else table[name]
    return table.rename(columns=lambda name: raw_folder.further_name(name, taken))


def attributes(images: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Return ``column, value`` and one column of counts per class, one row per value of a column.

    Columns with more than `SHOWN` values are cut into ranges with as many images each where they
    hold numbers; of others only the number of values is told. An empty value stands for images of
    which nothing is stated.

    Args:
        images: one row per image with ``class``.
        names: the columns to count.
    """
    classes = sorted(images["class"].unique())
    parts = [_counts(images, name, classes) for name in names]
    return pd.concat([pd.DataFrame(columns=["column", "value", *classes]), *parts])


def _counts(images: pd.DataFrame, name: str, classes: list[str]) -> pd.DataFrame:
    told = categories(images[name])
    if told is None:
        count = images[name].nunique()
        told = images[name].notna().map({True: f"{count:,} values", False: ""})
    table = pd.crosstab(told.to_numpy(), images["class"].to_numpy())
    order = images[name].groupby(told.to_numpy(), sort=False).min().sort_values().index
    table = table.reindex(order, columns=classes)
    table.columns.name = None
    return table.rename_axis("value").reset_index().assign(column=name)


def categories(values: pd.Series) -> pd.Series | None:
    """Return what a table calls each value: its text, or the range of a number that is one of many.

    Args:
        values: text or numbers, null where nothing is stated.

    Returns:
        Text, "" where nothing is stated; None for text with more than `SHOWN` values.
    """
    if values.nunique() <= SHOWN:
        shown = values.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))
        return shown.str.slice(stop=LONGEST).where(values.notna(), "")
    if not pd.api.types.is_numeric_dtype(values):
        return None
    ranges = pd.qcut(values, RANGES, duplicates="drop")
    ends = values.groupby(ranges, observed=True).agg(["min", "max"])
    texts = {at: f"{low:g} to {high:g}" for at, low, high in ends.itertuples()}
    return ranges.map(texts).astype("str").where(values.notna(), "")


def _aligned(images: pd.Series, listed: pd.DataFrame) -> pd.DataFrame:
    return listed.set_index("image").reindex(images.to_numpy()).set_index(images.index)
