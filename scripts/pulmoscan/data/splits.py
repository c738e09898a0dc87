"""Which images train, validate and test: one assignment of the whole data set, made once.

Every class is cut into exact counts, in proportion from each of its sources, with copies of one
radiograph on the same side. Each class is drawn with a random generator of its own, from image
names alone, so neither the order of the table nor another class changes what it gets.
"""

import numpy as np
import pandas as pd

from pulmoscan.data.layout import CLASSES, canonical_class

PARTS = ("train", "validation", "test")
GROUPS = ("duplicates", "image")
COLUMNS = ("row", "image", "class", "source", "group", "split", "rank")

# A source is stratified where its smallest part is expected to hold this many images. With fewer,
# rounding to whole images moves the share of a part by more than a tenth (0.5 / 5), which is no
# better than drawing; the small sources of a class are drawn together as one stratum.
ENOUGH = 5


def assign(
    images: pd.DataFrame, test: float, validation: float, seed: int, group: str
) -> pd.DataFrame:
    """Assign every image without defects to train, validation or test.

    Within a class of n images ``test`` gets round(test x n) and ``validation``
    round(validation x what the test leaves), see `part_sizes`; both are spread over the sources by
    largest remainder. Groups of several images are placed first, largest first, each in a part that
    has room for it, drawn in proportion to that room; single images then fill the counts. The
    counts are exact whenever a class has twice as many single images as its largest group;
    otherwise a group that fits nowhere goes where it exceeds least.

    Args:
        images: one row an image of the packed arrays, in their order, with ``image, class, source,
            defects`` and, for groups of duplicates, ``duplicate_group`` (null: no duplicate).
        test: share of a class that tests, above 0 and below 1.
        validation: share of what the test leaves that validates, above 0 and below 1.
        seed: of everything drawn, 0 or more.
        group: ``duplicates`` keeps a duplicate group in one part; ``image`` lets every image fall
            by itself.

    Returns:
        One row an image without defects, in the order of ``images``: ``row`` (its position there),
        ``image, class, source, group`` (the first name of its duplicate group, its own name where
        there is none), ``split``, and ``rank`` (0, 1, ... in one drawn order within class and
        split).

    Raises:
        ValueError: for a share or a group that does not exist, a class without usable images or too
            small to give each part one, a name that appears twice, or a group that spans classes.
    """
    _check(test, validation, group)
    table = _usable(images, group)
    for name in sorted({*images["class"]} - {*table["class"]}):
        lost = images[images["class"] == name]
        raise ValueError(
            f"class {name} has no image without defects ({lost['image'].iloc[0]}: "
            f"{lost['defects'].iloc[0]}): results/tables/defects.tsv lists all"
        )
    if table.empty:
        raise ValueError("no image without defects is left to split")
    parts = [
        _split_class(members, name, (test, validation), seed)
        for name, members in table.groupby("class")
    ]
    return pd.concat(parts).sort_values("row", ignore_index=True)[list(COLUMNS)]


def part_sizes(images: int, test: float, validation: float) -> tuple[int, int, int]:
    """Return how many of ``images`` train, validate and test (a half is rounded to even)."""
    tested = round(test * images)
    validated = round(validation * (images - tested))
    return images - tested - validated, validated, tested


def _check(test: float, validation: float, group: str) -> None:
    for key, share in (("test", test), ("validation", validation)):
        if not 0 < share < 1:
            raise ValueError(f"split.{key} is {share}: expected a share between 0 and 1")
    if group not in GROUPS:
        raise ValueError(f"split.group is {group!r}: expected one of {', '.join(GROUPS)}")


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
    members: pd.DataFrame, name: str, shares: tuple[float, float], seed: int
) -> pd.DataFrame:
    """Return the images of one class, given in the order of their names, with split and rank."""
    sizes = np.array(part_sizes(len(members), *shares))
    if sizes.min() < 1:
        counted = ", ".join(f"{size} {part}" for part, size in zip(PARTS, sizes, strict=True))
        raise ValueError(
            f"class {name} has {len(members)} images without defects, which gives {counted}: "
            "every part needs at least one. Add images or change the shares of the split"
        )
    rng = np.random.default_rng([seed, CLASSES.index(canonical_class(name))])
    drawn = members.iloc[rng.permutation(len(members))]
    part_of = _place(drawn, _strata(members, sizes.min() / len(members)), sizes, rng)
    empty = [part for index, part in enumerate(PARTS) if index not in part_of.values()]
    if empty:
        raise ValueError(
            f"class {name} has {len(members)} images in {len(part_of)} duplicate groups, none left "
            f"for {' and '.join(empty)}: add images or change the shares of the split"
        )
    # A second order: in the first one the images of a part that are alone follow each other.
    ranked = drawn.iloc[rng.permutation(len(drawn))]
    ranked = ranked.assign(split=[PARTS[part_of[group]] for group in ranked["group"]])
    return ranked.assign(rank=ranked.groupby("split").cumcount())


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


