"""Radiographs from elsewhere: what the runs make of them, beside their own test images."""

from collections.abc import Iterator

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.report import external_sentences, figures, page, result_figures
from pulmoscan.report.captions import TABLES
from pulmoscan.report.sentences import counted
from pulmoscan.report.study import Study
from pulmoscan.results.external import OF_RUN
from pulmoscan.results.selection import RUN
from pulmoscan.results.weighted import ACCURACY, BALANCED, SENSITIVITY

SAID = 6  # runs whose results on a set are put into words at once
DRAWN = 48  # rows of the figure, about
LISTED = 300  # rows of the table of all measures
COUNTS = ("folds", "seeds", "n", "scored", "copies", "images", "groups")
SIDES = {
    "own test images": ("internal", "internal_low", "internal_high", figures.INK),
    "external set": ("external", "low", "high", figures.REFERENCE),
}
LIMITS = (
    "A set comes from one place, which took, chose and labelled its radiographs in its own way. A "
    "difference says how a run does there as it is; whether for other scanners, other patients or "
    "another meaning of the labels, one set cannot tell, and the next may give another difference."
)
ONE_LABEL = (
    "What is recognised in a set with one label ({sets}) says little by itself: a run that gives "
    "this label to everything recognises all. How often other images are given it is the other "
    "half."
)


def elsewhere(study: Study) -> str:
    """Return what the runs make of the external sets in words, as a figure and in tables.

    Nothing without any set.
    """
    if not study.config.get("external"):
        return ""
    rows = study.table("external")
    several = rows["split"].nunique() > 1
    rows["run"] = [
        (f"{row.split}: " if several else "") + runs.name(row.model, row.unfreeze, row.variant)
        for row in rows.itertuples()
    ]
    made, positive = rows[rows["status"] == RUN], _positive(study)
    said = [_said(name, of_set, positive) for name, of_set in made.groupby("set", sort=False)]
    return "".join(
        [
            *said,
            _limits(made),
            _drawn(study, made, positive),
            _accuracies(made),
            _measures(made),
            _not_run(rows[rows["status"] != RUN]),
        ]
    )


def _positive(study: Study) -> dict[tuple, str]:
    """Return the positive label of each run, "" where it does not have two labels."""
    made = study.made.drop_duplicates(OF_RUN)
    keys = made[OF_RUN].itertuples(index=False, name=None)
    return dict(zip(keys, made["positive"], strict=True))


def _of_runs(rows: pd.DataFrame, positive: dict[tuple, str]) -> Iterator[tuple]:
    """Yield the name of each run, its rows, and its positive label."""
    for key, part in rows.groupby(OF_RUN, sort=False):
        yield part["run"].iloc[0], part, positive.get(key, "")


def _said(name: str, rows: pd.DataFrame, positive: dict[tuple, str]) -> str:
    """Return a few sentences for each run on one set; of many runs, the rest is folded."""
    items = [
        f"<li>{page.escaped(run)}: {page.escaped(external_sentences.of_run(part, label))}</li>"
        for run, part, label in _of_runs(rows, positive)
    ]
    size = external_sentences.size(rows)
    shown = f"<p><b>{page.escaped(name)}</b>: {size}</p><ul>{''.join(items[:SAID])}</ul>"
    if rest := items[SAID:]:
        what = counted(len(rest), "more run") + f" on {name}"
        shown += page.folded(what, f"<ul>{''.join(rest)}</ul>")
    return shown


def _limits(made: pd.DataFrame) -> str:
    """Return what the sets cannot say."""
    if not len(made):
        return ""
    recognised = made[(made["measure"] == SENSITIVITY) & made["external"].notna()]
    labels = recognised.groupby("set", sort=False)["label"].nunique()
    single = page.escaped(", ".join(labels.index[labels == 1]))
    return page.note(LIMITS + (f" {ONE_LABEL.format(sets=single)}" if single else ""))


