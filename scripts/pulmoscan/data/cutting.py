"""How the images of each class are cut into the parts of a split.

Each class is drawn with a random generator of its own, from image names alone, so neither the order
of the table nor another class changes what it gets; unless a group has images of several classes,
such as a patient before and after an illness. Such groups are placed first, for all classes
together.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pulmoscan.data import placing
from pulmoscan.data.layout import class_seed
from pulmoscan.data.schemes import PARTS, part_sizes

# A source is stratified where its smallest part is expected to hold this many images. With fewer,
# rounding to whole images moves the share of a part by more than a tenth (0.5 / 5), which is no
# better than drawing; the small sources of a class are drawn together as one stratum.
ENOUGH = 5

LEARNT = PARTS[:2]
_ACROSS = class_seed("")  # of the generator that places groups of several classes
_LEAVE_OUT = "or leave the class out (dataset.classes)"


def cut(
    table: pd.DataFrame, shares: Mapping[str, Any], seed: int, tested: pd.Series | None = None
) -> pd.DataFrame:
    """Return the images of a table with ``split`` and ``rank``, see `splits.assign`.

    Args:
        table: ``image, class, source, group`` in the order of the names.
        shares: see `schemes.shares`; without ``test`` only ``validation`` counts.
        seed: of everything drawn.
        tested: for shares without ``test``, whether an image tests, with the index of ``table``.

    Raises:
        ValueError: a class has too few images to give each part one.
    """
    if "folds" in shares:
        return _around(table, _of_fold(table, shares, seed), shares, seed, shares["fold"])
    if "test" not in shares:
        return _around(table, tested, shares, seed)
    sizes = {name: _sizes(len(members), name, shares) for name, members in _by_class(table)}
    across = _across(table, sizes, seed)
    parts = []
    for name, members in _by_class(table):
        strata = _strata(members, min(sizes[name]) / len(members))
        rng = np.random.default_rng([seed, class_seed(name)])
        drawn = members.iloc[rng.permutation(len(members))]
        quotas = partial(placing.shared_out, sizes=sizes[name])
        part_of = placing.place(drawn, strata, quotas, rng, across)
        parts.append(_ranked(drawn, drawn["group"].map(part_of), rng, shares))
    return pd.concat(parts)


def ranked(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return images that have their ``split`` with their ``rank``; ``table`` is that of `cut`."""
    drawn = pd.concat(
        members.iloc[np.random.default_rng([seed, class_seed(name)]).permutation(len(members))]
        for name, members in _by_class(table)
    )
    return drawn.assign(rank=drawn.groupby(["class", "split"]).cumcount())


def _by_class(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return list(table.groupby("class"))


def _of_fold(table: pd.DataFrame, shares: Mapping[str, Any], seed: int) -> pd.Series:
    """Return whether each image is in the fold that tests."""
    folds = shares["folds"]
    sizes = {
        name: [part_sizes(len(members), **shares | {"fold": fold + 1})[2] for fold in range(folds)]
        for name, members in _by_class(table)
    }
    across = _across(table, sizes, seed)
    tested = pd.Series(False, index=table.index)
    for name, members in _by_class(table):
        strata = _strata(members, min(_sizes(len(members), name, shares)) / len(members))
        rng = np.random.default_rng([seed, class_seed(name)])
        drawn = members.iloc[rng.permutation(len(members))]
        quotas = partial(placing.dealt_out, parts=folds)
        fold_of = placing.place(drawn, strata, quotas, rng, across)
        tested[members.index] = members["group"].map(fold_of) == shares["fold"] - 1
    return tested


def _around(
    table: pd.DataFrame,
    tested: pd.Series,
    shares: Mapping[str, Any],
    seed: int,
    *fold: int,
) -> pd.DataFrame:
    """Return the images with ``split`` and ``rank`` where it is known which ones test.

    A fold has a generator of its own: in the order that the folds were drawn in, the last images
    would validate whenever they do not test.
    """
    sizes = {}
    for name, members in _by_class(table):
        learnt = int((~tested[members.index]).sum())
        validated = round(shares["validation"] * learnt)
        sizes[name] = (learnt - validated, validated)
        if not fold and min(sizes[name]) < 1:
            raise ValueError(_too_few_learnt(name, len(members), *sizes[name]))
    across = _across(table[~tested], sizes, seed, *fold)
    parts = []
    for name, members in _by_class(table):
        of = members if fold else members[~tested[members.index]]
        smallest = min(_sizes(len(of), name, shares) if fold else sizes[name])
        rng = np.random.default_rng([seed, class_seed(name), *fold])
        drawn = members.iloc[rng.permutation(len(members))]
        learnt = drawn[~tested[drawn.index]]
        quotas = partial(placing.shared_out, sizes=sizes[name])
        strata = _strata(of, smallest / len(of))
        part_of = placing.place(learnt, strata, quotas, rng, across)
        part = learnt["group"].map(part_of).reindex(drawn.index, fill_value=PARTS.index("test"))
        parts.append(_ranked(drawn, part, rng, shares))
    return pd.concat(parts)


def _across(table: pd.DataFrame, sizes: Mapping[str, Any], *seeds: int) -> dict[str, int]:
    """Return the part of each group with images of several classes, given the sizes by class."""
    if not (table.groupby("group")["class"].nunique() > 1).any():
        return {}
    rng = np.random.default_rng([seeds[0], _ACROSS, *seeds[1:]])
    return placing.place_across(table.iloc[rng.permutation(len(table))], sizes, rng)


def _ranked(
    drawn: pd.DataFrame, part: pd.Series, rng: np.random.Generator, shares: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the images of a class with split and rank; ``part`` is an index of `PARTS` each."""
    needed = PARTS if "test" in shares else LEARNT
    if empty := [name for index, name in enumerate(needed) if index not in set(part)]:
        groups = drawn["group"].nunique()
        raise ValueError(
            f"class {drawn['class'].iloc[0]} has {len(drawn)} images in {groups} groups that stay "
            f"together, none left for {' and '.join(empty)}: add images or change the "
            f"{_changeable(shares)} of the split"
        )
    # Another order again: in this one the images of a part that are alone follow each other.
    ranked = drawn.assign(split=[PARTS[index] for index in part])
    ranked = ranked.iloc[rng.permutation(len(ranked))]
    return ranked.assign(rank=ranked.groupby("split").cumcount())


def _sizes(images: int, name: str, shares: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the sizes of the parts of a class, of all folds those with the smallest part."""
    folds = range(1, shares["folds"] + 1) if "folds" in shares else (None,)
    sizes = min((part_sizes(images, **shares | {"fold": fold}) for fold in folds), key=min)
    if min(sizes) < 1:
        counted = ", ".join(f"{size} {part}" for part, size in zip(PARTS, sizes, strict=True))
        raise ValueError(
            f"class {name} has {images} image{'s' * (images > 1)} without defects, which gives "
            f"{counted}{' in a fold' if 'folds' in shares else ''}: every part needs at least one. "
            f"Add images, change the {_changeable(shares)} of the split, {_LEAVE_OUT}"
        )
    return sizes


def _too_few_learnt(name: str, images: int, trained: int, validated: int) -> str:
    learnt = trained + validated
    return (
        f"class {name}: of {images} image{'s' * (images > 1)} without defects "
        f"{images - learnt} test, which leaves {trained} to train and {validated} to validate: "
        f"both need at least one. Test fewer, change the validation of the split, {_LEAVE_OUT}"
    )


def _changeable(shares: Mapping[str, Any]) -> str:
    if "folds" in shares:
        return "folds"
    return "shares" if "test" in shares else "validation"


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
