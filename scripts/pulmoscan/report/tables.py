"""Tables that put what the study published beside what this workflow found.

Figures of its runs, settings of its searches, and facts about its data set; `sentences` composes
the words in them.
"""

import math
from collections.abc import Callable, Mapping

import pandas as pd

from pulmoscan.report import page, sentences
from pulmoscan.results.published import COUNTS, SETTING, number
from pulmoscan.results.selection import RUN

EXCELLENT = 0.90  # the study marks accuracies from here in green
REPRODUCED = ["Reproduced [95 %]", "Points", "Seeds", "SD"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def compared(rows: pd.DataFrame, samplings: Mapping[str, str]) -> str:
    """Return a published table: the rows that were run, then the others, folded, with reasons.

    Accuracies from 90 % are marked, as in the study.

    Args:
        rows: a table of ``compare``.
        samplings: the sampling of each variant.
    """
    ran = rows["status"] == RUN
    splits = several_splits(rows)
    parts = [page.note("None of these runs was made with this configuration.")]
    if ran.any():
        parts = [_beside(rows[ran], samplings, splits)]
    if not ran.all():
        what = f"{(~ran).sum()} of {len(rows)} rows without a run"
        others = _beside(rows[~ran], samplings, splits)
        parts.append(page.folded(f"{what} ({sentences.reasons(rows[~ran])})", others))
    return "".join(parts)


def several_splits(rows: pd.DataFrame) -> bool:
    """Return whether the runs of a table are on more than one split."""
    return rows.loc[rows["split"] != "", "split"].nunique() > 1


def run_columns(rows: pd.DataFrame, splits: bool) -> dict[str, pd.Series]:
    """Return the columns that name runs, with their split where ``splits`` says so."""
    named = {"Split": rows["split"]} if splits else {}
    return named | {
        "Model": rows["model"],
        "Unfrozen": rows["unfreeze"],
        "Variant": rows["variant"],
    }


def _beside(rows: pd.DataFrame, samplings: Mapping[str, str], splits: bool) -> str:
    rows = rows.reset_index(drop=True)
    notes, below = told_once(
        [sentences.published_note(row, samplings) for _, row in rows.iterrows()]
    )
    columns = run_columns(rows, splits) | {
        "Metric": rows["metric"].map(_metric),
        "Published [95 %]": [_published(row) for _, row in rows.iterrows()],
        "Reproduced [95 %]": [_reproduced(row) for _, row in rows.iterrows()],
        "Points": list(map(_difference, rows["difference"], rows["metric"])),
        "Seeds": [page.count(row.n) if not row.folds > 1 else "–" for row in rows.itertuples()],
        "SD": [page.share(row.sd) if not row.folds > 1 else "–" for row in rows.itertuples()],
        "Note": notes,
    }
    if (rows["status"] != RUN).all():
        for column in REPRODUCED:
            del columns[column]
        columns["Not run"] = rows["reason"]
    data = pd.DataFrame(columns)
    marks = pd.DataFrame("", index=data.index, columns=data.columns)
    accuracy = rows["metric"].str.endswith("accuracy")
    for column, values in (
        ("Published [95 %]", rows["published"].map(number)),
        ("Reproduced [95 %]", rows["reproduced"]),
    ):
        if column in marks:
            marks.loc[accuracy & (values >= EXCELLENT), column] = "high"
    numbers = [name for name in ("Published [95 %]", *REPRODUCED) if name in data]
    caption = ""
    if data["Metric"].nunique() == 1:  # said once, it leaves room for the notes
        metric = data["Metric"][0]
        caption = page.escaped(metric[:1].upper() + metric[1:]) + "."
        data = data.drop(columns="Metric")
    formats = dict.fromkeys(numbers, page.escaped)
    shown = without_empty(data)
    return page.table(shown, formats, caption, None, marks, ("Note", "Not run")) + below


def _number(value: float, metric: str) -> str:
    return page.decimal(value, 1).removesuffix(".0") if metric in COUNTS else page.share(value)


def _published(row: pd.Series) -> str:
    printed = _as_printed(row["published"], lambda value: _number(value, row["metric"]))
    return page.with_interval(printed, row["published_low"], row["published_high"])


def _reproduced(row: pd.Series) -> str:
    value, metric, ends = row["reproduced"], row["metric"], (row["low"], row["high"])
    shown = _number(value, metric)
    if not row["folds"] > 1:
        return page.with_interval(shown, *ends)
    spread = "" if math.isnan(row["sd"]) else f" ± {_number(row['sd'], metric)}"
    mean = page.with_interval(shown + spread, *ends)
    return sentences.over_folds(mean, int(row["n"]), int(row["folds"]))


def _difference(value: float, metric: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.1f}" if metric in COUNTS else f"{100 * value:+.1f}"


def _as_printed(text: str, written: Callable[[float], str]) -> str:
    """Return a published figure as such numbers are written; a bound keeps its sign.

    Anything else stays as it is.
    """
    sign = text[:1] if text[:1] in ("<", ">") else ""
    value = number(text.removeprefix(sign))
    return (text or "–") if math.isnan(value) else f"{sign} {written(value)}".strip()


def _metric(name: str) -> str:
    """Return the name of a metric in words; that of a class keeps its spelling."""
    what, slash, label = name.partition("/")
    return what.replace("val_", "validation ").replace("_", " ") + slash + label


def settings(rows: pd.DataFrame, samplings: Mapping[str, str]) -> str:
    """Return the published settings of searches beside those found, one row per setting.

    ``rows`` are those of ``compare``; the settings of a model follow one another.
    """
    order = {model: place for place, model in enumerate(rows["model"].unique())}
    rows = rows.sort_values("model", kind="stable", key=lambda names: names.map(order))
    columns = run_columns(rows, several_splits(rows)) | {
        "Setting": rows["metric"].str.removeprefix(SETTING).str.replace("_", " "),
        "Published": rows["published"].map(_setting),
        "Found": rows["reproduced"].map(_setting),
        "Note": [sentences.setting_note(row, samplings) for _, row in rows.iterrows()],
    }
    numbers = dict.fromkeys(("Published", "Found"), page.escaped)
    return page.table(without_empty(pd.DataFrame(columns)), numbers, wide=["Note"])


def _setting(value: object) -> str:
    """Return a setting, which may be a number, text, or nothing."""
    text = "" if pd.isna(value) else str(value)
    return _as_printed(text, page.plain)


def facts(rows: pd.DataFrame) -> str:
    """Return rows of ``dataset_facts`` as a table, each number as its kind is written."""
    data = pd.DataFrame(
        {
            "Fact": rows["fact"].map(_spelled),
            "Of": rows["class_or_set"],
            "Published": [
                _as_printed(row.published, _written_as(row.fact)) for row in rows.itertuples()
            ],
            "In these data": [_written_as(row.fact)(row.reproduced) for row in rows.itertuples()],
            "Note": [sentences.fact_note(row) for _, row in rows.iterrows()],
        }
    )
    numbers = dict.fromkeys(("Published", "In these data"), page.escaped)
    return page.table(without_empty(data), numbers, wide=["Note"])


def _written_as(fact: str) -> Callable[[float], str]:
    """Return how the number of a fact is written."""
    if any(word in fact for word in ("share", "area", "validation-from-train")):
        return page.share
    return page.decimal if fact.startswith("intensity") else page.count


def _spelled(fact: str) -> str:
    """Return the name of a fact in words; the name of a source keeps its spelling."""
    kind, _, part = fact.partition("/")
    kind = kind.replace("-", " ")
    if kind.startswith("intensity"):
        spread = {"mean": "mean", "sd": "standard deviation"}
        return f"intensity: {spread[part]} of the images' {spread[kind.split()[1]]}s"
    return f"{kind}: {part}" if part else kind


def told_once(notes: list[str], most: int = 2, length: int = 30) -> tuple[list[str], str]:
    """Return notes with a letter in place of some, and those below each other, as HTML.

    A note is replaced that is longer than ``length`` characters and appears in more than ``most``
    rows.
    """
    counts = pd.Series(notes, dtype=object).value_counts(sort=False)
    often = [text for text, rows in counts.items() if len(text) > length and rows > most]
    letters = dict(zip(often, LETTERS, strict=False))
    below = "".join(
        page.captioned(f"({letter}) {page.escaped(text)}") for text, letter in letters.items()
    )
    return [f"({letters[text]})" if text in letters else text for text in notes], below


def without_empty(data: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the optional columns that say nothing."""
    optional = ("Note", "SD", "Seeds", "Published")
    said = {name: ~data[name].isin(["", "–"]) for name in optional if name in data}
    return data.drop(columns=[name for name, cells in said.items() if not cells.any()])
