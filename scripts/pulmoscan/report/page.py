"""The HTML of the page: tables, captioned figures, notes, and how numbers are written.

Text from the data is escaped. Captions and notes are HTML, written by this package, and escape the
text that they quote.
"""

import base64
import hashlib
import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

STYLE = Path(__file__).with_name("page.css")
ALIGNED = [("text-align", "right"), ("font-variant-numeric", "tabular-nums")]
NUMBERS = [{"selector": "", "props": ALIGNED}]  # the style of a column, heading included


def show(*parts: str) -> None:
    """Display HTML below the cell of the notebook that calls this."""
    from IPython.display import HTML, display

    display(HTML("".join(parts)))


def style() -> str:
    """Return the style sheet of the page as HTML."""
    return f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>"


def escaped(text: object) -> str:
    """Return text as HTML that shows it as it is."""
    return html.escape(str(text))


def share(value: float, decimals: int = 1) -> str:
    """Return a share (0..1) in per cent, a dash for none."""
    return "–" if math.isnan(value) else f"{100 * value:.{decimals}f} %"


def decimal(value: float, decimals: int = 1) -> str:
    """Return a number with a fixed number of decimals, a dash for none."""
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}"


def count(value: float) -> str:
    """Return a whole number with separated thousands, a dash for none."""
    return "–" if math.isnan(value) else f"{value:,.0f}"


def plain(value: float) -> str:
    """Return a number with as many digits as it needs, a dash for none."""
    return "–" if math.isnan(value) else f"{value:g}"


def with_interval(value: str, low: float, high: float) -> str:
    """Return a value followed by its interval (0..1), in per cent, where there is one."""
    return value if math.isnan(low) else f"{value} [{100 * low:.1f}, {100 * high:.1f}]"


def percent(value: float, low: float, high: float, sd: float = math.nan, sign: str = "") -> str:
    """Return a share in per cent with its deviation and interval, where there are any.

    ``sign`` is ``+`` for a difference, which shows its sign.

    >>> percent(0.85, 0.82, 0.88, sd=0.01)
    '85.0 ± 1.0 [82.0, 88.0]'
    """
    if math.isnan(value):
        return "–"
    text = f"{100 * value:{sign}.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")
    return text if math.isnan(low) else f"{text} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def table(
    data: pd.DataFrame,
    formats: Mapping[str, Callable[[float], str]] | None = None,
    caption: str = "",
    names: Mapping[str, str] | None = None,
    classes: pd.DataFrame | None = None,
    wide: Sequence[str] = (),
) -> str:
    """Return a table.

    Args:
        data: its rows. Text is escaped, and missing values are dashes.
        formats: how the numbers of a column are written; such columns are aligned to the right.
        caption: HTML above the table.
        names: headings that differ from the names of their columns.
        classes: CSS classes of single cells, with the rows and columns of ``data``.
        wide: columns of sentences, which may break.
    """
    names = names or {}
    data = data.reset_index(drop=True)
    formats = {name: written for name, written in (formats or {}).items() if name in data}
    marks = pd.DataFrame("", index=data.index, columns=data.columns)
    if classes is not None:
        marks.update(classes.reset_index(drop=True))
    marks[[name for name in wide if name in data]] = "wide"
    style = data.style.hide(axis="index").format(escape="html", na_rep="–", precision=4)
    for column, written in formats.items():
        style = style.format(written, subset=[column], na_rep="–")
    style = style.format_index(lambda name: escaped(names.get(name, name)), axis="columns")
    style = style.set_table_styles(dict.fromkeys(formats, NUMBERS))
    style = style.set_td_classes(marks)
    # Named after its content, so that the same table is the same HTML.
    name = hashlib.sha256((caption + data.to_csv()).encode()).hexdigest()[:8]
    return f'{captioned(caption)}<div class="report-table">{style.set_uuid(name).to_html()}</div>'


def dashed(data: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a dash in place of every empty text."""
    return data.replace("", "–")


def captioned(text: str) -> str:
    """Return a caption, nothing for an empty one."""
    return f'<p class="report-caption">{text}</p>' if text else ""


def folded(summary: str, content: str) -> str:
    """Return content that opens on a click on its summary."""
    return f'<details class="report-more"><summary>{escaped(summary)}</summary>{content}</details>'


def figure(path: Path, caption: str) -> str:
    """Return a saved picture, embedded in the page, with its caption (plain text)."""
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return (
        f'<figure class="report-figure"><img alt="{escaped(caption)}" '
        f'src="data:image/png;base64,{data}">'
        f'<figcaption class="report-caption">{escaped(caption)}</figcaption></figure>'
    )


def note(text: str, kind: str = "note") -> str:
    """Return a paragraph that stands out; ``kind``: note, wrong or synthetic."""
    return f'<p class="report-{kind}">{text}</p>'
