"""The HTML of the report: tables, captioned figures, notes. All text is escaped."""

import base64
import hashlib
import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan import metrics, runs
from pulmoscan.published import SETTING, number

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
STYLE = """<style>
.jp-RenderedHTMLCommon {font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
  line-height: 1.5; color: #22303c}
body main, body.jp-Notebook {max-width: 1080px; margin: 0 auto}
.jp-RenderedHTMLCommon h1 {font-size: 2em; margin: 0.4em 0 0.2em}
.jp-RenderedHTMLCommon h2 {border-bottom: 2px solid #dfe4e9; padding-bottom: 0.2em;
  margin-top: 1.6em}
.jp-OutputPrompt, .jp-InputPrompt {display: none}
.report-synthetic {background: #fff0d6; border-left: 6px solid #e69f00; padding: 0.7em 1em;
  font-size: 1.05em; font-weight: 600}
.report-note {background: #eef3f8; border-left: 4px solid #0072b2; padding: 0.5em 0.9em;
  margin: 0.6em 0}
.report-wrong {background: #fbeeea; border-left: 4px solid #b5523b; padding: 0.5em 0.9em;
  margin: 0.6em 0}
.report-table {overflow-x: auto; margin: 0.5em 0}
.jp-RenderedHTMLCommon .report-table table {border-collapse: collapse; font-size: 0.84em;
  margin: 0; display: table; table-layout: auto}
.jp-RenderedHTMLCommon .report-table th {background: #f1f4f7; text-align: left;
  border-bottom: 2px solid #c9d1d9; padding: 4px 8px; white-space: nowrap}
.jp-RenderedHTMLCommon .report-table td {border-bottom: 1px solid #e4e8ec; padding: 3px 8px;
  text-align: left; vertical-align: top; white-space: nowrap}
.jp-RenderedHTMLCommon .report-table td.wide {white-space: normal; min-width: 15em;
  overflow-wrap: anywhere}
.jp-RenderedHTMLCommon .report-table td.number,
.jp-RenderedHTMLCommon .report-table th.number {text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums}
.report-table td.high {background: #dff2e3}
.report-table td.quiet {color: #66717c}
.jp-RenderedHTMLCommon .report-caption {color: #4a5560; font-size: 0.88em;
  margin: 1.1em 0 0.2em}
.jp-RenderedHTMLCommon figcaption.report-caption {margin-top: 0.2em}
figure.report-figure {margin: 0.8em 0 1.2em}
figure.report-figure img {max-width: 100%; height: auto}
details.report-more {margin: 0.4em 0 1em}
details.report-more summary {cursor: pointer; color: #0b5c99}
.report-contents {columns: 2; font-size: 0.95em}
</style>"""


def escaped(text: object) -> str:
    """Return text as HTML that shows it as it is."""
    return html.escape(str(text))


def share(value: float, decimals: int = 1) -> str:
    """Return a share (0..1) in percent, a dash for none."""
    return "–" if math.isnan(value) else f"{100 * value:.{decimals}f} %"


def decimal(value: float, decimals: int = 1) -> str:
    """Return a number with a fixed number of decimals, a dash for none."""
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}"


def count(value: float) -> str:
    """Return a whole number with separated thousands, a dash for none."""
    return "–" if math.isnan(value) else f"{value:,.0f}"


def table(
    data: pd.DataFrame,
    formats: Mapping[str, Callable[[float], str]] | None = None,
    caption: str = "",
    names: Mapping[str, str] | None = None,
    classes: pd.DataFrame | None = None,
    wide: Sequence[str] = (),
) -> str:
    """Return a table; columns with a format are numbers and stand to the right.

    ``names`` renames headings; ``classes`` gives CSS classes to single cells (same labels); the
    columns ``wide`` hold sentences, which may break.
    """
    formats, names = formats or {}, names or {}
    data = data.reset_index(drop=True)
    formats = {name: show for name, show in formats.items() if name in data}
    style = data.style.hide(axis="index").format(escape="html", na_rep="–", precision=4)
    for column, show in formats.items():
        style = style.format(show, subset=[column], na_rep="–")
    style = style.format_index(lambda name: escaped(names.get(name, name)), axis="columns")
    marks = pd.DataFrame("", index=data.index, columns=data.columns)
    wide = [name for name in wide if name in data]
    if classes is not None:
        marks.update(classes.reset_index(drop=True))
    for column in formats:
        marks[column] = (marks[column] + " number").str.strip()
    for column in wide:
        marks[column] = "wide"
    style = style.set_td_classes(marks)
    # Named by its content, so that the same table is the same HTML.
    name = hashlib.sha256((caption + data.to_csv()).encode()).hexdigest()[:8]
    text = style.set_uuid(name).to_html()
    for position, column in enumerate(data.columns):
        if column in formats:
            text = text.replace(f'class="col_heading level0 col{position}"', 'class="number"')
    title = f'<p class="report-caption">{caption}</p>' if caption else ""
    return f'{title}<div class="report-table">{text}</div>'


