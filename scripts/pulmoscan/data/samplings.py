"""Which images a run uses: the first ones of each class and part of a split, in its drawn order.

Because every sampling takes images in the same order, a smaller one lies within a larger one part
by part, and no test image of one run trains another.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pulmoscan.data.layout import CLASSES, POSITIVE
from pulmoscan.data.schemes import PARTS, part_sizes, unbalanced
from pulmoscan.storage import tables

COLUMNS = ("row", "image", "class", "label", "source", "group", "split")
COUNT_COLUMNS = ("sampling", "class", "label", "split", "asked", "got", "shortfall")
_NAMED = ("image", "label", "split")
TEXT_COLUMNS = ("sampling", "class", "label", "split", "shortfall")  # of the counts


def read(path: str | Path) -> pd.DataFrame:
    """Return the images of a sampling, as `select` chose them.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(table: pd.DataFrame) -> None:
        _check_images(table)
        if table["row"].duplicated().any():
            raise ValueError("it has a row of the packed arrays twice")

    return tables.read(path, "the sampling", _NAMED, whole=["row"], then=check)


def read_images(path: str | Path) -> pd.DataFrame:
    """Return ``image, label, split`` of a sampling; see `read`."""
    return tables.read(path, "the sampling", _NAMED, then=_check_images)[[*_NAMED]]


def _check_images(table: pd.DataFrame) -> None:
    if strangers := sorted(set(table["split"]) - set(PARTS)):
        raise ValueError(f"it has images of {strangers[0]!r}")
    if (twice := table["image"].duplicated()).any():
        raise ValueError(f"it has the image {table['image'][twice].iloc[0]} twice")


def read_counts(path: str | Path) -> pd.DataFrame:
    """Return how many images a sampling asked for and got, as `select` counted them.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    return tables.read(path, "the sampling", TEXT_COLUMNS, whole=["asked", "got"])


def select(
    name: str, split: pd.DataFrame, settings: Mapping[str, Any], **shares: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images of a sampling, and what it asked for and got.

    ``per_class: k`` asks each class for k images over the three parts, cut as the split is cut (see
    `schemes.part_sizes`). ``smallest`` is the size of the smallest class of the sampling. ``total:
    n`` asks for n training and validation images over all classes, each class an equal share
    rounded to whole images. ``times`` multiplies what is asked of a class. No class tests on fewer
    images than with ``per_class: smallest``, so every run can be scored on those. Of a ``masked``
    sampling all this is about images that have a mask.

    Where the data say what tests (``column``, ``hold_out``), the classes are not cut alike. Then
    all test images are taken, ``smallest`` is that of each part, and ``k`` and ``n`` are divided as
    all images of the classes are.

    A class that is short gives all that it has. A sampling for which every class is short cannot be
    filled: it holds no image, and its counts say why.

    Example:
        Of a split with 100 COVID and 60 Normal images, and 0.2 of them in each of test and
        validation, ``{"per_class": 80}`` takes 51 + 13 + 16 COVID images (train, validation, test)
        and all 60 Normal ones, 38 + 10 + 12. Their counts say that 80 were asked for.

    Args:
        name: of the sampling, for messages and the table of counts.
        split: a table of `splits.assign`.
        settings: an entry of ``samplings`` of the configuration.
        shares: of the split, see `schemes.shares`; without ``test`` the data say what tests.

    Returns:
        One row per image, in the order of ``row``: ``row, image, class, label, source, group,
        split``; and one row per class and part: ``sampling, class, label, split, asked, got,
        shortfall`` (a sentence if the sampling cannot be filled, else "").

    Raises:
        ValueError: the settings name a class that the split lacks, or leave a part of a class
            without images.
    """
    classes = _classes(name, split, settings)
    labels = labels_by_class(settings, classes)
    split = split[split["class"].isin(classes)]
    if settings.get("masked"):
        split = _masked(name, split)
    has = split.groupby(["class", "split"]).size().unstack(fill_value=0)
    has = has.reindex(columns=list(PARTS), fill_value=0)
    given = "test" not in shares
    smallest = partial(_smallest_parts, has.min())
    if not given and not settings.get("masked"):
        smallest = partial(_smallest_class, int(has.sum(axis=1).min()), shares)
    divided = _shares_of(has) if given else shares
    asked = _asked(name, settings, classes, divided, smallest, has["test"] if given else None)
    shortfall = _shortfall(name, has, settings, asked, given)
    asked = asked.stack().rename("asked").rename_axis(["class", "split"]).reset_index()
    asked["label"] = asked["class"].map(labels)
    images = split.merge(asked, on=["class", "split"])
    images = images[images["rank"] < (0 if shortfall else images["asked"])].sort_values("row")
    got = images.groupby(["class", "split"]).size().rename("got").reset_index()
    counts = asked.merge(got, how="left", on=["class", "split"]).fillna({"got": 0})
    counts = counts.assign(sampling=name, got=counts["got"].astype(int), shortfall=shortfall)
    return images[list(COLUMNS)].reset_index(drop=True), counts[list(COUNT_COLUMNS)]


def labels_by_class(
    settings: Mapping[str, Any], classes: Collection[str] = CLASSES
) -> dict[str, str]:
    """Return the label of each class of a sampling; ``classes`` are all unless it names its own."""
    renamed = settings.get("labels") or {}
    return {name: renamed.get(name, name) for name in settings.get("classes") or classes}


def positive(settings: Mapping[str, Any]) -> str:
    """Return the label that sensitivity is about, where it is one of two."""
    return settings.get("positive", POSITIVE)