def _drawn(study: Study, made: pd.DataFrame, positive: dict[tuple, str]) -> str:
    """Return images that are recognised, and those of other labels not taken for the finding."""
    parts = []
    for name, of_set in made.groupby("set", sort=False):
        for run, part, label in _of_runs(of_set, positive):
            known = part[part["external"].notna()]
            recognised = known[known["measure"] == SENSITIVITY]
            spared = external_sentences.spared(known, label)
            what = f"{name}, {run}: "
            parts.append(recognised.assign(what=what + recognised["label"] + " recognised"))
            parts.append(spared.assign(what=what + "not called " + spared["label"]))
    if not parts or not len(rows := pd.concat(parts)):
        return ""
    shown = rows.groupby("set", sort=False).head(max(1, DRAWN // rows["set"].nunique()))
    more = f" The first {len(shown)} of {len(rows)}." if len(shown) < len(rows) else ""
    figure = result_figures.beside(
        shown, shown["what"], SIDES, 0.3, x="share of images with 95 % interval"
    )
    return figures.drawn(figure, study.figures, "external", more=more)


def _accuracies(made: pd.DataFrame) -> str:
    """Return one row per set and run."""
    rows = []
    for (name, run), part in made.groupby(["set", "run"], sort=False):
        first = part.iloc[0]
        row = {"set": name, "run": run, "classes": first["shared"] or "–"}
        row |= {column: first[column] for column in ("folds", "seeds", "n", "copies")}
        scored = part.loc[part["measure"] == ACCURACY, "images"]
        row["scored"] = scored.fillna(0).sum()
        for measure, word in ((ACCURACY, ""), (BALANCED, "balanced, ")):
            cells = next(map(_cells, part[part["measure"] == measure].itertuples()), {})
            row |= {word + column: cell for column, cell in cells.items()}
        rows.append(row)
    if not rows:
        return ""
    data = pd.DataFrame(rows).fillna("–")
    if (data["folds"] == 1).all():
        data = data.drop(columns="folds")
    return _table(data, TABLES["external"], {"n": "images"})


def _measures(made: pd.DataFrame) -> str:
    """Return the measures of every label, folded."""
    rows = made[(made["label"] != "") & made["external"].notna()]
    if not len(rows):
        return ""
    columns = ["set", "run", "measure", "label", "class", "images", "groups"]
    cells = pd.DataFrame(map(_cells, rows.itertuples()), rows.index)
    data = pd.concat([rows[columns], cells, rows[["reason"]]], axis=1).replace({"auc": "AUC"})
    empty = [name for name in ("class", "reason") if (data[name] == "").all()]
    data = page.dashed(data.drop(columns=empty))
    more = f" (the first {LISTED} of {len(data):,} rows)" if len(data) > LISTED else ""
    shown = _table(data.head(LISTED), TABLES["external_measures"])
    return page.folded(f"Sensitivity, specificity and AUC of every label{more}", shown)


def _cells(row: tuple) -> dict[str, str]:
    """Return own value, that of the set, and the difference of a measure, in per cent."""
    ends = (row.difference, row.difference_low, row.difference_high)
    return {
        "own test images": page.percent(row.internal, row.internal_low, row.internal_high),
        "external set": page.percent(row.external, row.low, row.high),
        "points": page.percent(*ends, sign="+"),
    }


def _not_run(rows: pd.DataFrame) -> str:
    """Return which runs could not predict a set, and why."""
    if not len(rows):
        return ""
    return page.table(
        rows[["set", "run", "reason"]], caption=TABLES["external_not_run"], wide=["reason"]
    )


def _table(data: pd.DataFrame, caption: str, names: dict[str, str] | None = None) -> str:
    numbers = [name for name in data if name.endswith((*SIDES, "points"))]
    formats = dict.fromkeys(numbers, page.escaped)
    formats |= dict.fromkeys(COUNTS, page.count)
    return page.table(data, formats, caption, names, wide=["reason"])
