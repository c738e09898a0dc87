"""All runs of the project: their accuracies, how they were trained, and by which protocol."""

from collections.abc import Callable

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.report import figures, page, result_figures, run_tables
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import KEY, Study
from pulmoscan.results.selection import RUN

MANY = 9  # trainings in one figure: as many as can be told apart on a page
NO_RUN = "No run was made with this configuration."
MEASURES = ("precision", "recall", "specificity", "f1")
COUNTS = ("support", "tp", "fn", "fp", "tn")


def accuracies(study: Study) -> str:
    """Return the accuracies of all runs, of each training, and which were not made."""
    made = study.made
    parts = []
    if len(made):
        parts.append(run_tables.summary(made, common=study.published))
    if len(made) > len(study.first_seed):
        listed = run_tables.trainings(made)
        parts.append(page.folded(f"Each of the {len(made)} trainings", listed))
    if len(made) < len(study.runs):
        parts.append(run_tables.not_made(study.runs))
    return "".join(parts)


def training_curves(study: Study) -> str:
    """Return accuracy and loss over the epochs of the first networks."""
    return _first(study, "history", "training_curves", result_figures.training_curves)


def confusion_matrices(study: Study) -> str:
    """Return the confusion matrices of the first runs."""
    return _first(study, "confusion", "confusion_matrices", result_figures.confusion_matrices)


def _first(study: Study, table: str, name: str, figure: Callable) -> str:
    """Return a figure of what the first trainings have in a gathered table, if any has."""
    parts = of_first_seed(study, table)
    if not parts:
        return ""
    few = dict(list(parts.items())[:MANY])
    more = f" The first {MANY} of {len(parts)} runs." if len(parts) > MANY else ""
    return figures.drawn(figure(few), study.figures, name, more=more)


def of_first_seed(study: Study, table: str) -> dict[str, pd.DataFrame]:
    """Return by name what the trainings with the first seed have in a gathered table.

    A classifier has no history, for example, and is left out there.
    """
    parts = study.by_training(table)
    rows = study.first_seed
    keys = rows[KEY].itertuples(index=False, name=None)
    return {name: parts[key] for name, key in zip(rows["name"], keys, strict=True) if key in parts}


def per_class(study: Study) -> str:
    """Return the test set class by class, one folded table per run."""
    formats = dict.fromkeys(MEASURES, page.share) | dict.fromkeys(COUNTS, page.count)
    names = {} if study.published else {"recall": "sensitivity"}
    return "".join(
        page.folded(
            TABLES["per_class"].format(name=name),
            page.table(
                rows.loc[rows["split"] == "test", ["label", *MEASURES, *COUNTS]],
                formats,
                names=names,
            ),
        )
        for name, rows in of_first_seed(study, "per_class").items()
    )


def positives(study: Study) -> str:
    """Return how well the positive of two labels is found; nothing where no run has one."""
    made = study.made[study.made["positive"] != ""]
    if not len(made):
        return ""
    several = made["positive"].nunique() > 1
    named = [*runs.NAME, "positive"] if several else runs.NAME
    said = "" if several else page.note(f"Positive: {page.escaped(made['positive'].iloc[0])}.")
    return said + run_tables.sensitivity(made, study.gathered("per_class"), named)


def trained(study: Study) -> str:
    """Return what was trained in all runs."""
    if not len(study.made):
        return page.note(NO_RUN)
    return run_tables.trained(study.made, study.by_training("stages"))


def protocol(study: Study) -> str:
    """Return the published protocol beside the recommended one, on validation and test images."""
    rows = study.table("protocol")
    if not len(rows):
        return page.note(
            "No selected run has a recommended protocol: no model is like another, in stages."
        )
    parts = []
    for metric, name in (("val_accuracy", "validation"), ("test_accuracy", "test")):
        of_metric = rows[rows["metric"] == metric]
        parts.append(f"<h4>Accuracy on the {name} images</h4>")
        parts.append(run_tables.protocol(of_metric, study.samplings))
        ran = of_metric[of_metric["status"] == RUN]
        if len(ran):
            figure = result_figures.protocol(ran)
            parts.append(figures.drawn(figure, study.figures, f"protocol_{name}"))
    return "".join(parts)
