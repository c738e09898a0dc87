"""The data set: its files, classes, sources, defects and grey levels, and what was sampled."""

from collections.abc import Callable, Mapping

import pandas as pd

from pulmoscan.report import dataset_figures, figures, page, tables
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import Study

FEW = 20  # rows of a table that is shown whole
PARTS = ("train", "validation", "test")
SAMPLING_FACTS = (
    *("undersampled-per-class", "train", "test", "validation-from-train", "large-count"),
    *("large-total", "histogram-train", "histogram-validation", "histogram-test"),
)


def facts(study: Study, *kinds: str) -> str:
    """Return the published facts of some kinds beside those of these data."""
    rows = study.table("dataset_facts")
    chosen = rows[rows["fact"].map(lambda fact: fact.partition("/")[0] in kinds)]
    return tables.facts(chosen) if len(chosen) else ""


def files(study: Study) -> str:
    """Return the number of images, their modes and sizes."""
    modes, sizes = study.table("modes"), study.table("sizes")
    same = modes["equal_channels"].map({"True": "yes", "False": "no"})
    modes["equal_channels"] = same.where(modes["mode"] != "L", "–")
    pixels = [name for name in sizes if name != "class"]
    return "".join(
        [
            facts(study, "images", "rgb-images"),
            page.table(
                modes,
                {"images": page.count},
                TABLES["modes"],
                {"equal_channels": "equal channels"},
            ),
            page.table(
                sizes,
                dict.fromkeys(pixels, page.count),
                TABLES["sizes"],
                {name: name.replace("_", " ") for name in pixels},
            ),
        ]
    )


def random_images(study: Study) -> str:
    """Return a few images of each class."""
    rows = study.examples
    figure = figures.pictures(
        [[study.images[row] for row in chosen] for chosen in rows.values()],
        list(rows),
        [[study.audit["image"][row] for row in chosen] for chosen in rows.values()],
        width=6,
    )
    return figures.drawn(figure, study.figures, "random_images", pixels=True)


def masks(study: Study) -> str:
    """Return an image of each class with its mask, and what the mask leaves."""
    first = {name: rows[0] for name, rows in study.examples.items()}
    figure = figures.pictures(
        [
            [
                study.images[row],
                study.masks[row] * 255,
                study.masked(row),
                study.masked(row, "outside"),
            ]
            for row in first.values()
        ],
        list(first),
        heads=("image", "mask", "lungs", "outside the lungs"),
        width=7.5,
    )
    return figures.drawn(figure, study.figures, "masks", pixels=True)


def useful_area(study: Study) -> str:
    """Return the share of images that their lung masks cover."""
    area = study.table("useful_area").drop(columns="grey_masks")
    shares = dict.fromkeys(area.columns.drop(["class", "images"]), page.share)
    table = page.table(
        area,
        {"images": page.count} | shares,
        TABLES["useful_area"],
        {"q25": "25 %", "q75": "75 %"},
    )
    figure = dataset_figures.useful_area(study.usable, study.classes)
    drawn = figures.drawn(figure, study.figures, "useful_area")
    return facts(study, "mean-useful-area") + table + drawn


def classes(study: Study) -> str:
    """Return the number of images of each class."""
    rows = study.table("classes")
    figure = dataset_figures.counts(
        rows[rows["class"].isin(study.classes)], "class", "Images per class"
    )
    drawn = figures.drawn(figure, study.figures, "classes")
    return facts(study, "class-count", "class-share") + drawn


def sources(study: Study) -> str:
    """Return the number of images from each source, and of which classes they are."""
    shares = dataset_figures.counts(study.table("sources"), "source", "Images per source")
    by_class = dataset_figures.class_by_source(study.table("class_by_source"))
    return "".join(
        [
            facts(study, "sources", "source-share", "source-count"),
            figures.drawn(shares, study.figures, "sources"),
            figures.drawn(by_class, study.figures, "class_by_source"),
        ]
    )


def defects(study: Study) -> str:
    """Return errors of the metadata, duplicates, defects, and what looks wrong."""
    errors = study.table("metadata_errors")
    kinds = errors.groupby(["class", "error"]).size().rename("rows").reset_index()
    agreement = page.note("The metadata agree with the images.")
    if len(kinds):
        agreement = page.table(kinds, {"rows": page.count}, TABLES["metadata_errors"])
        agreement += _listed(errors, {}, "")
    correlation = {"correlation": lambda value: page.decimal(value, 4)}
    return "".join(
        [
            agreement,
            _listed(
                study.table("duplicates"),
                {"distance": page.count} | correlation,
                TABLES["duplicates"],
            ),
            _listed(study.table("defects"), {}, TABLES["defects"]),
            _listed(study.table("warnings"), {}, TABLES["warnings"]),
        ]
    )


def _listed(table: pd.DataFrame, formats: Mapping[str, Callable], caption: str) -> str:
    """Return a short table whole, and the first rows of a long one, folded."""
    table = page.dashed(table)
    if not len(table):
        return page.note(f"{caption} None.")
    if len(table) <= FEW:
        return page.table(table, formats, caption)
    first = page.table(table.head(FEW), formats)
    return page.captioned(caption) + page.folded(f"the first {FEW} of {len(table):,}", first)


def grey_levels(study: Study) -> str:
    """Return grey levels of an image of each class, and of the classes."""
    rows = [chosen[0] for chosen in study.examples.values()]
    examples = dataset_figures.images_with_histograms(
        [study.images[row] for row in rows],
        [study.masked(row) for row in rows],
        study.histograms[rows],
        [study.audit["image"][row] for row in rows],
    )
    means = dataset_figures.histograms(
        study.histograms[study.usable.index], study.usable["class"], study.classes
    )
    return figures.drawn(
        examples, study.figures, "images_with_histograms", pixels=True
    ) + figures.drawn(means, study.figures, "histograms")


def intensity(study: Study) -> str:
    """Return mean and spread of the grey levels by class, whole and inside the lungs."""
    rows = study.table("intensity")
    statistics = [name for name in rows if "_of_" in name]
    table = page.table(
        rows,
        {"images": page.count} | dict.fromkeys(statistics, page.decimal),
        TABLES["intensity"],
        {name: name.replace("_", " ") for name in statistics},
    )
    return facts(study, "intensity-mean", "intensity-sd") + table


def mean_images(study: Study) -> str:
    """Return the mean image of each class, whole and masked."""
    means = study.mean_images
    figure = figures.pictures(
        [list(means[:, 0]), list(means[:, 1])],
        ["whole", "lungs"],
        heads=study.classes,
        width=7.5,
    )
    return figures.drawn(figure, study.figures, "mean_images", pixels=True)


def resampling(study: Study) -> str:
    """Return how many images each sampling asked for and got."""
    rows = study.table("resampling")
    index = ["sampling", "class", "label"]
    if rows["split_name"].nunique() > 1:
        index = ["split_name", *index]
    counts = rows.pivot_table(
        index=index, columns="split", values=["asked", "got"], aggfunc="sum", sort=False
    )
    counts = counts.reindex(columns=[(what, part) for part in PARTS for what in ("asked", "got")])
    counts.columns = [f"{part}, {what}" for what, part in counts.columns]
    table = page.table(
        counts.reset_index(),
        dict.fromkeys(counts.columns, page.count),
        TABLES["resampling"],
        {"split_name": "split"},
    )
    short = rows["shortfall"][rows["shortfall"] != ""].unique()
    notes = [page.note(page.escaped(text)) for text in short]
    return "".join([table, *notes, facts(study, *SAMPLING_FACTS)])
