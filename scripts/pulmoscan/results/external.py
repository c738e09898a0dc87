"""How well the runs do on radiographs from elsewhere, beside their own test images.

Both are scored on the same classes, those that the set has and the run knows, and by the run's own
decision rule: what is given a label that the set does not have is wrong.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data import groups
from pulmoscan.results import bootstrap
from pulmoscan.results.metrics import PREFIX
from pulmoscan.results.selection import NOT_RUN, RUN
from pulmoscan.results.weighted import (
    ACCURACY,
    AUC,
    PREDICTED,
    SENSITIVITY,
    SPECIFICITY,
    Answers,
    Measure,
    Share,
    measures,
)
from pulmoscan.storage import tables

OF_RUN = [name for name in runs.TRAINING if name != "seed"]
SIDES = (  # number of images and groups, value and interval: of the set, of the run's own images
    ("images", "groups", "external", "low", "high"),
    ("internal_images", "internal_groups", "internal", "internal_low", "internal_high"),
)
DIFFERENCE = ("difference", "difference_low", "difference_high")
COLUMNS = [
    *("set", *OF_RUN, "trainings", "n", "copies", "unit", "shared", "measure", "label", "class"),
    *(*SIDES[0], *SIDES[1], *DIFFERENCE, "status", "reason"),
]
TEXT = ("set", *OF_RUN, "shared", "measure", "label", "class", "unit", "status", "reason")
COUNTS = ("trainings", "n", "copies", "images", "groups", "internal_images", "internal_groups")
PATIENT, GROUP = "patient", "group"  # what images are drawn by
FEWEST = 5  # groups that an interval is made of, at least
CONFIDENCE = 0.95
CELLS = 4_000_000  # weights of images at a time, at most


def read(path: Path) -> pd.DataFrame:
    """Return the gathered predictions of external sets.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    text = ["set", *OF_RUN, "image", "class", "group", "predicted"]
    others = ["seed", "label", "copy_of"]
    return tables.read(path, "gather_external", text, others=others)


def table(
    external: pd.DataFrame,
    predictions: pd.DataFrame,
    images: pd.DataFrame,
    selection: pd.DataFrame,
    unpredicted: Mapping[str, Mapping[str, str]],
    resamples: int,
) -> pd.DataFrame:
    """Return how well every selected run does on every external set.

    Args:
        external: predictions of the sets, one row per set, training and image: ``set``, the key of
            a training, ``image, class, label, group, copy_of, predicted, p_<label>...``, and
            ``patient`` where these are known.
        predictions: gathered predictions of the runs' own images.
        images: ``image, class, duplicate_group`` of the data set trained on, and ``patient`` where
            they are known.
        selection: the selection of runs.
        unpredicted: of every set, by ``model/variant``, why runs cannot predict it.
        resamples: of the bootstrap.

    Returns:
        One row per set, run, measure and label, with `COLUMNS`. ``n`` are the images predicted
        without copies of images of the data set trained on, ``copies`` the number of these, and
        ``shared`` the classes that are scored. ``external``, with the interval ``low`` to ``high``,
        is the measure on ``images`` of the set, which are of so many ``groups`` (``unit``: patient
        or group); ``internal`` is the same on the run's own test images of these classes, each the
        mean over ``trainings`` (seeds), and ``difference`` external minus internal. ``predicted``
        is the share of images of a ``class`` that the run does not know, or of unlabelled ones
        (""), which is given a label. A run that cannot predict a set has one row, whose ``status``
        is ``not_run``.
    """
    chosen = selection[selection["selected"]].drop_duplicates(OF_RUN)
    own = predictions[predictions["split"] == "test"] if len(predictions) else predictions
    own = own.merge(_internal(images), on="image") if len(own) else own
    of_sets = dict(iter(external.groupby(["set", *OF_RUN], sort=False))) if len(external) else {}
    of_runs = dict(iter(own.groupby(OF_RUN, sort=False))) if len(own) else {}
    rows = []
    for name, reasons in unpredicted.items():
        for run in chosen.itertuples():
            key = tuple(getattr(run, column) for column in OF_RUN)
            known = dict(zip(["set", *OF_RUN], (name, *key), strict=True)) | {"status": RUN}
            answers = of_sets.get((name, *key))
            why = run.reason or reasons.get(f"{run.model}/{run.variant}", "")
            if why or answers is None or key not in of_runs:
                why = why or "there is no image of it that this run could predict"
                rows.append(known | {"status": NOT_RUN, "reason": why})
            else:
                rows += [known | row for row in _scored(answers, of_runs[key], resamples)]
    result = pd.DataFrame(rows, columns=COLUMNS)
    result[[*TEXT]] = result[[*TEXT]].astype(object).fillna("")
    return result.astype(dict.fromkeys(COUNTS, "Int64"))


