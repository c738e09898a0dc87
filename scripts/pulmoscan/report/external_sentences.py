"""What the comparison of external sets with a run's own test images says, in sentences.

A sentence says no more than its interval: a difference is one where the interval leaves zero out.
"""

import math

import pandas as pd

from pulmoscan.data.layout import CLASSES
from pulmoscan.report.sentences import counted
from pulmoscan.results.external import PATIENT
from pulmoscan.results.weighted import (
    ACCURACY,
    BALANCED,
    PREDICTED,
    SENSITIVITY,
    SPECIFICITY,
)

FINDING = CLASSES[0]  # what the study looks for, where a sampling names no positive label
FEW = 2  # labels of a set whose sensitivities are all put into words


def of_run(rows: pd.DataFrame, positive: str = "") -> str:
    """Return what was found of one run on one set, in one to a few sentences without the run.

    What is said: how much of each label of the set is recognised, or their mean where there are
    more than two; how many images without the finding are taken for it; and what images are called
    whose class the run does not know.

    Args:
        rows: those of ``tables/external.tsv`` of one set and run, whose status is ``run``.
        positive: the label of two that is the finding, "" for none.
    """
    known = rows[rows["external"].notna()]
    sensitivities = known[known["measure"] == SENSITIVITY]
    alarms = spared(known, positive)
    labels = set(known["label"]) - {""}
    if len(sensitivities) > FEW:
        said = [_balanced(row) for _, row in known[known["measure"] == BALANCED].iterrows()]
        sensitivities = sensitivities[sensitivities["label"] == _finding(labels, positive)]
    else:
        said = []
        if len(labels) == FEW and len(alarms):  # the others of two are those not taken for it
            sensitivities = sensitivities[sensitivities["label"].isin(alarms["label"])]
    said += [_recognised(row) for _, row in sensitivities.iterrows()]
    said += [_false_alarm(row) for _, row in alarms.iterrows()]
    said += [_strange(part) for _, part in known[known["measure"] == PREDICTED].groupby("class")]
    unsaid = rows.loc[(rows["measure"] == ACCURACY) & rows["external"].isna(), "reason"]
    return " ".join([*(f"{reason[0].upper()}{reason[1:]}." for reason in unsaid), *said])


def size(rows: pd.DataFrame) -> str:
    """Return how many images the runs predicted of one set, and how many copies are left out."""
    fewest, most = int(rows["n"].min()), int(rows["n"].max())
    said = counted(most, "radiograph")
    if fewest < most:
        said = f"{fewest:,} to {said}, by run"
    copies = int(rows["copies"].max())
    if not copies:
        return f"{said}."
    noun = "a copy of an image" if copies == 1 else "copies of images"
    verb = "is" if copies == 1 else "are"
    return f"{said}; {copies:,} more {verb} left out as {noun} of the data set that was trained on."


def spared(rows: pd.DataFrame, positive: str = "") -> pd.DataFrame:
    """Return the specificity of the finding, a row or none; the lowest one if there is no finding.

    ``rows`` and ``positive`` are those of `of_run`.
    """
    specificities = rows[(rows["measure"] == SPECIFICITY) & rows["external"].notna()]
    if finding := _finding(set(rows["label"]), positive):
        return specificities[specificities["label"] == finding]
    return specificities.nsmallest(1, "external")


def _finding(labels: set[str], positive: str) -> str:
    return next((name for name in (positive, FINDING) if name and name in labels), "")


def _recognised(row: pd.Series) -> str:
    said = f"{_images(row)} labelled {row['label']}, {_share(row)} are recognised"
    return said + _beside(row)


def _false_alarm(row: pd.Series) -> str:
    """Return the share of images without a label that are given it: specificity turned round."""
    turned = row.copy()
    for value, low, high in (
        ("external", "low", "high"),
        ("internal", "internal_low", "internal_high"),
    ):
        turned[[value, low, high]] = 1 - row[value], 1 - row[high], 1 - row[low]
    turned["difference"] = -row["difference"]
    turned[["difference_low", "difference_high"]] = -row["difference_high"], -row["difference_low"]
    label = row["label"]
    return f"{_images(row)} not labelled {label}, {_share(turned)} are called {label}" + (
        _beside(turned)
    )


def _balanced(row: pd.Series) -> str:
    said = f"{_images(row)} of the classes {row['shared']}, {_share(row)} are recognised"
    return f"{said}, every label weighing the same" + _beside(row)


def _strange(rows: pd.DataFrame) -> str:
    """Return what images are called whose class is not known to the run, or to anybody."""
    first = rows.iloc[0]
    number = counted(int(first["images"]), "radiograph")
    called = ", ".join(
        f"{_percent(row.external)} {row.label}"
        for row in rows.sort_values("external", ascending=False, kind="stable").itertuples()
    )
    if not first["class"]:
        return f"Of {number} without a label, it calls {called}; nothing says how many are right."
    return f"Of {number} labelled {first['class']}, which it does not know, it calls {called}."


def _images(row: pd.Series) -> str:
    number = counted(int(row["images"]), "radiograph")
    return f"Of {number}{_of_groups(row)}"


def _of_groups(row: pd.Series) -> str:
    if row["groups"] == row["images"] and row["unit"] != PATIENT:
        return ""
    return f" of {counted(int(row['groups']), row['unit'])}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _share(row: pd.Series, side: str = "") -> str:
    value, low, high = row[side or "external"], *(row[f"{side}_{end}".strip("_")] for end in ENDS)
    return _percent(value) + ("" if math.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]")


ENDS = ("low", "high")


def _beside(row: pd.Series) -> str:
    """Return the end of a sentence: the run's own test images, and what the difference says."""
    if math.isnan(row["internal"]):
        return "; the run has no test image of its own to compare with."
    own = f", against {_share(row, 'internal')} of its own test images: "
    points = f"{100 * abs(row['difference']):.1f} points"
    if math.isnan(row["difference_low"]):
        return f"{own}{points} apart, of too few radiographs for an interval."
    ends = f"[{100 * row['difference_low']:+.1f}, {100 * row['difference_high']:+.1f}]"
    if row["difference_low"] > 0:
        return f"{own}{points} more {ends}."
    if row["difference_high"] < 0:
        return f"{own}{points} fewer {ends}."
    return f"{own}no difference can be told, {points} {ends}."