def _place(
    drawn: pd.DataFrame, strata: pd.Series, sizes: np.ndarray, rng: np.random.Generator
) -> dict[str, int]:
    """Return the part of each group, as an index of `PARTS`.

    ``drawn`` are the images of a class in a drawn order, ``sizes`` the images each part is to get.
    """
    groups = drawn.groupby("group", sort=False).size()
    names, stratum_of = np.unique(strata[groups.index], return_inverse=True)
    groups = pd.DataFrame({"images": groups, "stratum": stratum_of})
    room = _quotas(groups.groupby("stratum")["images"].sum().to_numpy(), sizes)
    several = groups[groups["images"] > 1].sort_values("images", ascending=False, kind="stable")
    part_of = {}
    for group in several.itertuples():
        part = _part_with_room(room, group.stratum, group.images, rng)
        room[group.stratum, part] -= group.images
        part_of[group.Index] = part
    room = _without_debts(room)
    alone = groups[groups["images"] == 1]
    for stratum in range(len(names)):
        members = alone.index[alone["stratum"] == stratum]
        part_of |= zip(
            members, np.repeat(np.arange(len(PARTS)), room[stratum]).tolist(), strict=True
        )
    return part_of


def _quotas(strata: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return strata x parts: how many images of each stratum each part gets.

    Rows sum to ``strata``, columns to ``sizes``. The test set takes its share of the strata, then
    validation its share of what is left; train is the rest.
    """
    tested = _largest_remainder(sizes[2], strata)
    validated = _largest_remainder(sizes[1], strata - tested)
    return np.column_stack([strata - tested - validated, validated, tested])


def _largest_remainder(total: int, weights: np.ndarray) -> np.ndarray:
    """Return ``total`` cut into whole numbers in proportion to ``weights`` (Hamilton's method)."""
    shares, remainders = np.divmod(total * weights, weights.sum())
    shares[np.argsort(-remainders, kind="stable")[: total - shares.sum()]] += 1
    return shares


def _part_with_room(room: np.ndarray, stratum: int, images: int, rng: np.random.Generator) -> int:
    """Return the part that takes a group of ``images``, drawn in proportion to the room for it.

    The class must have the room; that of the stratum comes second, since single images of other
    strata can make it good. Where the group fits nowhere it goes where the class has most room,
    of equals the smaller part, so that none stays empty while another exceeds.
    """
    fits = room.sum(axis=0) >= images
    if not fits.any():
        return len(PARTS) - 1 - int(room.sum(axis=0)[::-1].argmax())
    within = np.where(fits & (room[stratum] >= images), room[stratum], 0)
    if within.any():
        return int(rng.choice(len(PARTS), p=within / within.sum()))
    return int(np.where(fits, room[stratum], np.iinfo(int).min).argmax())


def _without_debts(room: np.ndarray) -> np.ndarray:
    """Return how many single images of each stratum each part gets, none of them negative.

    Where groups took more of a stratum than a part was to get, another stratum gives that part
    less. Rows keep their sums, and so do columns unless groups alone exceed a part.
    """
    room = room.copy()
    while (room < 0).any():
        stratum, part = np.argwhere(room < 0)[0]
        giver = room[stratum].argmax()
        room[stratum, part] += 1
        room[stratum, giver] -= 1
        other = room[:, part].argmax()
        if room[other, part] > 0:
            room[other, part] -= 1
            room[other, giver] += 1
    return room
