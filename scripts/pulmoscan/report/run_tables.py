"""Tables of the runs: their accuracies, what was trained, searches, and the two protocols.

See `sentences` for the words in them, and `captions` for what is said above them.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.report import page, sentences
from pulmoscan.report.captions import TABLES
from pulmoscan.report.study import KEY, Training
from pulmoscan.report.tables import run_columns, several_splits, told_once, without_empty
from pulmoscan.results import published
from pulmoscan.results.selection import RUN

COUNTS = ["tp", "fn", "fp", "tn"]
TRAINED = ["trained_layers", "first_trained", "trainable_parameters", "parameters", "cached_bytes"]
SEARCH = ["split_name", "model", "variant"]
NAMES = {"split_name": "split", "unfreeze": "unfrozen"}  # headings
NO_CLASSES = pd.DataFrame()  # accuracies need no measures by class
BEST_TRIALS = 5


def protocol(rows: pd.DataFrame, samplings: Mapping[str, str]) -> str:
    """Return the published protocol beside the recommended one, for one metric.

    Args:
        rows: those of ``protocol.tsv``; the ones that were not run are folded, with reasons.
        samplings: the sampling of each variant.
    """
    ran = rows["status"] == RUN
    splits = several_splits(rows)
    parts = [page.note("None of these pairs of runs was made.")]
    if ran.any():
        parts = [_protocols(rows[ran].reset_index(drop=True), samplings, splits)]
    if not ran.all():
        others = rows[~ran]
        columns = run_columns(others, splits) | {
            "Recommended": others["recommended_model"],
            "Published": others["published"].where(others["published"] != "", "–"),
            "Not run": others["reason"],
        }
        listed = page.table(without_empty(pd.DataFrame(columns)), wide=["Not run"])
        parts.append(page.folded(f"{len(others)} of {len(rows)} pairs without both runs", listed))
    return "".join(parts)


def _protocols(rows: pd.DataFrame, samplings: Mapping[str, str], splits: bool) -> str:
    def column(*names: str, sign: str = "") -> list[str]:
        return [
            page.percent(*values, sign=sign) for values in rows[list(names)].itertuples(index=False)
        ]

    rows["published"] = pd.to_numeric(rows["published"], errors="coerce")
    notes = [sentences.protocol_note(row, samplings) for _, row in rows.iterrows()]
    notes, below = told_once(notes, most=0, length=0)
    recommended = ("recommended", "recommended_low", "recommended_high", "recommended_sd")
    points = ("difference", "difference_low", "difference_high", "difference_sd")
    data = pd.DataFrame(
        run_columns(rows, splits)
        | {
            "Published": column("published", "published_low", "published_high"),
            "Published protocol": column("reproduced", "low", "high", "sd"),
            "Recommended": column(*recommended),
            "Points": column(*points, sign="+"),
            "Trainings": rows["pairs"],
            "Trained as": rows["recommended_model"],
            "Note": notes,
        }
    )
    caption = TABLES["protocol"]
    if data["Variant"].nunique() == 1:
        caption += f" Variant: {page.escaped(data['Variant'].iloc[0])}."
        data = data.drop(columns="Variant")
    if data["Trainings"].nunique() == 1:
        caption += f" Trainings of each: {data['Trainings'].iloc[0]:.0f}."
        data = data.drop(columns="Trainings")
    numbers = ("Published", "Published protocol", "Recommended", "Points")
    formats = dict.fromkeys(numbers, page.escaped) | {"Trainings": page.count}
    return page.table(without_empty(data), formats, caption) + below


def summary(made: pd.DataFrame, *, common: bool = True) -> str:
    """Return the accuracies of runs, one row each: means over trainings, intervals and spread.

    The interval is the Wilson one of the mean on the images of one evaluation, as in the other
    tables.

    Args:
        made: rows of `Study.made`.
        common: whether to show the accuracy on the images that runs have in common.
    """
    rows = [_summed(part) for _, part in made.groupby(runs.KEY, sort=False)]
    data = pd.DataFrame(rows)
    caption = TABLES["runs" if common else "own_runs"]
    if not common:
        data = data.drop(columns="common")
    for column in ("split", "folds", "seeds"):
        if data[column].nunique() == 1:  # said once, or not at all
            value = data[column].iloc[0]
            if column == "seeds" or (column == "folds" and value > 1):
                caption += f" {column.capitalize()}: {value}."
            data = data.drop(columns=column)
    return page.table(
        data,
        dict.fromkeys(("validation", "test", "images"), page.escaped)
        | {"common": lambda value: f"{100 * value:.1f}"}
        | dict.fromkeys(("epochs", "seconds", "folds", "seeds"), page.count),
        caption,
        NAMES,
    )


def _summed(part: pd.DataFrame) -> dict[str, object]:
    """Return the row of one run in `summary`."""
    row: dict[str, object] = part[runs.KEY].iloc[0].to_dict()
    row["folds"] = part["split_name"].nunique()
    for name, metric in (("validation", "val_accuracy"), ("test", "test_accuracy")):
        measured = published.measure(metric, part, NO_CLASSES)
        row[name] = "–"
        if measured:
            row[name] = page.percent(measured.mean, *measured.interval, measured.sd)
    row["common"] = part["test_accuracy_common"].mean()
    sizes = (part[name].iloc[0] for name in ("n_train", "n_validation", "n_test"))
    row["images"] = "/".join(map(page.count, sizes))
    row["epochs"] = part["epochs"].mean()
    row["seconds"] = part["seconds"].mean()
    row["seeds"] = part["seed"].nunique()
    return row


def trainings(made: pd.DataFrame) -> str:
    """Return the accuracies of each training, one row each; ``made`` are rows of `Study.made`."""
    shares = ["val_accuracy", "test_accuracy", "macro_f1"]
    data = made[[*_named(made, "split_name"), "seed", *shares, "epochs", "seconds"]]
    return page.table(
        data,
        dict.fromkeys(shares, page.share) | {"epochs": page.count, "seconds": page.decimal},
        names={name: name.replace("_", " ") for name in data} | NAMES,
    )


def not_made(selected: pd.DataFrame) -> str:
    """Return which trainings were not made, with reasons; ``selected`` are rows of `Study.runs`."""
    others = selected[selected["status"] != RUN]
    data = others[[*_named(others, "split_name"), "seed", "reason"]]
    return page.table(data, caption=TABLES["not_made"], names=NAMES, wide=["reason"])


def trained(made: pd.DataFrame, stages: Mapping[Training, pd.DataFrame]) -> str:
    """Return what was trained in each run, one row each.

    Trainings of a run differ in their epochs only, so the first one speaks for all.

    Args:
        made: rows of `Study.made`.
        stages: the stages of each network by training.
    """
    rows = made.drop_duplicates(runs.KEY)
    if rows["parameters"].isna().all():
        return page.note("No network was trained in these runs.")
    keys = rows[KEY].itertuples(index=False, name=None)
    data = rows[_named(rows, "split")].assign(
        layers=rows["trained_layers"],
        first=rows["first_trained"].where(rows["first_trained"] != "", "–"),
        weights=[
            f"{page.count(part)} of {page.count(whole)}" if pd.notna(part) else "–"
            for part, whole in zip(rows["trainable_parameters"], rows["parameters"], strict=True)
        ],
        cached=["–" if pd.isna(size) else f"{size / 1e6:,.1f} MB" for size in rows["cached_bytes"]],
        stages=[sentences.stages(stages[key]) if key in stages else "–" for key in keys],
    )
    return page.table(
        data,
        {"layers": page.count} | dict.fromkeys(("weights", "cached"), page.escaped),
        names=NAMES
        | {
            "layers": "layers trained",
            "first": "from",
            "weights": "weights trained",
            "cached": "kept",
        },
        wide=["stages"],
    )


def sensitivity(
    made: pd.DataFrame, per_class: pd.DataFrame, named: Sequence[str] = ("model",)
) -> str:
    """Return how well trainings find the positive of two labels on the test images, one row each.

    One whose labels are others has dashes.

    Args:
        made: rows of `Study.made`.
        per_class: gathered.
        named: the columns that tell the runs apart.
    """
    rates = ["recall", "specificity"]
    test = per_class.loc[per_class["split"] == "test", [*KEY, "label", *rates, *COUNTS]]
    test = test.rename(columns={"label": "positive"})
    rows = made.merge(test, on=[*KEY, "positive"], how="left")
    if rows["split_name"].nunique() == 1:
        rows = rows.drop(columns="split_name")
    shown = ["split_name", *named, "seed", "threshold", "test_accuracy", *rates, *COUNTS]
    return page.table(
        rows[[name for name in shown if name in rows]],
        dict.fromkeys(("test_accuracy", *rates), page.share)
        | dict.fromkeys(COUNTS, page.count)
        | {"threshold": page.plain},
        TABLES["sensitivity"],
        NAMES
        | {"test_accuracy": "accuracy", "recall": "sensitivity"}
        | {name: name.upper() for name in COUNTS},
    )


def searches(found: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Return the searches, one row each, with the best trial of each.

    Args:
        found: one row per setting that a search found, gathered.
        trials: one row per trial, gathered.
    """
    rows = []
    for key, part in trials.groupby(SEARCH, sort=False):
        of_search = found[(found[SEARCH] == list(key)).all(axis=1)]
        best = part[part["best"]].iloc[0]
        rows.append(
            dict(zip(SEARCH, key, strict=True))
            | {
                "trials": len(part),
                "epochs": part["epochs"].sum(),
                "seconds": part["seconds"].sum(),
                "accuracy": best["val_accuracy"],
                "found": "; ".join(f"{row.setting} {row.value}" for row in of_search.itertuples()),
            }
        )
    data = pd.DataFrame(rows)
    return page.table(
        data.drop(columns="split_name") if data["split_name"].nunique() == 1 else data,
        dict.fromkeys(("trials", "epochs"), page.count)
        | {"seconds": page.decimal, "accuracy": page.share},
        TABLES["searches"],
        NAMES,
        wide=["found"],
    )


def best_trials(name: str, trials: pd.DataFrame) -> str:
    """Return the best trials of one search, which is called ``name``, with their settings."""
    first = trials.sort_values("val_accuracy", ascending=False, kind="stable").head(BEST_TRIALS)
    values = pd.DataFrame(list(map(json.loads, first["hyperparameters"])), index=first.index)
    data = first[["trial", "epochs", "val_accuracy"]]
    values = values.rename(columns={name: f"{name} (setting)" for name in data})
    data = pd.concat([data, values], axis=1)
    formats: dict[str, Callable] = dict.fromkeys(data.select_dtypes("number"), page.plain)
    return page.table(
        data,
        formats | {"val_accuracy": page.share},
        TABLES["trials"].format(name=page.escaped(name), best=len(first), all=len(trials)),
        {column: column.replace("_", " ") for column in data} | {"val_accuracy": "accuracy"},
    )


def _named(rows: pd.DataFrame, split: str) -> list[str]:
    """Return the columns that name runs, the column ``split`` only where there are several."""
    return [split, *runs.NAME] if rows[split].nunique() > 1 else runs.NAME
