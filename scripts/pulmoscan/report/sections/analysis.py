"""Analyses of all predictions: each is a table in ``tables/`` and is shown by one function.

A further analysis needs a call of `table` in the notebook and a caption of its name.
"""

from collections.abc import Callable

import pandas as pd

from pulmoscan.report import figures, page, result_figures, sentences
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import Study
from pulmoscan.results.subgroups import ALL

FIRST = 20  # rows that are shown at once
MOST = 100  # rows that are shown at all
SENTENCES = ("note", "reason")  # columns whose text may break
# Columns with one of these words in their names hold shares (0 to 1).
SHARES = frozenset(
    [
        *("share", "accuracy", "precision", "recall", "sensitivity", "specificity", "f1"),
        *("area", "energy", "probability"),
    ]
)
# Where predictions are concerned, a split is a part of the split that gives its name to the run.
HEADINGS = {
    "split_name": "split",
    "split": "part",
    "unfreeze": "unfrozen",
    "n_test": "test images",
}
COLUMNS = 4  # pictures beside each other
PICTURES = 8
SAID = 6  # differences that are put into words


def table(study: Study, name: str) -> str:
    """Return an analysis: its first rows, then more of them, folded, under its caption."""
    return _listed(study.table(name), name)


def hardest_images(study: Study) -> str:
    """Return the images that most trainings get wrong, with pictures of the first."""
    rows = study.table("hardest_images")
    if not len(rows):
        return page.note("No run was made with this configuration.")
    # One that is predicted under several labels, or by the trainings of several splits, has as many
    # rows.
    images = rows.groupby("image")[["trainings", "wrong"]].sum()
    always = (images["wrong"] == images["trainings"]).sum()
    some = rows[rows["wrong"] > 0]
    if not (study.published or study.has_sources):
        some = some.drop(columns="source")
    note = page.note(
        f"Of {sentences.counted(len(images), 'validation or test image')}, {always:,} "
        f"{'is' if always == 1 else 'are'} predicted wrongly by every training that predicts "
        f"{'it' if always == 1 else 'them'}, and {some['image'].nunique():,} by at least one."
    )
    return (
        note
        + _pictures(study, some.drop_duplicates("image").head(PICTURES))
        + _listed(some, "hardest_images")
    )


def region_differences(study: Study) -> str:
    """Return what each network gains or loses by seeing another part of the image, in words first.

    Nothing where no network was trained on several.
    """
    rows = study.table("region_differences")
    if not len(rows):
        none = page.note("No network was trained on several parts of the same images.")
        return none if study.published else ""
    several = rows["sampling"].nunique() > 1, rows["split"].nunique() > 1
    said = [sentences.region_difference(row, *several) for _, row in rows.iterrows()]
    shown = rows.assign(
        difference=[
            page.percent(row.difference, row.low, row.high, row.difference_sd, sign="+")
            for row in rows.itertuples()
        ]
    ).drop(columns=["difference_sd", "low", "high"])
    # In the tables of predictions, which have both, ``split`` is a part of the split.
    shown = shown.rename(columns={"split": "split_name"})
    figure = figures.drawn(
        result_figures.region_differences(rows), study.figures, "region_differences"
    )
    items = "".join(f"<li>{page.escaped(sentence)}</li>" for sentence in said[:SAID])
    return f"<ul>{items}</ul>" + figure + _listed(shown, "region_differences")


