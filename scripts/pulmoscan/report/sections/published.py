"""The published tables, each beside what the runs of this project give."""

import pandas as pd

from pulmoscan.report import figures, page, result_figures, run_tables, tables
from pulmoscan.report.study import KEY, Study
from pulmoscan.results.selection import RUN

CONFUSION_COLUMNS = 4


def compared(study: Study, name: str) -> str:
    """Return a published table, and how far the source alone would go on the same images."""
    rows = study.table(name)
    return tables.compared(rows, study.samplings) + _source_oracle(study, rows)


def _source_oracle(study: Study, rows: pd.DataFrame) -> str:
    """Return the accuracy of the source oracle on the samplings that a table is about."""
    oracle = study.table("source_oracle")
    samplings = set(rows["variant"].map(study.samplings))
    chosen = oracle[oracle["sampling"].isin(samplings) & oracle["accuracy"].notna()]
    if (rows["split"] != "").any():  # else no run of the table is in the run table
        splits = study.selection.loc[study.selection["split"].isin(rows["split"]), "split_name"]
        chosen = chosen[chosen["split_name"].isin(splits)]
    several = chosen["split_name"].nunique() > 1
    stated = [
        (f"{row.split_name}: " if several else "")
        + f"{row.sampling} {page.with_interval(page.share(row.accuracy), row.low, row.high)}"
        for row in chosen.itertuples()
    ]
    if not stated:
        return ""
    return page.note(
        "<b>Source oracle</b>, the majority class of the image's source, test images: "
        + page.escaped("; ".join(stated))
    )


def beside(study: Study, name: str, metric: str = "val_accuracy") -> str:
    """Return the runs of a table as a figure, where any of them was made."""
    rows = study.table(name)
    rows = rows[(rows["metric"] == metric) & (rows["status"] == RUN)]
    if not len(rows):
        return ""
    figure = result_figures.beside_published(rows)
    return figures.drawn(figure, study.figures, f"{name}_{metric}")


def trained(study: Study, name: str) -> str:
    """Return what was trained in the runs of a table, folded; nothing where none was made."""
    made = study.made_for(name)
    if not len(made):
        return ""
    content = run_tables.trained(made, study.by_training("stages"))
    return page.folded("What was trained in these runs", content)


def synthesis(study: Study) -> str:
    """Return the synthesis of the results, as a table and a figure."""
    rows = study.table("synthesis")
    parts = [compared(study, "synthesis")]
    if (rows["status"] == RUN).any():
        figure = result_figures.beside_published(rows)
        parts.append(figures.drawn(figure, study.figures, "synthesis"))
    parts.append(
        page.note(
            "<b>Weaker than it reads.</b> These are accuracies of the set that also stopped the "
            f"training. {_best(rows)}Most differences between neighbouring rows are "
            "inside the noise, and there is one training per row. Layers were unfrozen at a "
            "learning rate of 0.001 without warming up the head, which may be why deeper "
            "unfreezing often did worse: see <a href='#protocol'>what the protocol itself "
            "cost</a>.",
            "wrong",
        )
    )
    return "".join(parts)


def _best(rows: pd.DataFrame) -> str:
    """Return a sentence about the best published figure, nothing where no row has one."""
    figures = pd.to_numeric(rows["published"], errors="coerce")
    if figures.isna().all():
        return ""
    best = rows.loc[figures.idxmax()]
    return (
        f"The best of them, {page.share(float(best['published']), 0)}, has the interval "
        f"{page.share(best['published_low'])} to {page.share(best['published_high'])}. "
    )


def dataset_size(study: Study) -> str:
    """Return accuracy by the number of images, as a table and a figure."""
    figure = result_figures.dataset_size(study.table("dataset_size"))
    drawn = figures.drawn(figure, study.figures, "dataset_size")
    return compared(study, "dataset_size") + drawn


def histogram_binary(study: Study) -> str:
    """Return sick or normal from histograms: tables, and the published and our matrices."""
    made = study.made_for("histogram_binary")
    parts = [compared(study, "histogram_binary")]
    if len(made):
        parts.append(run_tables.sensitivity(made, study.gathered("per_class")))
    figure = result_figures.confusion_matrices(_binary_matrices(study, made), CONFUSION_COLUMNS)
    parts.append(figures.drawn(figure, study.figures, "histogram_binary"))
    return "".join(parts)


def _binary_matrices(study: Study, made: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return by name the confusion tables of the study, then those of trainings, first seed."""
    rows = study.table("histogram_binary")
    printed = {
        f"published/{model}": matrix
        for model, part in rows.groupby("model", sort=False)
        if len(matrix := result_figures.published_matrix(part))
    }
    confusion = study.by_training("confusion")
    first = made[made["seed"] == study.config["seeds"][0]]
    several = first["split_name"].nunique() > 1
    own = {}
    for run in first[[*KEY]].itertuples():
        split = f"{run.split_name}: " if several else ""
        own[f"reproduced/{split}{run.model}"] = confusion[tuple(run)[1:]]
    return printed | own