def folded(summary: str, content: str) -> str:
    """Return content that opens on a click on its summary."""
    return f'<details class="report-more"><summary>{escaped(summary)}</summary>{content}</details>'


def figure(path: Path, caption: str) -> str:
    """Return a saved picture, within the page, with its caption."""
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return (
        f'<figure class="report-figure"><img alt="{escaped(caption)}" '
        f'src="data:image/png;base64,{data}">'
        f'<figcaption class="report-caption">{escaped(caption)}</figcaption></figure>'
    )


def note(text: str, kind: str = "note") -> str:
    """Return a paragraph that stands out; ``kind``: note, wrong or synthetic."""
    return f'<p class="report-{kind}">{text}</p>'


def with_interval(value: str, low: float, high: float) -> str:
    """Return a value with its interval behind it, where there is one."""
    return value if math.isnan(low) else f"{value} [{100 * low:.1f}, {100 * high:.1f}]"


def compared(rows: pd.DataFrame) -> str:
    """Return a table of ``compare``: the rows that were run, then the others, folded, with reasons.

    Accuracies at or above 90 % are marked as in the study.
    """
    ran = rows["status"] == "run"
    parts = []
    if ran.any():
        parts.append(_beside(rows[ran]))
    else:
        parts.append(note("None of these runs was made with this configuration."))
    if not ran.all():
        reasons = rows.loc[~ran, "status"].str.removeprefix("not run: ").value_counts()
        summary = "; ".join(f"{number_} {reason}" for reason, number_ in reasons.items())
        what = f"{(~ran).sum()} of {len(rows)} rows without a run ({summary})"
        parts.append(folded(what, _beside(rows[~ran])))
    return "".join(parts)


def _beside(rows: pd.DataFrame) -> str:
    def shown(value: float, metric: str) -> str:
        return decimal(value, 1).removesuffix(".0") if metric in COUNTS else share(value)

    def as_published(text: str, metric: str) -> str:
        value = number(text)
        return (text or "–") if math.isnan(value) else shown(value, metric)

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
        "Metric": rows["metric"].str.replace("val_", "validation ").str.replace("_", " "),
        "Published [95 %]": [
            with_interval(as_published(text, metric), low, high)
            for text, metric, low, high in zip(
                printed, rows["metric"], rows["published_low"], rows["published_high"], strict=True
            )
        ],
        "Reproduced [95 %]": [
            with_interval(shown(value, metric), low, high)
            for value, metric, low, high in zip(
                rows["reproduced"], rows["metric"], rows["low"], rows["high"], strict=True
            )
        ],
        "Points": list(map(difference, rows["difference"], rows["metric"])),
        "Seeds": rows["n"],
        "SD": [share(value) for value in rows["sd"]],
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
    formats: dict[str, Callable] = dict.fromkeys(numbers, escaped)
    if "Seeds" in data:
        formats["Seeds"] = count
    caption = ""
    if data["Metric"].nunique() == 1:  # said once, it leaves room for the notes
        caption = escaped(data["Metric"][0].capitalize()) + "."
        data = data.drop(columns="Metric")
    shown = table(_without_empty(data), formats, caption, classes=marks, wide=("Note", "Not run"))
    return shown + below