def subgroups(study: Study) -> str:
    """Return on which parts of the test images networks do better or worse, in words first."""
    rows = study.table("subgroups")
    compared = rows[rows["difference"].notna()]
    if not len(compared):
        none = page.note("No part of the test images is large enough to be compared with the rest.")
        return none if study.published else ""
    # Of all labels together, a part may differ by its mix of them alone.
    within = compared[compared["label"] != ALL]
    told = within[(within["difference_low"] > 0) | (within["difference_high"] < 0)]
    told = told.iloc[told["difference"].abs().argsort()[::-1]]
    items = "".join(
        f"<li>{page.escaped(sentences.subgroup(row))}</li>" for _, row in told.head(SAID).iterrows()
    )
    note = page.note(
        f"Of {sentences.counted(len(within), 'comparison')} within a label, "
        f"{len(told):,} {'has an interval' if len(told) == 1 else 'have intervals'} without zero; "
        f"by chance alone about {0.05 * len(within):.0f} would. A part may differ in more than "
        "what names it."
    )
    if not (len(within) or study.published):
        note = page.note("No part of a label's test images is large enough to be compared.")
    shown = rows.assign(
        accuracy=[page.percent(row.accuracy, row.low, row.high) for row in rows.itertuples()],
        difference=[
            page.percent(row.difference, row.difference_low, row.difference_high, sign="+")
            for row in rows.itertuples()
        ],
    ).drop(columns=["low", "high", "difference_low", "difference_high"])
    shown = shown.rename(columns={"split": "split_name"})
    return note + (f"<ul>{items}</ul>" if items else "") + _listed(shown, "subgroups")


def regions(study: Study) -> str:
    """Return networks that were trained on several kinds of images, as a figure."""
    config = study.config
    variants = pd.DataFrame.from_dict(config["variants"], orient="index")
    plain = [
        name
        for name, entry in config["variants"].items()
        if set(config["pixels"][entry["pixels"]]) == {"region"} and not entry.get("augment")
    ]
    made = study.made[study.made["variant"].isin(plain)].merge(
        variants[["sampling", "pixels"]], left_on="variant", right_index=True
    )
    networks = ["split_name", "model", "unfreeze", "sampling"]
    several = made.groupby(networks)["pixels"].transform("nunique") > 1
    if not several.any():
        return ""
    return figures.drawn(result_figures.regions(made[several]), study.figures, "regions")


def _listed(rows: pd.DataFrame, name: str) -> str:
    if "split_name" in rows and rows["split_name"].nunique() <= 1:
        rows = rows.drop(columns="split_name")
    formats, rows = formats_of(rows), page.dashed(rows)
    headings = {column: column.replace("_", " ") for column in rows} | HEADINGS
    if not len(rows):
        return page.captioned(f"{TABLES[name]} None.")
    shown = page.table(rows.head(FIRST), formats, TABLES[name], headings, wide=SENTENCES)
    rest = rows.iloc[FIRST:MOST]
    if not len(rest):
        return shown
    what = f"the next {len(rest)} of {len(rows):,} rows (all are in tables/{name}.tsv)"
    return shown + page.folded(what, page.table(rest, formats, "", headings, wide=SENTENCES))


def formats_of(rows: pd.DataFrame) -> dict[str, Callable[[float], str]]:
    """Return how the numbers of a table are written, by their columns' names and values."""
    formats: dict[str, Callable[[float], str]] = {}
    for name in rows.select_dtypes("number"):
        if SHARES & set(name.split("_")):
            formats[name] = page.share
        elif (rows[name].dropna() % 1 == 0).all():
            formats[name] = page.count
        else:
            formats[name] = page.plain
    return formats


def source_oracle(study: Study) -> str:
    """Return how far the source alone goes; nothing where fewer than two sources are known."""
    if not study.has_sources:
        return ""
    rows = study.table("source_oracle")
    rows = rows[rows["accuracy"].notna()]
    accuracy = [page.percent(row.accuracy, row.low, row.high) for row in rows.itertuples()]
    return _listed(rows.assign(accuracy=accuracy).drop(columns=["low", "high"]), "source_oracle")


def _pictures(study: Study, rows: pd.DataFrame) -> str:
    """Return pictures of images with their label and the one that they are given most often."""
    if not len(rows):
        return ""
    place = pd.Series(study.audit.index, study.audit["image"])
    images = [study.images[place[image]] for image in rows["image"]]
    titles = [
        f"{row.image}\n{row.label}, predicted {row.most_predicted}" for row in rows.itertuples()
    ]
    starts = range(0, len(rows), COLUMNS)
    figure = figures.pictures(
        [images[start : start + COLUMNS] for start in starts],
        [""] * len(starts),
        [titles[start : start + COLUMNS] for start in starts],
    )
    return figures.drawn(figure, study.figures, "hardest_images", pixels=True)