def _internal(images: pd.DataFrame) -> pd.DataFrame:
    """Return ``image, class, group`` of the data set trained on; copies and patients are groups."""
    kind = "patient" if "patient" in images else "duplicates"
    return images[["image", "class"]].assign(group=groups.together(images, kind))


def _scored(external: pd.DataFrame, own: pd.DataFrame, resamples: int) -> Iterator[dict]:
    """Yield the rows of one set and run, without their key."""
    copy = external["copy_of"].notna()
    copies, external = external.loc[copy, "image"].nunique(), external[~copy]
    seeds = set(external["seed"]) & set(own["seed"])
    external, own = (part[part["seed"].isin(seeds)] for part in (external, own))
    labels = [
        column.removeprefix(PREFIX)
        for column in own
        if column.startswith(PREFIX) and own[column].notna().any()
    ]
    known = external["label"].notna()
    shared = external.loc[known, ["class", "label"]].drop_duplicates()
    common = {
        "trainings": len(seeds),
        "n": external["image"].nunique(),
        "copies": copies,
        "shared": ", ".join(sorted(shared["class"])),
        "unit": PATIENT if PATIENT in external and external[PATIENT].notna().all() else GROUP,
    }
    here, there = answers(external[known], labels), answers(_of_classes(own, shared), labels)
    found, internal = measures(here), measures(there)
    lacking = {
        (measure, label): f"all images of these classes are {label}"
        for measure in (SPECIFICITY, AUC)
        for label in set(shared["label"])
        if (measure, label) not in found
    }
    if not found and (external["class"] != "").any():
        lacking[ACCURACY, ""] = "the run knows none of the classes of this set"
    for (measure, label), row in _compared(here, found, there, internal, resamples).items():
        yield common | {"measure": measure, "label": label} | row
        for (other, of), reason in lacking.items():
            if measure == SENSITIVITY and of == label:
                yield common | {"measure": other, "label": of, "reason": reason}
    if (reason := lacking.get((ACCURACY, ""))) and len(external):
        yield common | {"measure": ACCURACY, "reason": reason}
    for name, part in external[~known].groupby("class"):
        given = answers(part, labels)
        shares = {
            (PREDICTED, label): Share(given, given.truth != label, given.predicted == label)
            for label in labels
        }
        for (measure, label), row in _compared(given, shares, given, {}, resamples).items():
            yield common | {"measure": measure, "label": label, "class": name} | row


def _of_classes(own: pd.DataFrame, shared: pd.DataFrame) -> pd.DataFrame:
    """Return the test images of the classes that a set has too.

    A class of the set may be one of the data set, or be called what the sampling calls several.
    """
    pairs = set(shared.itertuples(index=False, name=None))
    of_class = pd.MultiIndex.from_frame(own[["class", "label"]]).isin(list(pairs))
    called = {label for name, label in pairs if name == label}
    return own[of_class | own["label"].isin(called)] if pairs else own.iloc[:0]


