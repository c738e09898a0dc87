"""The data set: its files, classes, sources, defects and grey levels, and what was sampled."""

from collections.abc import Callable, Mapping

import pandas as pd

from pulmoscan.report import dataset_figures, figures, page, tables
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import Study

FEW, MANY = 20, 60  # rows of a table that is shown whole, and of one that is worth the space
BESIDE = 4  # classes whose pictures stand beside each other
PARTS = ("train", "validation", "test")
SAMPLING_FACTS = (
    *("undersampled-per-class", "train", "test", "validation-from-train", "large-count"),
    *("large-total", "histogram-train", "histogram-validation", "histogram-test"),
)


def facts(study: Study, *kinds: str) -> str:
    """Return the published facts of some kinds beside those of these data, where any are known."""
    if not study.published:
        return ""
    rows = study.table("dataset_facts")
    chosen = rows[rows["fact"].map(lambda fact: fact.partition("/")[0] in kinds)]
    return tables.facts(chosen) if len(chosen) else ""


def files(study: Study) -> str:
    """Return the number of images, their modes and sizes."""
    modes, sizes = study.table("modes"), study.table("sizes")
    same = modes["equal_channels"].map({"True": "yes", "False": "no"})
    modes["equal_channels"] = same.where(modes["mode"] != "L", "–")
    pixels = [name for name in sizes if name != "class"]
    names = {name: name.replace("_", " ") for name in pixels}
    counts = dict.fromkeys(pixels, page.count)
    listed = page.table
    caption = TABLES["sizes"]
    if not study.published:  # of which there may be as many sizes as images
        listed = _listed
        caption = TABLES["own_sizes_with_masks" if study.has_masks else "own_sizes"]
        sizes[pixels] = sizes[pixels].where(sizes[pixels] > 0)
        sizes = sizes.dropna(axis="columns", how="all")
    return "".join(
        [
            facts(study, "images", "rgb-images"),
            page.table(
                modes,
                {"images": page.count},
                TABLES["modes"],
                {"equal_channels": "equal channels"},
            ),
            listed(sizes, counts, caption, names),
        ]
    )


def attributes(study: Study) -> str:
    """Return what else the user's table says of the images; nothing where it says no more."""
    rows = study.table("attributes")
    if not len(rows):
        return ""
    counts = dict.fromkeys(rows.columns.drop(["column", "value"]), page.count)
    return _listed(rows, counts, TABLES["attributes"], most=MANY)


def random_images(study: Study) -> str:
    """Return a few images of each class."""
    rows = study.examples
    figure = figures.pictures(
        [[study.images[row] for row in chosen] for chosen in rows.values()],
        list(rows),
        [[study.audit["image"][row] for row in chosen] for chosen in rows.values()],
        width=6,
    )
    caption = "" if study.published else "own_random_images"
    return figures.drawn(figure, study.figures, "random_images", pixels=True, caption=caption)


def masks(study: Study) -> str:
    """Return an image of each class with its mask, and what the mask leaves.

    Nothing where no image has one.
    """
    masked = study.usable.index[study.masked_rows[study.usable.index]]
    first = {
        name: next((row for row in rows if row in masked), None)
        for name, rows in study.examples.items()
    }
    first = {name: row for name, row in first.items() if row is not None}
    if not first:
        return ""
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
    """Return the share of images that their lung masks cover; nothing where there are none."""
    if not study.has_masks:
        return ""
    area = study.table("useful_area").drop(columns="grey_masks")
    shares = dict.fromkeys(area.columns.drop(["class", "images"]), page.share)
    table = page.table(
        area,
        {"images": page.count} | shares,
        TABLES["useful_area"],
        {"q25": "25 %", "q75": "75 %"},
    )
    masked = study.usable.dropna(subset="useful_area")
    figure = dataset_figures.useful_area(masked, study.classes)
    drawn = figures.drawn(figure, study.figures, "useful_area")
    return facts(study, "mean-useful-area") + table + drawn


def classes(study: Study) -> str:
    """Return the number of images of each class."""
    rows = study.table("classes")
    figure = dataset_figures.counts(
        rows[rows["class"].isin(study.classes)],
        "class",
        "Images per class",
        figures.colours_of(study.classes),
    )
    drawn = figures.drawn(figure, study.figures, "classes")
    return facts(study, "class-count", "class-share") + drawn


def sources(study: Study) -> str:
    """Return the number of images from each source, and of which classes they are.

    Nothing of other data than the study's where no source is known.
    """
    if not (study.published or study.has_sources):
        return ""
    shares = dataset_figures.counts(study.table("sources"), "source", "Images per source")
    by_class = dataset_figures.class_by_source(study.table("class_by_source"))
    return "".join(
        [
            facts(study, "sources", "source-share", "source-count"),
            figures.drawn(
                shares, study.figures, "sources", caption="" if study.published else "own_sources"
            ),
            figures.drawn(by_class, study.figures, "class_by_source"),
        ]
    )


def defects(study: Study) -> str:
    """Return errors of the metadata, duplicates, defects, and what looks wrong."""
    errors = study.table("metadata_errors")
    kinds = errors.groupby(["class", "error"]).size().rename("rows").reset_index()
    agreement = ""
    if study.published:  # others may have no metadata
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


def _listed(
    table: pd.DataFrame,
    formats: Mapping[str, Callable],
    caption: str,
    names: Mapping[str, str] | None = None,
    most: int = FEW,
) -> str:
    """Return a short table whole, and the ``most`` first rows of a long one, folded."""
    table = page.dashed(table)
    if not len(table):
        return page.note(f"{caption} None.")
    if len(table) <= most:
        return page.table(table, formats, caption, names)
    first = page.table(table.head(most), formats, names=names)
    return page.captioned(caption) + page.folded(f"the first {most} of {len(table):,}", first)


def grey_levels(study: Study) -> str:
    """Return grey levels of an image of each class, and of the classes."""
    rows = [chosen[0] for chosen in study.examples.values()]
    masks = study.has_masks
    examples = dataset_figures.images_with_histograms(
        [study.images[row] for row in rows],
        [study.masked(row) for row in rows] if masks else [],
        study.histograms[rows],
        [study.audit["image"][row] for row in rows],
    )
    means = dataset_figures.histograms(
        study.histograms[study.usable.index], study.usable["class"], study.classes, masks=masks
    )
    caption = "" if masks else "own_images_with_histograms"
    return figures.drawn(
        examples, study.figures, "images_with_histograms", pixels=True, caption=caption
    ) + figures.drawn(means, study.figures, "histograms")


def intensity(study: Study) -> str:
    """Return mean and spread of the grey levels by class, whole and inside the lungs."""
    rows = study.table("intensity")
    if not study.published:
        rows = rows[rows["images"] > 0]
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
    regions = ["whole", "lungs"] if study.has_masks else ["whole"]
    if len(study.classes) <= BESIDE:
        rows = [list(means[:, i]) for i in range(len(regions))]
        figure = figures.pictures(rows, regions, heads=study.classes, width=7.5)
    else:
        starts = range(0, len(study.classes), BESIDE)
        parts_of = [
            (slice(start, start + BESIDE), i) for start in starts for i in range(len(regions))
        ]
        figure = figures.pictures(
            [list(means[part, i]) for part, i in parts_of],
            [regions[i] for _, i in parts_of],
            [study.classes[part] for part, _ in parts_of],
            width=7.5,
        )
    parts = ", whole and masked" if study.has_masks else ""
    caption = "" if study.published else "own_mean_images"
    return figures.drawn(
        figure, study.figures, "mean_images", pixels=True, caption=caption, parts=parts
    )


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
