"""Which part each group of images goes to, so that parts and sources get their number of images.

Groups of several images are placed first, largest first, each in a part that has room for it;
single images then fill what is left. Groups with images of several classes come before those of one
class. Nothing here knows what the parts are for: they are columns, counted from 0, and the sources
of a class are strata, which are rows.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Quotas = Callable[[np.ndarray], np.ndarray]


def place_across(
    drawn: pd.DataFrame, room: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, int]:
    """Return the part of each group that has images of several classes; no other group has one.

    A group goes to a part with room for it in all of its classes, drawn in proportion to that room.
    Where there is none it goes where it exceeds the room least.

    Args:
        drawn: one row per image in a drawn order, with ``group`` and ``class``.
        room: how many images of each class each part gets.
        rng: of what is drawn.
    """
    counts = drawn.groupby(["group", "class"]).size().unstack(fill_value=0)
    counts = counts.loc[drawn["group"].unique()]
    counts = counts[(counts > 0).sum(axis=1) > 1]
    largest_first = (-counts.sum(axis=1)).sort_values(kind="stable").index
    left = np.stack([room[name] for name in counts.columns]).astype(int)
    part_of = {}
    for group, images in counts.loc[largest_first].iterrows():
        mine = (images > 0).to_numpy()
        missing = images.to_numpy()[mine, None] - left[mine]
        weights = np.where((missing <= 0).all(axis=0), left[mine].sum(axis=0), 0)
        if weights.any():
            part = int(rng.choice(len(weights), p=weights / weights.sum()))
        else:
            excess = np.maximum(missing, 0).sum(axis=0)
            part = int(np.lexsort((missing.sum(axis=0), excess))[0])
        left[:, part] -= images.to_numpy()
        part_of[group] = part
    return part_of


def place(
    drawn: pd.DataFrame,
    strata: pd.Series,
    quotas: Quotas,
    rng: np.random.Generator,
    placed: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return the part of each group of images of one class.

    The counts are exact whenever there are, for every part but one, as many single images as the
    largest group has images; otherwise a group that fits nowhere goes where it overflows least.

    Args:
        drawn: one row per image in a drawn order, with ``group``.
        strata: the stratum of each group, by its name.
        quotas: returns strata x parts, how many images of each stratum each part gets, given the
            number of images of each stratum. See `shared_out` and `dealt_out`.
        rng: of what is drawn.
        placed: the parts of groups that are placed already, see `place_across`.
    """
    groups = drawn.groupby("group", sort=False).size()
    names, stratum_of = np.unique(strata[groups.index], return_inverse=True)
    groups = pd.DataFrame({"images": groups, "stratum": stratum_of})
    room = quotas(groups.groupby("stratum")["images"].sum().to_numpy())
    part_of = {group: part for group, part in (placed or {}).items() if group in groups.index}
    for group, part in part_of.items():
        room[groups.at[group, "stratum"], part] -= groups.at[group, "images"]
    groups = groups.drop(list(part_of))
    several = groups[groups["images"] > 1].sort_values("images", ascending=False, kind="stable")
    for group in several.itertuples():
        part = _part_with_room(room, group.stratum, group.images, rng)
        room[group.stratum, part] -= group.images
        part_of[group.Index] = part
    room = _without_debts(room)
    parts = np.arange(room.shape[1])
    alone = groups[groups["images"] == 1]
    for stratum in range(len(names)):
        members = alone.index[alone["stratum"] == stratum]
        part_of |= zip(members, np.repeat(parts, room[stratum]).tolist(), strict=True)
    return part_of


def shared_out(strata: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return quotas, strata x parts, whose rows sum to ``strata`` and whose columns to ``sizes``.

    The last part takes its share of the strata, then the one before it its share of what is left,
    and so on; the first part is the rest.
    """
    left = strata
    columns = []
    for size in sizes[:0:-1]:
        columns.append(_largest_remainder(size, left))
        left = left - columns[-1]
    return np.column_stack([left, *columns[::-1]])


def dealt_out(strata: np.ndarray, parts: int) -> np.ndarray:
    """Return quotas, strata x parts, for parts of equal size.

    Images are dealt like cards, one stratum after the other. So the parts differ by one image at
    most, in every stratum and altogether, and the first parts are the larger ones.
    """
    ends = np.cumsum(strata)[:, None]
    dealt = (ends - np.arange(parts) + parts - 1) // parts
    return np.diff(dealt, axis=0, prepend=0)


def _largest_remainder(total: int, weights: np.ndarray) -> np.ndarray:
    """Return ``total`` cut into whole numbers in proportion to ``weights`` (Hamilton's method)."""
    shares, remainders = np.divmod(total * weights, max(weights.sum(), 1))
    shares[np.argsort(-remainders, kind="stable")[: total - shares.sum()]] += 1
    return shares


def _part_with_room(room: np.ndarray, stratum: int, images: int, rng: np.random.Generator) -> int:
    """Return the part that takes a group of ``images``, drawn in proportion to the room for it.

    The class must have the room; that of the stratum comes second, since single images of other
    strata can make up for it. Where the group fits nowhere it goes where the class has most room,
    the last part among equals, so that none stays empty while another overflows.
    """
    parts = room.shape[1]
    fits = room.sum(axis=0) >= images
    if not fits.any():
        return parts - 1 - int(room.sum(axis=0)[::-1].argmax())
    within = np.where(fits & (room[stratum] >= images), room[stratum], 0)
    if within.any():
        return int(rng.choice(parts, p=within / within.sum()))
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
