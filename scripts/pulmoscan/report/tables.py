"""The tables of the report's page, as HTML: what ``compare.py`` and ``dataset_facts.py`` wrote."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data.layout import POSITIVE
from pulmoscan.report import page
from pulmoscan.results import metrics
from pulmoscan.results.published import SETTING, number

COUNTS = ("TP", "FN", "FP", "TN")
TRAINED = [
    "trained_layers",
    "first_trained",
    "trainable_parameters",
    "parameters",
    "cached_bytes",
    "stages",
]
NAMES = {"unfreeze": "unfrozen", "recommended_model": "recommended"}
EXCELLENT = 0.90  # the study marks accuracies above this in green


def compared(rows: pd.DataFrame) -> str:
    """Return a table of ``compare``: the rows that were run, then the others, folded, with reasons.

    Accuracies at or above 90 % are marked as in the study.
    """
    ran = rows["status"] == "run"
    parts = []
    if ran.any():
        parts.append(_beside(rows[ran]))
    else:
        parts.append(page.note("None of these runs was made with this configuration."))
    if not ran.all():
        reasons = rows.loc[~ran, "status"].str.removeprefix("not run: ").value_counts()
        summary = "; ".join(f"{number_} {reason}" for reason, number_ in reasons.items())
        what = f"{(~ran).sum()} of {len(rows)} rows without a run ({summary})"
        parts.append(page.folded(what, _beside(rows[~ran])))
    return "".join(parts)


def _beside(rows: pd.DataFrame) -> str:
    def shown(value: float, metric: str) -> str:
        return page.decimal(value, 1).removesuffix(".0") if metric in COUNTS else page.share(value)

    def difference(value: float, metric: str) -> str:
        if math.isnan(value):
            return "–"
        return f"{value:+.1f}" if metric in COUNTS else f"{100 * value:+.1f}"

    rows = rows.reset_index(drop=True)
    printed = rows["published"].fillna("").astype(str)
    columns = {
        "Model": rows["model"],
        "Unfrozen": rows["unfreeze"],
        "Variant": rows["variant"],
        "Metric": rows["metric"].map(_metric),
        "Published [95 %]": [
            page.with_interval(_as_printed(text, metric, shown) or "–", low, high)
            for text, metric, low, high in zip(
                printed, rows["metric"], rows["published_low"], rows["published_high"], strict=True
            )
        ],
        "Reproduced [95 %]": [
            page.with_interval(shown(value, metric), low, high)
            for value, metric, low, high in zip(
                rows["reproduced"], rows["metric"], rows["low"], rows["high"], strict=True
            )
        ],
        "Points": list(map(difference, rows["difference"], rows["metric"])),
        "Seeds": rows["n"],
        "SD": [page.share(value) for value in rows["sd"]],
        "Note": rows["note"].astype(object).fillna(""),
    }
    columns["Note"], below = _told_once(columns["Note"])
    if (rows["status"] != "run").all():
        for column in ("Reproduced [95 %]", "Points", "Seeds", "SD"):
            del columns[column]
        columns["Not run"] = rows["status"].str.removeprefix("not run: ")
    data = pd.DataFrame(columns)
    marks = pd.DataFrame("", index=data.index, columns=data.columns)
    accuracy = rows["metric"].str.endswith("accuracy")
    for column, values in (
        ("Published [95 %]", printed.map(number)),
        ("Reproduced [95 %]", rows["reproduced"]),
    ):
        if column in marks:
            marks.loc[accuracy & (values >= EXCELLENT), column] = "high"
    numbers = [name for name in data.columns if name.endswith("%]") or name in ("Points", "SD")]
    formats: dict[str, Callable] = dict.fromkeys(numbers, page.escaped)
    if "Seeds" in data:
        formats["Seeds"] = page.count
    caption = ""
    if data["Metric"].nunique() == 1:  # said once, it leaves room for the notes
        metric = data["Metric"][0]
        caption = page.escaped(metric[:1].upper() + metric[1:]) + "."
        data = data.drop(columns="Metric")
    shown = page.table(
        _without_empty(data), formats, caption, classes=marks, wide=("Note", "Not run")
    )
    return shown + below


def _as_printed(text: str, what: str, shown: Callable[[float, str], str]) -> str:
    """Return a published figure as ``shown`` writes such numbers; a bound keeps its sign.

    What is no number stays as it is. ``what`` says of which metric or fact it is.
    """
    sign = text[:1] if text[:1] in ("<", ">") else ""
    value = number(text.removeprefix(sign))
    return text if math.isnan(value) else f"{sign} {shown(value, what)}".strip()


def _metric(name: str) -> str:
    """Return the name of a metric in words; that of a class keeps its spelling."""
    what, slash, label = name.partition("/")
    return what.replace("val_", "validation ").replace("_", " ") + slash + label


def _told_once(notes: pd.Series, most: int = 2, length: int = 30) -> tuple[pd.Series, str]:
    """Return notes with a letter in place of some, and those below each other.

    A note is replaced that has more than ``length`` characters and stands in more than ``most``
    rows.
    """
    counts = notes[notes.str.len() > length].value_counts(sort=False)
    often = dict(zip(counts.index[counts > most], "abcdefghijklmnopqrstuvwxyz", strict=False))
    below = "".join(
        f'<p class="report-caption">({letter}) {page.escaped(text)}</p>'
        for text, letter in often.items()
    )
    return notes.map(lambda text: f"({often[text]})" if text in often else text), below


def settings(rows: pd.DataFrame) -> str:
    """Return the table of ``compare`` for searches: published and found settings, a row each."""

    def plain(value: object) -> str:
        text = "" if pd.isna(value) else str(value)
        return f"{number(text):g}" if not math.isnan(number(text)) else text or "–"

    def marked(value: object) -> str:
        return "" if pd.isna(value) else str(value)

    reasons = rows["status"].str.removeprefix("not run: ").replace("run", "")
    data = pd.DataFrame(
        {
            "Model": rows["model"],
            "Unfrozen": rows["unfreeze"],
            "Variant": rows["variant"],
            "Setting": rows["metric"].str.removeprefix(SETTING).str.replace("_", " "),
            "Published": rows["published"].map(plain),
            "Found": rows["reproduced"].map(plain),
            "Note": [
                "; ".join(filter(None, (reason, marked(note))))
                for reason, note in zip(reasons, rows["note"], strict=True)
            ],
        }
    ).sort_values("Model", kind="stable", key=lambda names: names.map(_order(names)))
    numbers = dict.fromkeys(("Published", "Found"), page.escaped)
    return page.table(_without_empty(data), numbers, wide=["Note"])


def protocol(rows: pd.DataFrame) -> str:
    """Return the published protocol beside the recommended one, for one metric, as a table.

    ``rows`` are those of ``protocol.tsv``; the ones that were not run are folded, with reasons.
    """
    ran = rows["status"] == "run"
    parts = [
        _protocols(rows[ran]) if ran.any() else page.note("None of these pairs of runs was made.")
    ]
    if not ran.all():
        others = rows.loc[~ran, [*runs.KEY, "recommended_model", "published", "status"]]
        others["status"] = others["status"].str.removeprefix("not run: ")
        listed = page.table(others, names=NAMES | {"status": "not run"}, wide=["status"])
        parts.append(page.folded(f"{len(others)} of {len(rows)} pairs without both runs", listed))
    return "".join(parts)


def _protocols(rows: pd.DataFrame) -> str:
    def column(name: str, low: str, high: str, sd: str = "", sign: str = "") -> list[str]:
        columns = [name, low, high] + ([sd] if sd else [])
        return [
            page.percent(*values, sign=sign) for values in rows[columns].itertuples(index=False)
        ]

    rows = rows.assign(published=pd.to_numeric(rows["published"], errors="coerce"))
    notes, below = _told_once(rows["note"].astype(object).fillna(""), most=0, length=0)
    data = pd.DataFrame(
        {
            "Model": rows["model"],
            "Unfrozen": rows["unfreeze"],
            "Variant": rows["variant"],
            "Published": column("published", "published_low", "published_high"),
            "Published protocol": column("reproduced", "low", "high", "sd"),
            "Recommended": column(
                *("recommended", "recommended_low", "recommended_high", "recommended_sd")
            ),
            "Points": column(
                *("difference", "difference_low", "difference_high", "difference_sd"), sign="+"
            ),
            "Seeds": rows["pairs"],
            "Trained as": rows["recommended_model"],
            "Note": notes,
        }
    )
    numbers = ("Published", "Published protocol", "Recommended", "Points")
    caption = "Per cent, ± standard deviation between seeds, [95 % interval]."
    if data["Variant"].nunique() == 1:
        caption += f" Variant: {page.escaped(data['Variant'].iloc[0])}."
        data = data.drop(columns="Variant")
    if data["Seeds"].nunique() == 1:
        caption += f" Seeds: {data['Seeds'].iloc[0]}."
        data = data.drop(columns="Seeds")
    formats = dict.fromkeys(numbers, page.escaped) | {"Seeds": page.count}
    return page.table(_without_empty(data), formats, caption) + below


def sensitivity(trainings: pd.DataFrame, per_class: Sequence[pd.DataFrame]) -> str:
    """Return how well trainings tell sick from normal on the test images, a row a training.

    ``trainings`` are rows of ``runs.tsv`` that were run, ``per_class`` the table of each,
    ``per_class.tsv``. One whose labels are others has dashes.
    """
    found = [
        table[(table["split"] == "test") & (table["label"] == POSITIVE)]
        .head(1)
        .reset_index(drop=True)
        .reindex([0])
        for table in per_class
    ]
    counts = ["tp", "fn", "fp", "tn"]
    columns = ["recall", "specificity", *counts]
    data = trainings[["model", "seed", "threshold", "test_accuracy"]].reset_index(drop=True)
    data[columns] = pd.concat(found)[columns].to_numpy()
    return page.table(
        data,
        dict.fromkeys(("test_accuracy", "recall", "specificity"), page.share)
        | dict.fromkeys(counts, page.count)
        | {"threshold": lambda value: f"{value:g}"},
        "Test images, every training. <i>Threshold</i>: the probability from which an image is "
        "called sick, where it is not simply the larger one.",
        {"test_accuracy": "accuracy", "recall": "sensitivity"}
        | {name: name.upper() for name in counts},
    )


def trained(trainings: pd.DataFrame) -> str:
    """Return what was trained in each run, a row each; ``trainings`` are rows of ``runs.tsv``.

    Seeds of a run differ in their epochs only, so the first one speaks for all.
    """
    rows = trainings.drop_duplicates(runs.KEY)
    rows = rows.reindex(columns=[*runs.KEY, *TRAINED]).astype(dict.fromkeys(TRAINED, object))
    if rows[TRAINED].isna().all(axis=None):
        return page.note("No network was trained in these runs.")
    data = rows[runs.KEY].assign(
        layers=rows["trained_layers"],
        first=rows["first_trained"].fillna("–"),
        weights=[
            f"{page.count(part)} of {page.count(whole)}"
            if pd.notna(part) and pd.notna(whole)
            else "–"
            for part, whole in zip(rows["trainable_parameters"], rows["parameters"], strict=True)
        ],
        cached=["–" if pd.isna(size) else f"{size / 1e6:,.1f} MB" for size in rows["cached_bytes"]],
        stages=rows["stages"].fillna("–"),
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


def summary(trainings: pd.DataFrame) -> str:
    """Return accuracies of runs, a row a run: means over seeds with their intervals and spread.

    ``trainings`` are rows of ``runs.tsv`` that were run. An interval is the Wilson one of the mean
    on the images of one evaluation, as in the other tables.
    """
    rows = []
    for key, part in trainings.groupby(runs.KEY, sort=False):
        row: dict[str, object] = dict(zip(runs.KEY, key, strict=True))
        for name, short in (("validation", "val"), ("test", "test")):
            values, images = part[f"{short}_accuracy"], part[f"n_{name}"].min()
            mean = values.mean()
            row[name] = page.percent(mean, *metrics.wilson(mean, images), values.std())
        row["common"] = part["test_accuracy_common"].mean()
        sizes = (part[name].iloc[0] for name in ("n_train", "n_validation", "n_test"))
        row["images"] = "/".join(map(page.count, sizes))
        row["epochs"] = part["epochs"].astype(float).mean()
        row["seconds"] = part["seconds"].mean()
        rows.append(row | {"seeds": len(part)})
    data = pd.DataFrame(rows)
    if same := data["seeds"].nunique() == 1:
        data = data.drop(columns="seeds")
    return page.table(
        data,
        dict.fromkeys(("validation", "test", "images"), page.escaped)
        | {"common": lambda value: f"{100 * value:.1f}"}
        | dict.fromkeys(("epochs", "seconds", "seeds"), page.count),
        "One row a run. Validation and test accuracy in per cent, ± standard deviation between "
        "seeds, [95 % interval]. <i>Common</i>: test accuracy on the images that all four-class "
        "runs share. Images are those of training/validation/test; epochs and seconds are "
        "means, seconds those of the training alone."
        + (f" Seeds: {len(trainings) // len(data)}." if same else ""),
        {"unfreeze": "unfrozen"},
    )


def _order(names: pd.Series) -> dict[str, int]:
    """Return the place of each name among those that come first."""
    return {name: place for place, name in enumerate(names.unique())}


def facts(rows: pd.DataFrame) -> str:
    """Return rows of ``dataset_facts`` as a table, each number as its kind is written."""

    def shown(value: float, fact: str) -> str:
        if any(word in fact for word in ("share", "area", "validation-from-train")):
            return page.share(value)
        return page.decimal(value) if fact.startswith("intensity") else page.count(value)

    printed = rows["published"].astype(str)
    data = pd.DataFrame(
        {
            "Fact": rows["fact"].map(_spelled),
            "Of": rows["class_or_set"],
            "Published": [
                _as_printed(text, fact, shown)
                for text, fact in zip(printed, rows["fact"], strict=True)
            ],
            "In these data": list(map(shown, rows["reproduced"], rows["fact"])),
            "Note": [
                text if status == "measured" else status
                for text, status in zip(
                    rows["note"].astype(object).fillna(""), rows["status"], strict=True
                )
            ],
        }
    )
    numbers = dict.fromkeys(("Published", "In these data"), page.escaped)
    return page.table(_without_empty(data), numbers, wide=["Note"])


def _spelled(fact: str) -> str:
    """Return the name of a fact in words; the name of a source keeps its spelling."""
    kind, _, part = fact.partition("/")
    kind = kind.replace("-", " ")
    if kind.startswith("intensity"):
        spread = {"mean": "mean", "sd": "standard deviation"}
        return f"intensity: {spread[part]} of the images' {spread[kind.split()[1]]}s"
    return f"{kind}: {part}" if part else kind


def _without_empty(data: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the optional columns that say nothing."""
    optional = ("Note", "SD", "Published")
    said = {name: ~data[name].isin(["", "–"]) for name in optional if name in data}
    return data.drop(columns=[name for name, cells in said.items() if not cells.any()])
