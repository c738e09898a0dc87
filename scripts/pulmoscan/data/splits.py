"""Which images train, validate and test: one assignment of the whole data set, made once.

Every class is cut into exact counts, in proportion from each of its sources, with the images that
belong together on the same side (see `cutting`), unless the data say which images test (`given`).
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.data import cutting, given, groups, schemes
from pulmoscan.data.schemes import PARTS
from pulmoscan.storage import tables

COLUMNS = ("row", "image", "class", "source", "group", "split", "rank", "masked")


def read_images(
    path: str | Path, *, others: Collection[str] = (), unchanged: bool = True
) -> pd.DataFrame:
    """Return the audit's table of images; ``others`` and ``unchanged`` are those of `tables.read`.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    text = ("image", "class", "source", "defects")
    return tables.read(
        path, "the audit", text, others=others, then=_check_images, unchanged=unchanged
    )


def read(path: str | Path) -> pd.DataFrame:
    """Return a table of `assign` from its file.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(table: pd.DataFrame) -> None:
        _check_images(table)
        if strangers := sorted(set(table["split"]) - set(PARTS)):
            raise ValueError(f"it has images of {strangers[0]!r}")

    text = ("image", "class", "source", "group", "split")
    whole = ["row", "rank"]
    return tables.read(path, "the split", text, whole=whole, others=["masked"], then=check)


def _check_images(table: pd.DataFrame) -> None:
    if "mask_width" in table:
        tables.check_columns(table, whole=["mask_width"])
    if (twice := table["image"].duplicated()).any():
        raise ValueError(f"it has the image {table['image'][twice].iloc[0]} twice")
    if (group := "duplicate_group") in table:
        tables.check_columns(table[table[group].notna()], [group])


def assign(
    images: pd.DataFrame,
    *,
    seed: int = 0,
    group: str = "duplicates",
    validation: float | None = None,
    test: float | None = None,
    folds: int | None = None,
    fold: int | None = None,
    column: str | None = None,
    hold_out: Mapping[str, Collection] | None = None,
) -> pd.DataFrame:
    """Assign every image without defects to train, validation or test.

    The parts of each class have the sizes of `schemes.part_sizes`, spread over the sources; see
    `placing.place` for when groups of images make them differ. In the splits of all folds together,
    every image tests once. A given test set (``column``, ``hold_out``) stays as it is, and the rest
    of each class is cut in the same way.

    Args:
        images: one row per image of the packed arrays, in their order, with ``image, class, source,
            defects``, ``mask_width`` where masks matter, and the columns of ``groups.KINDS[group]``
            and of ``column`` or ``hold_out``.
        seed: of everything drawn, 0 or more.
        group: ``duplicates`` keeps a duplicate group in one part; ``patient`` also the images of a
            patient; ``image`` lets every image fall by itself.
        validation: share of what the test leaves that validates, above 0 and below 1.
        test: share of a class that tests, above 0 and below 1; or, instead:
        folds: number of folds, at least 2.
        fold: the fold that tests, from 1.
        column: the column that says which part an image is in, see `given.of_column`.
        hold_out: a column, and the values of it whose images test.

    Returns:
        One row per image without defects, in the order of ``images``: ``row`` (its position there),
        ``image, class, source, group`` (the first name of what it belongs together with, its own
        name where that is nothing), ``split``, ``rank`` (0, 1, ... in one drawn order within class
        and split), and ``masked``, whether it has a mask. An image that belongs together with a
        held-out one and is not held out itself has no row: it neither trains nor tests.

    Raises:
        ValueError: a class has no usable image or too few to give each part one, a name appears
            twice, a group of duplicates spans classes, or the data do not hold what is asked for.
    """
    if group == "patient" and "patient" not in images:
        raise ValueError(
            "the data set has no column of patients, which the group of the split needs: name it "
            "in dataset.columns, or let the group be duplicates"
        )
    table = _usable(images, group)
    for name in sorted({*images["class"]} - {*table["class"]}):
        lost = images[images["class"] == name]
        raise ValueError(
            f"class {name} has no image without defects ({lost['image'].iloc[0]}: "
            f"{lost['defects'].iloc[0]}): results/tables/defects.tsv lists all"
        )
    if table.empty:
        raise ValueError("no image without defects is left to split")
    tested, facts = None, images.iloc[table["row"]].set_axis(table.index)
    if column is not None:
        table["split"] = given.of_column(facts, column)
        if (table["split"] == "validation").any():
            given.check_learnt(table, column)
            return _in_order(cutting.ranked(table, seed))
        if validation is None:
            raise ValueError(given.no_validation(column))
        tested = table["split"] == "test"
    elif hold_out is not None:
        tested = given.held_out(facts, hold_out)
        kept = ~given.beside(table, tested)
        table, tested = table[kept], tested[kept]
    asked = {"test": test, "folds": folds, "fold": fold, "validation": validation}
    shares = schemes.shares({key: value for key, value in asked.items() if value is not None})
    return _in_order(cutting.cut(table, shares, seed, tested))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("row", ignore_index=True)[list(COLUMNS)]


def _usable(images: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the images without defects in the order of their names, with row, group and masked."""
    kept = ["image", "class", "source", "defects", *groups.KINDS[group]]
    table = images[list(dict.fromkeys(kept))].assign(
        row=np.arange(len(images)),
        group=groups.together(images, group),
        masked=images["mask_width"] > 0 if "mask_width" in images else True,
    )
    table = table[table["defects"].fillna("") == ""].sort_values("image")
    twice = table["image"][table["image"].duplicated()]
    if len(twice):
        raise ValueError(f"image {twice.iloc[0]} is in the table of images more than once")
    if group != "image":
        keyed = table[table["duplicate_group"].notna()].groupby("duplicate_group")
        spanning = keyed["class"].nunique()
        if (spanning > 1).any():
            names = table.loc[table["duplicate_group"] == spanning.index[spanning > 1][0], "image"]
            raise ValueError(
                f"the duplicates {', '.join(names)} are of different classes: "
                "the audit excludes such images, so give them a defect"
            )
    return table.assign(group=groups.named(table, table["group"].to_numpy()))
