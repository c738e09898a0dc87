"""The HTML of the report: tables, captioned figures, notes. All text is escaped."""

import base64
import hashlib
import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

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


def percent(value: float, low: float, high: float, sd: float = math.nan, sign: str = "") -> str:
    """Return a share in percent with its deviation and interval, where there are any.

    ``sign`` is ``+`` for a difference, which shows its sign.
    """
    if math.isnan(value):
        return "–"
    text = f"{100 * value:{sign}.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")
    return text if math.isnan(low) else f"{text} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
