"""Which images train, validate and test: one assignment of the whole data set, made once.

Every class is cut into exact counts, in proportion from each of its sources, with copies of one
radiograph on the same side. Each class is drawn with a random generator of its own, from image
names alone, so neither the order of the table nor another class changes what it gets. How groups
of images find their part is in `placing`.
"""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pulmoscan.data import placing
from pulmoscan.data.layout import class_seed
from pulmoscan.storage import tables

PARTS = ("train", "validation", "test")
COLUMNS = ("row", "image", "class", "source", "group", "split", "rank")

# A source is stratified where its smallest part is expected to hold this many images. With fewer,
# rounding to whole images moves the share of a part by more than a tenth (0.5 / 5), which is no
# better than drawing; the small sources of a class are drawn together as one stratum.
ENOUGH = 5

SMALL = 0.05  # of a class: with less for training or validation, a split is what is wrong


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
    return tables.read(path, "the split", text, whole=["row", "rank"], then=check)


def _check_images(table: pd.DataFrame) -> None:
    if (twice := table["image"].duplicated()).any():
        raise ValueError(f"it has the image {table['image'][twice].iloc[0]} twice")
    if (group := "duplicate_group") in table:
        tables.check_columns(table[table[group].notna()], [group])


def expand(schemes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the splits that the configuration's ``splits`` describe, by name.

    A scheme with ``folds: n`` is n splits, in each of which another fold tests. Other schemes are
    one split each.

    Example:
        >>> expand({"cv": {"folds": 2, "validation": 0.2, "seed": 1, "group": "image"}})
        {'cv-1': {'folds': 2, 'fold': 1, 'validation': 0.2, 'seed': 1, 'group': 'image'},
         'cv-2': {'folds': 2, 'fold': 2, 'validation': 0.2, 'seed': 1, 'group': 'image'}}

    Raises:
        ValueError: the split of a fold has the name of another split.
    """
    splits: dict[str, dict[str, Any]] = {}
    for name, scheme in schemes.items():
        folds = range(1, scheme["folds"] + 1) if "folds" in scheme else ()
        made = {f"{name}-{fold}": {"folds": len(folds), "fold": fold} | scheme for fold in folds}
        for split, settings in (made or {name: dict(scheme)}).items():
            if split in splits or (made and split in schemes):
                raise ValueError(f"splits.{name} has a fold {split!r}, the name of another split")
            splits[split] = settings
    return splits


def shares(scheme: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides how many images each part of a split gets, as `part_sizes` takes it.

    Args:
        scheme: an entry of what `expand` returns.

    Returns:
        ``test`` and ``validation``; for a fold also ``folds`` and ``fold``.
    """
    if "folds" in scheme:
        scheme = {"test": 1 / scheme["folds"]} | scheme
    return {key: scheme[key] for key in ("test", "validation", "folds", "fold") if key in scheme}


def unbalanced(test: float, validation: float, **fold: int) -> str:
    """Return what to change in a split that leaves hardly anything to training or validation.

    Arguments are those of `part_sizes`. "" where each of them gets 5 % of a class or more.

    Example:
        >>> unbalanced(test=0.99, validation=0.2)
        'lower test'
    """
    learnt = 1 - test
    if min(learnt * validation, learnt * (1 - validation)) >= SMALL:
        return ""
    changes = [] if fold or learnt >= 2 * SMALL else ["lower test"]
    if not 2 * SMALL <= validation <= 1 - 2 * SMALL:
        changes.append(f"{'raise' if validation < 0.5 else 'lower'} validation")
    return " and ".join(changes)


def part_sizes(
    images: int, test: float, validation: float, folds: int | None = None, fold: int | None = None
) -> tuple[int, int, int]:
    """Return how many of ``images`` of a class train, validate and test.

    Args:
        images: how many there are.
        test: share that tests; a half is rounded to even. Ignored for a fold.
        validation: share of what the test leaves that validates, rounded in the same way.
        folds: number of folds, whose sizes differ by one image at most; None without folds.
        fold: the fold that tests, from 1. The first ones are the larger ones.
    """
    tested = round(test * images) if folds is None else (images + folds - fold) // folds
    validated = round(validation * (images - tested))
    return images - tested - validated, validated, tested


def assign(
    images: pd.DataFrame,
    *,
    validation: float,
    seed: int,
    group: str,
    test: float | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> pd.DataFrame:
    """Assign every image without defects to train, validation or test.

    The parts of each class have the sizes of `part_sizes`, spread over the sources; see
    `placing.place` for when groups of images make them differ. In the splits of all folds together,
    every image tests once.

    Args:
        images: one row per image of the packed arrays, in their order, with ``image, class, source,
            defects`` and, for groups of duplicates, ``duplicate_group`` (null: no duplicate).
        validation: share of what the test leaves that validates, above 0 and below 1.
        seed: of everything drawn, 0 or more.
        group: ``duplicates`` keeps a duplicate group in one part; ``image`` lets every image fall
            by itself.
        test: share of a class that tests, above 0 and below 1; or, instead:
        folds: number of folds, at least 2.
        fold: the fold that tests, from 1.

    Returns:
        One row per image without defects, in the order of ``images``: ``row`` (its position there),
        ``image, class, source, group`` (the first name of its duplicate group, its own name where
        there is none), ``split``, and ``rank`` (0, 1, ... in one drawn order within class and
        split).

    Raises:
        ValueError: a class has no usable image or too few to give each part one, a name appears
            twice, or a group spans classes.
    """
    table = _usable(images, group)
    for name in sorted({*images["class"]} - {*table["class"]}):
        lost = images[images["class"] == name]
        raise ValueError(
            f"class {name} has no image without defects ({lost['image'].iloc[0]}: "
            f"{lost['defects'].iloc[0]}): results/tables/defects.tsv lists all"
        )
    if table.empty:
        raise ValueError("no image without defects is left to split")
    fold_of_split = {"folds": folds, "fold": fold} if folds else {}
    cut = shares({"test": test, "validation": validation} | fold_of_split)
    parts = [_split_class(members, name, cut, seed) for name, members in table.groupby("class")]
    return pd.concat(parts).sort_values("row", ignore_index=True)[list(COLUMNS)]


def _usable(images: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the images without defects in the order of their names, with row and group."""
    table = images.assign(row=np.arange(len(images)))
    table = table[table["defects"].fillna("") == ""].sort_values("image")
    twice = table["image"][table["image"].duplicated()]
    if len(twice):
        raise ValueError(f"image {twice.iloc[0]} is in the table of images more than once")
    table["group"] = table["image"]
    if group == "duplicates":
        grouped = table["duplicate_group"].notna()
        keyed = table[grouped].groupby("duplicate_group")
        spanning = keyed["class"].nunique()
        if (spanning > 1).any():
            names = table.loc[table["duplicate_group"] == spanning.index[spanning > 1][0], "image"]
            raise ValueError(
                f"the duplicates {', '.join(names)} are of different classes: "
                "the audit excludes such images, so give them a defect"
            )
        table.loc[grouped, "group"] = keyed["image"].transform("first")
    return table


def _split_class(
    members: pd.DataFrame, name: str, cut: Mapping[str, Any], seed: int
) -> pd.DataFrame:
    """Return the images of one class, given in the order of their names, with split and rank."""
    smallest = min(_sizes(len(members), name, cut))
    strata = _strata(members, smallest / len(members))
    seeds = [seed, class_seed(name)]
    rng = np.random.default_rng(seeds)
    drawn = members.iloc[rng.permutation(len(members))]
    if "folds" in cut:
        fold_of = placing.place(drawn, strata, partial(placing.dealt_out, parts=cut["folds"]), rng)
        # In another order, or the last images of this one would validate whenever they do not test.
        rng = np.random.default_rng([*seeds, cut["fold"]])
        drawn = members.iloc[rng.permutation(len(members))]
        part_of = _around_fold(drawn, fold_of, strata, cut, rng)
    else:
        sizes = part_sizes(len(members), **cut)
        part_of = placing.place(drawn, strata, partial(placing.shared_out, sizes=sizes), rng)
    empty = [part for index, part in enumerate(PARTS) if index not in part_of.values()]
    if empty:
        raise ValueError(
            f"class {name} has {len(members)} images in {len(part_of)} duplicate groups, none left "
            f"for {' and '.join(empty)}: add images or change the {_changeable(cut)} of the split"
        )
    # Another order again: in this one the images of a part that are alone follow each other.
    ranked = drawn.iloc[rng.permutation(len(drawn))]
    ranked = ranked.assign(split=[PARTS[part_of[group]] for group in ranked["group"]])
    return ranked.assign(rank=ranked.groupby("split").cumcount())


def _sizes(images: int, name: str, cut: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the sizes of the parts of a class, of all folds those with the smallest part."""
    folds = range(1, cut["folds"] + 1) if "folds" in cut else (None,)
    sizes = min((part_sizes(images, **cut | {"fold": fold}) for fold in folds), key=min)
    if min(sizes) < 1:
        counted = ", ".join(f"{size} {part}" for part, size in zip(PARTS, sizes, strict=True))
        raise ValueError(
            f"class {name} has {images} images without defects, which gives {counted}"
            f"{' in a fold' if 'folds' in cut else ''}: every part needs at least one. "
            f"Add images or change the {_changeable(cut)} of the split"
        )
    return sizes


def _changeable(cut: Mapping[str, Any]) -> str:
    return "folds" if "folds" in cut else "shares"


def _strata(members: pd.DataFrame, smallest_share: float) -> pd.Series:
    """Return the stratum of each group: its source, or "" for the small sources of the class.

    A group whose images name several sources counts with the one that most of them name.
    """
    sources = members["source"].fillna("")
    sizes = sources.value_counts()
    large = sizes.index[sizes * smallest_share >= ENOUGH]
    pooled = sources.where(sources.isin(large), "")
    named = pd.DataFrame({"group": members["group"], "stratum": pooled}).value_counts()
    most = named.sort_index().sort_values(ascending=False, kind="stable").reset_index()
    return most.drop_duplicates("group").set_index("group")["stratum"]


def _around_fold(
    drawn: pd.DataFrame,
    fold_of: Mapping[str, int],
    strata: pd.Series,
    cut: Mapping[str, Any],
    rng: np.random.Generator,
) -> dict[str, int]:
    """Return the part of each group, as an index of `PARTS`, where one fold tests."""
    tested = drawn["group"].map(fold_of) == cut["fold"] - 1
    learnt = drawn[~tested]
    validated = round(cut["validation"] * len(learnt))
    sizes = (len(learnt) - validated, validated)
    part_of = placing.place(learnt, strata, partial(placing.shared_out, sizes=sizes), rng)
    return part_of | dict.fromkeys(drawn.loc[tested, "group"], PARTS.index("test"))