def advice(name: str, settings: Mapping[str, Any]) -> str:
    """Return what to do about a sampling that cannot be filled, as a clause without a full stop."""
    asking = next(key for key in ("total", "per_class") if key in settings)
    if settings[asking] == "smallest":
        asking = "times"
    return f"Lower samplings.{name}.{asking} or set dataset.on_shortfall: skip"


def problems(
    name: str,
    settings: Mapping[str, Any],
    shares: Mapping[str, float],
    classes: Collection[str] = CLASSES,
) -> Iterator[str]:
    """Yield why a sampling cannot be taken from any data, assuming that its names are right.

    Args:
        name: of the sampling.
        settings: an entry of ``samplings`` of the configuration.
        shares: of the split, see `schemes.shares`, with ``test``.
        classes: those of the data set.
    """
    if settings.get("per_class") == "smallest":
        return
    try:
        of_one = partial(_smallest_class, 1, shares)
        _asked(name, settings, settings.get("classes") or classes, shares, of_one)
    except ValueError as error:
        yield str(error)


def _classes(name: str, split: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """Return the classes of a sampling, sorted, after checking that the split has them."""
    known = sorted(split["class"].unique())
    for key in ("classes", "times", "labels"):
        for class_name in settings.get(key) or ():
            if class_name not in known:
                raise ValueError(
                    f"samplings.{name}.{key} names {class_name!r}: the classes of the split are "
                    f"{', '.join(known)}"
                )
    return sorted(settings.get("classes") or known)


def _masked(name: str, split: pd.DataFrame) -> pd.DataFrame:
    """Return the images that have a mask, ranked among themselves."""
    masked = split[split["masked"]].sort_values("rank", kind="stable")
    if without := sorted({*split["class"]} - {*masked["class"]}):
        raise ValueError(
            f"samplings.{name}.masked: no image of {without[0]} has a mask: leave it out of its "
            "classes"
        )
    return masked.assign(rank=masked.groupby(["class", "split"]).cumcount())


def _shares_of(has: pd.DataFrame) -> dict[str, float]:
    """Return the shares that all images of a given split have; ``has`` is classes x parts."""
    train, validation, test = (int(has[part].sum()) for part in PARTS)
    learnt = train + validation
    return {"test": test / (learnt + test), "validation": validation / learnt}


def _smallest_class(images: int, shares: Mapping[str, float], factor: float) -> tuple[int, ...]:
    """Return the sizes of the parts for ``factor`` times as many images as the smallest class."""
    return part_sizes(round(images * factor), **shares)


def _smallest_parts(images: pd.Series, factor: float) -> tuple[int, ...]:
    """Return the same where no class is cut alike; ``images`` are the fewest of each part."""
    return tuple(round(int(images[part]) * factor) for part in PARTS)


def _asked(
    name: str,
    settings: Mapping[str, Any],
    classes: Collection[str],
    shares: Mapping[str, float],
    smallest: Callable[[float], tuple[int, ...]],
    given: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Return how many images are asked for: one row per class, one column per part.

    ``smallest`` returns the sizes of the parts of ``per_class: smallest``, times a factor, and
    ``given`` is how many images of each class test where the data say so.
    """
    times = settings.get("times") or {}
    asked = {}
    for class_name in classes:
        factor = times.get(class_name, 1)
        tested = smallest(max(factor, 1))[2]
        if settings.get("total") is not None:
            learnt = round(settings["total"] * factor / sum(times.get(c, 1) for c in classes))
            validated = round(shares["validation"] * learnt)
            trained = learnt - validated
        else:
            per_class = settings["per_class"]
            if per_class == "smallest":
                trained, validated, own = smallest(factor)
            else:
                trained, validated, own = part_sizes(round(per_class * factor), **shares)
            tested = max(tested, own)
        if min(trained, validated) < 1:
            raise ValueError(
                f"sampling {name!r} asks for {trained} training and {validated} validation images "
                f"of {class_name}: both need at least one. "
                f"{_remedy(name, settings, shares, given is not None)}"
            )
        asked[class_name] = (trained, validated, tested if given is None else given[class_name])
    return pd.DataFrame.from_dict(asked, orient="index", columns=list(PARTS))


def _remedy(
    name: str, settings: Mapping[str, Any], shares: Mapping[str, float], given: bool
) -> str:
    """Return what to do where a part of a sampling has no image: a sentence, without its dot."""
    if not given and (changes := unbalanced(**shares)):
        return f"In its split, {changes}"
    if settings.get("per_class") == "smallest":
        return "The smallest class has too few images"
    return f"Raise samplings.{name}.{'total' if 'total' in settings else 'per_class'}"


def _shortfall(
    name: str, has: pd.DataFrame, settings: Mapping[str, Any], asked: pd.DataFrame, given: bool
) -> str:
    """Return a sentence if no class has as many images as are asked of it, else ""."""
    what = "images"
    if given or settings.get("total") is not None:
        asked, has = asked.drop(columns="test"), has.drop(columns="test")
        what = "training and validation images"
    wanted, available = asked.sum(axis=1), has.sum(axis=1)
    if (available >= wanted).any():
        return ""
    if wanted.nunique() == 1:
        largest = available.idxmax()
        return (
            f"sampling {name!r} asks for {wanted.iloc[0]} {what} per class; "
            f"the largest class, {largest}, has {available[largest]}"
        )
    nearest = (available / wanted).idxmax()
    return (
        f"sampling {name!r} asks for {wanted[nearest]} {what} of {nearest}, which has "
        f"{available[nearest]}, and no other class comes nearer to what is asked of it"
    )
