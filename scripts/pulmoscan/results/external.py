"""How well the runs do on radiographs from elsewhere, beside their own test images.

Both are scored on the same classes, those that the set has and the run knows, and by the run's own
decision rule: what is given a label that the set does not have is wrong.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data import groups
from pulmoscan.results import bootstrap, gather
from pulmoscan.results.metrics import PREFIX
from pulmoscan.results.selection import NOT_RUN, RUN
from pulmoscan.results.weighted import (
    ACCURACY,
    AUC,
    FEWEST,
    PREDICTED,
    SENSITIVITY,
    SPECIFICITY,
    Answers,
    Key,
    Measure,
    Share,
    measured,
    measures,
    resampled,
    varied,
)
from pulmoscan.storage import tables

OF_RUN = runs.KEY
SIDES = (  # number of images and groups, value and interval: of the set, of the run's own images
    ("images", "groups", "external", "low", "high"),
    ("internal_images", "internal_groups", "internal", "internal_low", "internal_high"),
)
DIFFERENCE = ("difference", "difference_low", "difference_high")
COLUMNS = [
    *(
        "set",
        *OF_RUN,
        "folds",
        "seeds",
        "n",
        "copies",
        "unit",
        "shared",
        "measure",
        "label",
        "class",
    ),
    *(*SIDES[0], *SIDES[1], *DIFFERENCE, "status", "reason"),
]
TEXT = ("set", *OF_RUN, "shared", "measure", "label", "class", "unit", "status", "reason")
COUNTS = ("folds", "seeds", "n", "copies", "images", "groups", "internal_images", "internal_groups")
PATIENT, GROUP = "patient", "group"  # what images are drawn by
NETWORK = ["split_name", "seed"]  # of one that predicts a set


def read(path: Path) -> pd.DataFrame:
    """Return the gathered predictions of external sets.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    text = ["set", "split_name", *runs.NAME, "image", "class", "group", "predicted"]
    others = ["seed", "label", "patient", "copy_of"]
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
            a training, ``image, class, label, patient, group, copy_of, predicted, p_<label>...``.
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
        or group); ``internal`` is the same on the run's own test images of these classes, and
        ``difference`` external minus internal. They are means over ``seeds``. With ``folds`` the
        networks of all predict the set, and the test images of all are one test set. ``predicted``
        is the share of images of a ``class`` that the run does not know, or of unlabelled ones
        (""), which is given a label. A run that cannot predict a set has one row, whose ``status``
        is ``not_run``.
    """
    names = selection[["split_name", "split"]].drop_duplicates()
    own = predictions.iloc[:0]
    if len(predictions):
        own = gather.of_test(predictions, selection).merge(_internal(images), on="image")
    of_sets = _by(["set", *OF_RUN], external.merge(names, on="split_name"))
    of_runs = _by(OF_RUN, own)
    rows = []
    for name, reasons in unpredicted.items():
        for key, run in selection[selection["selected"]].groupby(OF_RUN, sort=False):
            known = dict(zip(["set", *OF_RUN], (name, *key), strict=True)) | {"status": RUN}
            answers = of_sets.get((name, *key))
            _, model, _, variant = key
            unmade = "; ".join(run["reason"].unique()) if (run["status"] != RUN).all() else ""
            why = unmade or reasons.get(f"{model}/{variant}", "")
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
    return images[["image", "class"]].assign(group=groups.known(images))


def _by(key: list[str], rows: pd.DataFrame) -> dict[tuple, pd.DataFrame]:
    return dict(iter(rows.groupby(key, sort=False))) if len(rows) else {}


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
        "folds": own["split_name"].nunique(),
        "seeds": len(seeds),
        "n": external["image"].nunique(),
        "copies": copies,
        "shared": ", ".join(sorted(shared["class"])),
        "unit": GROUP if (external[PATIENT].fillna("") == "").any() else PATIENT,
    }
    here = answers(external[known], labels, NETWORK)
    there = answers(_of_classes(own, shared), labels, ["seed"])
    found = measures(here)
    for (measure, label), row in _compared(here, found, there, resamples).items():
        yield common | {"measure": measure, "label": label} | row
        if measure == SENSITIVITY and (SPECIFICITY, label) not in found:
            reason = f"all images of these classes are {label}"
            for other in (SPECIFICITY, AUC):
                yield common | {"measure": other, "label": label, "reason": reason}
    if not found and (external["class"] != "").any():
        reason = "the run knows none of the classes of this set"
        yield common | {"measure": ACCURACY, "reason": reason}
    for name, part in external[~known].groupby("class"):
        given = answers(part, labels, NETWORK)
        everything = np.ones(len(given.truth), bool)
        shares = {
            (PREDICTED, label): Share(given, everything, given.predicted == label)
            for label in labels
        }
        for (measure, label), row in _compared(given, shares, None, resamples).items():
            yield common | {"measure": measure, "label": label, "class": name} | row


def _of_classes(own: pd.DataFrame, shared: pd.DataFrame) -> pd.DataFrame:
    """Return the test images of the classes that a set has too.

    A class of the set may be one of the data set, or be called what the sampling calls several.
    """
    pairs = set(shared.itertuples(index=False, name=None))
    of_class = pd.MultiIndex.from_frame(own[["class", "label"]]).isin(list(pairs))
    called = {label for name, label in pairs if name == label}
    return own[of_class | own["label"].isin(called)] if pairs else own.iloc[:0]


def answers(rows: pd.DataFrame, labels: list[str], training: list[str]) -> Answers:
    """Return the predictions of one run, one row per training and image, as arrays.

    ``training`` are the columns that tell trainings apart, in their order. Raises ``ValueError``
    where not all of them have the same images.
    """
    rows = rows.sort_values([*training, "image"], kind="stable")
    trainings, images = len(rows[training].drop_duplicates()), rows["image"].nunique()
    if len(rows) != trainings * images:
        raise ValueError("the trainings of a run do not predict the same images: run gather again")
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
    here: Answers, found: Mapping[Key, Measure], there: Answers | None, resamples: int
) -> dict[Key, dict]:
    """Return the measures of a set, those of the run's own images, and their differences.

    Args:
        here: the answers about the set; their trainings are those of the first fold, of the second,
            and so on, each with all seeds.
        found: what is measured of them.
        there: the answers about the run's own images, one training per seed; None for nothing.
        resamples: of the bootstrap.
    """
    if not found:
        return {}
    internal = measures(there) if there else {}
    sides = [(here, found), (there, internal)] if internal else [(here, found)]
    values = [measured(*side) for side in sides]
    samples = resampled(sides, len(sides[-1][0].predicted), resamples)
    rows = {}
    for key in found:
        row, drawn, reasons = {}, [], []
        for side, (_, of) in enumerate(sides):
            if key in of:
                measure, value = of[key], values[side][key]
                drawn.append(varied(samples[side][key], value, measure.enough, side))
                low, high = bootstrap.ends(drawn[-1])
                # Where no answer is right the interval begins at 0 (Brown, Cai and DasGupta 2001).
                numbers = (measure.images, measure.groups, value, min(low, value), max(high, value))
                row |= dict(zip(SIDES[side], numbers, strict=True))
                if measure.enough < FEWEST:
                    whose = ("the set", "its own test images")[side]
                    reasons.append(f"{measure.enough} groups of {whose}: too few for an interval")
        if len(drawn) == len(SIDES):
            ends = bootstrap.ends(drawn[0] - drawn[1])
            differences = (values[0][key] - values[1][key], *ends)
            row |= dict(zip(DIFFERENCE, differences, strict=True))
        elif there:
            reasons.append("no test image of its own to compare with")
        rows[key] = row | {"reason": "; ".join(reasons)}
    return rows
