"""The HTML of the report: tables, captioned figures, notes. All text is escaped."""

import base64
import hashlib
import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.published import number

COUNTS = ("TP", "FN", "FP", "TN")
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
.jp-RenderedHTMLCommon .report-table table {border-collapse: collapse; font-size: 0.86em;
  margin: 0; display: table; table-layout: auto}
.jp-RenderedHTMLCommon .report-table th {background: #f1f4f7; text-align: left;
  border-bottom: 2px solid #c9d1d9; padding: 4px 10px; white-space: nowrap}
.jp-RenderedHTMLCommon .report-table td {border-bottom: 1px solid #e4e8ec; padding: 3px 10px;
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
        what = f"{(~ran).sum()} of {len(rows)} published figures without a run ({summary})"
        parts.append(folded(what, _beside(rows[~ran])))
    return "".join(parts)


def _beside(rows: pd.DataFrame) -> str:
    def shown(value: float, metric: str) -> str:
        if metric.startswith("best/"):
            return "–" if math.isnan(value) else f"{value:g}"
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
    return table(_without_empty(data), formats, caption, classes=marks, wide=("Note", "Not run"))


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
    said = {name: ~data[name].isin(["", "–"]) for name in ("Note", "SD") if name in data}
    return data.drop(columns=[name for name, cells in said.items() if not cells.any()])
