"""Sentences of the page, composed from the columns of tables.

Tables hold what happened as values; how it reads is decided here.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pulmoscan.results.dataset_facts import MEASURED
from pulmoscan.results.selection import RUN


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with semicolons between them."""
    return "; ".join(filter(None, parts))


def reasons(rows: pd.DataFrame) -> str:
    """Return why rows were not run, as in ``2 left out by run_filter; 1 no search found``."""
    return "; ".join(
        f"{number} {reason}" for reason, number in rows["reason"].value_counts().items()
    )


def shortfall(sampling: str, asked: float, got: float) -> str:
    """Return how far a sampling fell short, nothing where it did not.

    >>> shortfall("balanced", 1345, 1342)
    "sampling 'balanced' got 1,342 of the 1,345 images asked for"
    """
    if pd.isna(asked) or pd.isna(got) or got >= asked:
        return ""
    return f"sampling {sampling!r} got {got:,.0f} of the {asked:,.0f} images asked for"


def published_note(row: pd.Series, samplings: Mapping[str, str]) -> str:
    """Return the remarks on a row of a published table.

    Args:
        row: with ``variant, note, asked, got, searched_on``.
        samplings: the sampling of each variant.
    """
    searched_on = row["searched_on"]
    return joined(
        row["note"],
        shortfall(samplings.get(row["variant"], ""), row["asked"], row["got"]),
        f"searched on {searched_on}" if searched_on not in ("", row["variant"]) else "",
    )


def protocol_note(row: pd.Series, samplings: Mapping[str, str]) -> str:
    """Return the remarks on a pair of runs, one of them by the recommended protocol.

    Args:
        row: with ``variant, recommended_model, note, published_recommended, differs_in,
            difference_reason, asked, got``.
        samplings: the sampling of each variant.
    """
    printed, differing = row["published_recommended"], row["differs_in"]
    missing = row["difference_reason"]
    return joined(
        row["note"],
        f"no interval of the difference: {missing}" if missing else "",
        f"the study gives {printed} for {row['recommended_model']} itself" if printed else "",
        f"the two also differ in {differing}" if differing else "",
        shortfall(samplings.get(row["variant"], ""), row["asked"], row["got"]),
    )


def fact_note(row: pd.Series) -> str:
    """Return the remark on a fact about the data set, or why it was not measured."""
    return row["note"] if row["status"] == MEASURED else f"not measured: {row['reason']}"


def setting_note(row: pd.Series, samplings: Mapping[str, str]) -> str:
    """Return why a setting was not found, and the remarks on it."""
    return joined("" if row["status"] == RUN else row["reason"], published_note(row, samplings))


def region_difference(row: pd.Series, sampling: bool = False, split: bool = False) -> str:
    """Return a difference between regions in words.

    Args:
        row: of ``tables/region_differences.tsv``.
        sampling: whether to name the sampling.
        split: whether to name the split.

    Example:
        >>> row = {"model": "mobilenet", "unfreeze": "0", "region": "full", "against": "lungs"}
        >>> row |= {"accuracy": 0.85, "accuracy_against": 0.8, "images": 800, "trainings": 5}
        >>> row |= {"difference": 0.05, "low": 0.02, "high": 0.08}
        >>> region_difference(pd.Series(row)).partition(";")[0]
        'mobilenet, unfreeze 0: the whole image beats lungs by 5.0 points [+2.0, +8.0]'
    """
    names = {"lungs": "lungs", "outside": "outside the lungs", "full": "the whole image"}
    region, against = (names.get(row[key], row[key]) for key in ("region", "against"))
    size = f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    points = f"{100 * abs(row['difference']):.1f} points"
    if row["low"] > 0:
        said = f"{region} beats {against} by {points} {size}"
    elif row["high"] < 0:
        said = f"{against} beats {region} by {points} {size}"
    else:
        said = f"no difference between {region} and {against} can be told: {points} {size}"
    place = joined(row["split"] if split else "", f"sampling {row['sampling']}" if sampling else "")
    return (
        f"{row['model']}, unfreeze {row['unfreeze']}{f' ({place})' if place else ''}: {said}; "
        f"{100 * row['accuracy']:.1f} % and {100 * row['accuracy_against']:.1f} % of "
        f"{counted(int(row['images']), 'test image')}, {counted(int(row['trainings']), 'seed')}."
    )


def subgroup(row: pd.Series) -> str:
    """Return how a part of the test images differs from the rest, in words.

    Args:
        row: of ``tables/subgroups.tsv``, with a difference.

    Example:
        >>> row = {"model": "lenet5", "unfreeze": "all", "variant": "full", "column": "sex"}
        >>> row |= {"value": "F", "label": "COVID", "images": 40, "accuracy": 0.6}
        >>> row |= {"accuracy_rest": 0.8, "difference": -0.2}
        >>> row |= {"difference_low": -0.3, "difference_high": -0.1}
        >>> subgroup(pd.Series(row)).partition(",")[0]
        'lenet5/full: of 40 images of COVID with sex F'
    """
    label = "" if row["label"] == "all" else f" of {row['label']}"
    low, high = (100 * row[f"difference_{end}"] for end in ("low", "high"))
    return (
        f"{row['model']}/{row['variant']}: of {counted(int(row['images']), 'image')}{label} "
        f"with {row['column']} {row['value']}, {100 * row['accuracy']:.1f} % are recognised, of "
        f"the rest {100 * row['accuracy_rest']:.1f} %: {100 * abs(row['difference']):.1f} points "
        f"{'more' if row['difference'] > 0 else 'fewer'} [{low:+.1f}, {high:+.1f}]."
    )


def stages(rows: pd.DataFrame) -> str:
    """Return how one network was trained, as in ``9 epochs at 0.001, cached``.

    A stage is *cached* where it was given the output of the frozen layers, which was computed once.
    Of several stages, each says what it unfreezes.

    Args:
        rows: one per stage, with ``stage_unfreeze, epochs, learning_rate, cached, augmented``.
    """
    parts = [
        (f"unfreeze {row.stage_unfreeze}: " if len(rows) > 1 else "")
        + counted(row.epochs, "epoch")
        + f" at {np.format_float_positional(row.learning_rate)}"
        + (", cached" if row.cached else "")
        for row in rows.itertuples()
    ]
    augmented = len(rows) and rows["augmented"].any()
    return joined(*parts, "augmented, so nothing is cached" if augmented else "")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def over_folds(mean: str, trainings: int, folds: int) -> str:
    """Return what a mean was taken over, as in ``77.4 % ± 2.1 % over 10 trainings in 5 folds``."""
    return f"{mean} over {counted(trainings, 'training')} in {counted(folds, 'fold')}"
