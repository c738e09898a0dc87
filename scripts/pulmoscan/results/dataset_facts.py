"""Published facts about the data set beside what the audit finds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.data import collections
from pulmoscan.data.describe import ALL
from pulmoscan.data.layout import CLASSES
from pulmoscan.results.published import NOT_COMPARED, number
from pulmoscan.storage import tables

# The tables of the audit that hold facts, with their columns of text and of numbers.
TABLES = {
    "classes": (["class"], ["images", "share"]),
    "modes": (["class", "mode"], ["images"]),
    "sources": (["source"], ["share"]),
    "class_by_source": (["source"], CLASSES),
    "useful_area": (["class"], ["mean"]),
    "intensity": (
        ["class", "region"],
        ["mean_of_means", "sd_of_means", "mean_of_sds", "sd_of_sds"],
    ),
}
COLUMNS = [
    "fact",
    "class_or_set",
    "published",
    "reproduced",
    "difference",
    "status",
    "reason",
    "note",
]
MEASURED, NOT_MEASURED = "measured", "not_measured"
STATISTICS = {
    "intensity-mean/mean": "mean_of_means",
    "intensity-mean/sd": "sd_of_means",
    "intensity-sd/mean": "mean_of_sds",
    "intensity-sd/sd": "sd_of_sds",
}
SHARE_OF_LEARNT = "validation-from-train"  # of a sampling, which is its subject
LEARNT = ("train", "validation")
ALL_PARTS = ("train", "validation", "test")
# What a published count of a sampling counts: its name here, the parts, and one class or all.
COUNTS = {
    "undersampled-per-class": ("balanced", ALL_PARTS),
    "train": ("balanced", LEARNT),
    "test": ("balanced", ("test",)),
    "large-count": ("large", ALL_PARTS),
    "large-total": ("large", ALL_PARTS),
    "histogram-train": ("binary", ("train",)),
    "histogram-validation": ("binary", ("validation",)),
    "histogram-test": ("binary", ("test",)),
}


class NotMeasuredError(ValueError):
    """The tables do not hold what a fact is about; the message says what is missing."""


def read(path: Path, name: str) -> pd.DataFrame:
    """Return one of the `TABLES` from its file.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """
    text, numbers = TABLES[name]

    def check(table: pd.DataFrame) -> None:
        keys = [column for column in text if column in ("class", "region")]
        if keys and name != "modes":
            needed = pd.MultiIndex.from_product(
                [{"class": (*CLASSES, ALL), "region": ("full", "lungs")}[key] for key in keys]
            )
            there = pd.MultiIndex.from_frame(table[keys])
            if len(missing := needed.difference(there)) or there.has_duplicates:
                row = " ".join(missing[0]) if len(missing) else "a class"
                raise ValueError(f"it does not have one row for {row}")

    return tables.read(path, "the audit", text, numbers, then=check)


def measure(
    fact: str, subject: str, tables: Mapping[str, pd.DataFrame], resampling: pd.DataFrame
) -> tuple[float, str]:
    """Return the value of a published fact in this data set, and a note.

    Raises:
        NotMeasuredError: when the tables do not hold it.
        ValueError: when the fact is not one that is known here.
    """
    kind, _, part = fact.partition("/")
    by_class = {name: tables[name].set_index("class") for name in ("classes", "useful_area")}
    if fact in ("class-count", "class-share", "images"):
        column = "share" if fact == "class-share" else "images"
        return by_class["classes"].loc[subject, column], ""
    if fact == "mean-useful-area":
        return by_class["useful_area"].loc[subject, "mean"], ""
    if fact == "rgb-images":
        modes = tables["modes"]
        chosen = (modes["class"] == subject) & (modes["mode"] == "RGB")
        return modes.loc[chosen, "images"].sum(), ""
    if kind == "source-count":
        table = tables["class_by_source"].set_index("source")
        return (table.loc[part, subject] if part in table.index else 0), ""
    if kind == "source-share":
        table = tables["sources"].set_index("source")
        return (table.loc[part, "share"] if part in table.index else 0), ""
    if fact == "sources":
        return (tables["sources"]["source"] != collections.UNKNOWN).sum(), ""
    if fact in STATISTICS:
        return _intensity(tables["intensity"], subject, STATISTICS[fact])
    if fact == SHARE_OF_LEARNT:
        validation = _images(resampling, subject, ("validation",))
        return validation.sum() / _images(resampling, subject, LEARNT).sum(), ""
    if fact in COUNTS:
        sampling, parts = COUNTS[fact]
        counts = _images(resampling, sampling, parts)
        if fact == "undersampled-per-class":
            return counts.min(), ""
        return (counts[subject] if subject in counts else counts.sum()), ""
    raise ValueError(f"no way to measure the published fact {fact!r}")


def _intensity(table: pd.DataFrame, subject: str, column: str) -> tuple[float, str]:
    """Return the statistic of whole images, with that of the lungs in the note.

    The study says that its table is of masked images; its values are those of whole ones.
    """
    values = table[table["class"] == subject].set_index("region")[column]
    return values["full"], f"whole images; inside the lungs {values['lungs']:.1f}"


def _images(resampling: pd.DataFrame, sampling: str, parts: Sequence[str]) -> pd.Series:
    """Return how many images of each class a sampling has in some parts of the split."""
    of_sampling = resampling[resampling["sampling"] == sampling]
    if not len(of_sampling):
        raise NotMeasuredError(f"no selected run uses the sampling {sampling!r}")
    if len(empty := of_sampling[of_sampling["shortfall"] != ""]):
        raise NotMeasuredError(empty["shortfall"].iloc[0])
    return of_sampling[of_sampling["split"].isin(parts)].groupby("class")["got"].sum()


def compare(
    facts: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    resampling: pd.DataFrame,
    redefined: Mapping[str, str],
) -> pd.DataFrame:
    """Return one row per published fact, in their order, with the columns `COLUMNS`.

    ``redefined`` has the samplings that are not those of the study, with the settings in which they
    differ: facts about them have no published value.
    """
    rows = []
    for fact, subject, value in facts[["fact", "class_or_set", "value"]].itertuples(index=False):
        sampling = subject if fact == SHARE_OF_LEARNT else COUNTS.get(fact, ("",))[0]
        settings = redefined.get(sampling, "")
        value = "" if settings else value
        row = {"fact": fact, "class_or_set": subject, "published": value}
        row |= {"status": NOT_MEASURED, "reason": "", "note": ""}
        try:
            row["reproduced"], row["note"] = measure(fact, subject, tables, resampling)
            row["note"] = f"{NOT_COMPARED}{settings}" if settings else row["note"]
            row["difference"] = row["reproduced"] - number(value)
            if math.isnan(row["reproduced"]):
                row["reason"] = "no usable image"
            else:
                row["status"] = MEASURED
        except NotMeasuredError as reason:
            row["reason"] = str(reason)
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)