def _told_once(notes: pd.Series, most: int = 2, length: int = 30) -> tuple[pd.Series, str]:
    """Return notes with a letter in place of some, and those below each other.

    A note is replaced that has more than ``length`` characters and stands in more than ``most``
    rows.
    """
    counts = notes[notes.str.len() > length].value_counts(sort=False)
    often = dict(zip(counts.index[counts > most], "abcdefghijklmnopqrstuvwxyz", strict=False))
    below = "".join(
        f'<p class="report-caption">({letter}) {escaped(text)}</p>'
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
    numbers = dict.fromkeys(("Published", "Found"), escaped)
    return table(_without_empty(data), numbers, wide=["Note"])


def protocol(rows: pd.DataFrame) -> str:
    """Return the published protocol beside the recommended one, for one metric, as a table.

    ``rows`` are those of ``protocol.tsv``; the ones that were not run are folded, with reasons.
    """
    ran = rows["status"] == "run"
    parts = [_protocols(rows[ran]) if ran.any() else note("None of these pairs of runs was made.")]
    if not ran.all():
        others = rows.loc[~ran, [*runs.KEY, "recommended_model", "published", "status"]]
        others["status"] = others["status"].str.removeprefix("not run: ")
        listed = table(others, names=NAMES | {"status": "not run"}, wide=["status"])
        parts.append(folded(f"{len(others)} of {len(rows)} pairs without both runs", listed))
    return "".join(parts)


def _protocols(rows: pd.DataFrame) -> str:
    def column(name: str, low: str, high: str, sd: str = "", sign: str = "") -> list[str]:
        columns = [name, low, high] + ([sd] if sd else [])
        return [percent(*values, sign=sign) for values in rows[columns].itertuples(index=False)]

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
        caption += f" Variant: {escaped(data['Variant'].iloc[0])}."
        data = data.drop(columns="Variant")
    if data["Seeds"].nunique() == 1:
        caption += f" Seeds: {data['Seeds'].iloc[0]}."
        data = data.drop(columns="Seeds")
    formats = dict.fromkeys(numbers, escaped) | {"Seeds": count}
    return table(_without_empty(data), formats, caption) + below


def percent(value: float, low: float, high: float, sd: float = math.nan, sign: str = "") -> str:
    """Return a share in percent with its deviation and interval, where there are any.

    ``sign`` is ``+`` for a difference, which shows its sign.
    """
    if math.isnan(value):
        return "–"
    text = f"{100 * value:{sign}.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")
    return text if math.isnan(low) else f"{text} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def trained(trainings: pd.DataFrame) -> str:
    """Return what was trained in each run, a row each; ``trainings`` are rows of ``runs.tsv``.

    Seeds of a run differ in their epochs only, so the first one speaks for all.
    """
    rows = trainings.drop_duplicates(runs.KEY)
    rows = rows.reindex(columns=[*runs.KEY, *TRAINED]).astype(dict.fromkeys(TRAINED, object))
    if rows[TRAINED].isna().all(axis=None):
        return note("No network was trained in these runs.")
    data = rows[runs.KEY].assign(
        layers=rows["trained_layers"],
        first=rows["first_trained"].fillna("–"),
        weights=[
            f"{count(part)} of {count(whole)}" if pd.notna(part) and pd.notna(whole) else "–"
            for part, whole in zip(rows["trainable_parameters"], rows["parameters"], strict=True)
        ],
        cached=["–" if pd.isna(size) else f"{size / 1e6:,.1f} MB" for size in rows["cached_bytes"]],
        stages=rows["stages"].fillna("–"),
    )
    return table(
        data,
        {"layers": count} | dict.fromkeys(("weights", "cached"), escaped),
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
            row[name] = percent(mean, *metrics.wilson(mean, images), values.std())
        row["common"] = part["test_accuracy_common"].mean()
        sizes = (part[name].iloc[0] for name in ("n_train", "n_validation", "n_test"))
        row["images"] = "/".join(map(count, sizes))
        row["epochs"] = part["epochs"].astype(float).mean()
        row["seconds"] = part["seconds"].mean()
        rows.append(row | {"seeds": len(part)})
    data = pd.DataFrame(rows)
    if same := data["seeds"].nunique() == 1:
        data = data.drop(columns="seeds")
    return table(
        data,
        dict.fromkeys(("validation", "test", "images"), escaped)
        | {"common": lambda value: f"{100 * value:.1f}"}
        | dict.fromkeys(("epochs", "seconds", "seeds"), count),
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
            return share(value)
        return decimal(value) if fact.startswith("intensity") else count(value)

    printed = rows["published"].astype(str)
    known = printed.map(number)
    both = list(zip(rows["reproduced"], known, rows["fact"], strict=True))
    data = pd.DataFrame(
        {
            "Fact": rows["fact"].map(_spelled),
            "Of": rows["class_or_set"],
            "Published": [
                text if math.isnan(value) else shown(value, fact)
                for text, (_, value, fact) in zip(printed, both, strict=True)
            ],
            "In these data": [shown(value, fact) for value, _, fact in both],
            "Note": [
                text if status == "measured" else status
                for text, status in zip(
                    rows["note"].astype(object).fillna(""), rows["status"], strict=True
                )
            ],
        }
    )
    numbers = dict.fromkeys(("Published", "In these data"), escaped)
    return table(_without_empty(data), numbers, wide=["Note"])


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