def answers(rows: pd.DataFrame, labels: list[str]) -> Answers:
    """Return the predictions of one run, one row per seed and image, as arrays.

    Raises ``ValueError`` where not every seed has the same images.
    """
    rows = rows.sort_values(["seed", "image"], kind="stable")
    trainings, images = rows["seed"].nunique(), rows["image"].nunique()
    if len(rows) != trainings * images:
        raise ValueError("the seeds of a run do not predict the same images: run gather again")
    shape = (trainings, images)
    first = rows.head(images)
    probabilities = rows[[PREFIX + label for label in labels]].to_numpy(float)
    return Answers(
        labels,
        first["label"].fillna("").to_numpy(object),
        rows["predicted"].to_numpy(object).reshape(shape),
        probabilities.reshape(*shape, len(labels)),
        pd.factorize(first["group"])[0],
    )


def _compared(
    here: Answers,
    found: Mapping[tuple[str, str], Measure],
    there: Answers,
    internal: Mapping[tuple[str, str], Measure],
    resamples: int,
) -> dict[tuple[str, str], dict]:
    """Return the measures of a set, those of the run's own images, and their differences."""
    if not found:
        return {}
    trainings = len(here.predicted)
    values = [_measured(here, found, trainings), _measured(there, internal, trainings)]
    samples = _resampled([(here, found), (there, internal)], trainings, resamples)
    rows = {}
    for key in found:
        row, drawn, reasons = {}, [], []
        for side, of in enumerate((found, internal)):
            if key in of:
                measure, value = of[key], values[side][key]
                drawn.append(_varied(samples[side][key], value, measure.enough, side))
                numbers = (measure.images, measure.groups, value, *_interval(drawn[-1]))
                row |= dict(zip(SIDES[side], numbers, strict=True))
                if measure.enough < FEWEST:
                    whose = ("the set", "its own test images")[side]
                    reasons.append(f"{measure.enough} groups of {whose}: too few for an interval")
            elif key[0] != PREDICTED:
                reasons.append("no test image of its own to compare with")
        if len(drawn) == len(SIDES):
            ends = _interval(drawn[0] - drawn[1])
            differences = (values[0][key] - values[1][key], *ends)
            row |= dict(zip(DIFFERENCE, differences, strict=True))
        rows[key] = row | {"reason": "; ".join(reasons)}
    return rows


def _resampled(
    sides: Sequence[tuple[Answers, Mapping[tuple[str, str], Measure]]],
    trainings: int,
    resamples: int,
) -> list[dict[tuple[str, str], np.ndarray]]:
    """Return the values of each measure of both sides in all resamples.

    Images are drawn on each side by itself, group by group, and trainings for both at once: they
    are the same ones.
    """
    samples = [{key: np.empty(resamples) for key in of} for _, of in sides]
    *of_images, of_trainings = (np.random.default_rng(i) for i in range(len(sides) + 1))
    most = max(len(part.truth) for part, _ in sides)
    block = max(1, min(bootstrap.BLOCK, CELLS // most))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        seeds = bootstrap.drawn(trainings, count, of_trainings) / trainings
        for (part, of), random, values in zip(sides, of_images, samples, strict=True):
            if of:
                images = bootstrap.drawn(part.units, count, random)[:, part.groups].astype(float)
                for key, measure in of.items():
                    values[key][start : start + count] = measure(images, seeds)
    return samples


def _measured(
    part: Answers, of: Mapping[tuple[str, str], Measure], trainings: int
) -> dict[tuple[str, str], float]:
    images, seeds = np.ones((1, len(part.truth))), np.full((1, trainings), 1 / trainings)
    return {key: measure(images, seeds).item() for key, measure in of.items()}


def _varied(samples: np.ndarray, value: float, groups_of: int, seed: int) -> np.ndarray:
    """Return the values of resamples, NaN of too few groups.

    Where all are alike, as where every answer is right, the bootstrap would be certain of what it
    saw. Then they are drawn from what Jeffreys' prior makes of as many right and wrong groups
    (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion").
    """
    if groups_of < FEWEST:
        return np.full(len(samples), math.nan)
    if np.nanmax(samples) - np.nanmin(samples) > 1e-12:
        return samples
    right = value * groups_of
    return np.random.default_rng(seed).beta(right + 0.5, groups_of - right + 0.5, len(samples))


def _interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of the values of resamples, NaN where there is none."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)
