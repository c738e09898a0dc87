"""How the figures of the page look and are saved; pictures of images in rows and columns."""

import textwrap
from collections.abc import Collection, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pulmoscan.data.layout import CLASSES
from pulmoscan.report import page
from pulmoscan.report.captions import FIGURES
from pulmoscan.storage.atomic import replacing

# Names of images and sources are shown as they are: a dollar sign does not begin a formula.
mpl.rcParams["text.parse_math"] = False
DPI = 150
WIDTH = 9.0  # inches, of a figure over the whole page
ROW = 0.2  # inches of a line in a legend
LONG = 20  # characters of a name that is shown as it is
INK, GREY, REFERENCE = "#22303c", "#8a94a0", "#b5523b"
# Told apart by readers who see colours differently (Okabe and Ito 2008); the first four are those
# of the study's classes.
PALETTE = ("#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#f0e442")
COLOURS = dict(zip(CLASSES, PALETTE, strict=False))
MORE = tuple(
    map(mpl.colors.to_hex, mpl.colormaps["tab20"].colors)
)  # where the palette is too small


def colours_of(classes: Collection[str]) -> dict[str, str]:
    """Return the colour of each class: those of the study have their own, others what is left."""
    own = {name: COLOURS[name] for name in classes if name in COLOURS}
    palette = PALETTE if len(classes) <= len(PALETTE) else MORE
    spare = cycle([colour for colour in palette if colour not in own.values()])
    return {name: own.get(name) or next(spare) for name in classes}


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of at most ``width`` characters, each of its own lines by itself."""
    return "\n".join("\n".join(textwrap.wrap(line, width)) or line for line in text.split("\n"))


def legend(axis: Axes, names: Sequence[str], **place: Any) -> None:
    """Name the classes: inside the axes where they are few and short, else below the figure."""
    if len(names) <= len(CLASSES) and all(len(name) <= LONG for name in names):
        axis.legend(frameon=False, fontsize=8, **place)
        return
    handles, labels = axis.get_legend_handles_labels()
    if not labels:
        return
    lines = [wrapped(label, 2 * LONG) for label in labels]
    columns = 6 if all(len(name) <= LONG // 2 for name in names) else 3
    # The room that it takes is added: the axes keep theirs.
    rows = -(-len(lines) // columns) * max(line.count("\n") + 1 for line in lines)
    axis.figure.set_figheight(axis.figure.get_figheight() + ROW * rows)
    axis.figure.legend(
        handles, lines, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )


def empty(
    height: float, rows: int = 1, columns: int = 1, *, width: float = WIDTH, **settings: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure, as wide as the page by default, and its axes (rows x columns)."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **settings)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=INK)
    return figure, axes


def label(axis: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Write a title and the names of the axes in the report's sizes."""
    axis.set_title(title, fontsize=10, color=INK, loc="left")
    axis.set_xlabel(x, fontsize=9, color=INK)
    axis.set_ylabel(y, fontsize=9, color=INK)


def save(figure: Figure, folder: str | Path, name: str, *, pixels: bool = False) -> Path:
    """Write ``name``.png, and ``name``.svg unless the figure shows pixels; return the PNG's path.

    The same figure gives the same bytes: no date is written, and the ids of the SVG are fixed.
    """
    path = Path(folder) / f"{name}.png"
    with replacing(path, recorded=False) as temporary:  # the report is recorded as a whole
        figure.savefig(temporary, format="png")
    if not pixels:
        with (
            replacing(path.with_suffix(".svg"), recorded=False) as temporary,
            mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}),
        ):
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path


def drawn(
    figure: Figure,
    folder: str | Path,
    name: str,
    *,
    pixels: bool = False,
    caption: str = "",
    **filled: object,
) -> str:
    """Save a figure, see `save`, and return it as HTML with its caption of `captions.FIGURES`.

    ``caption`` is the key of another caption than that of the name, and ``filled`` replaces what
    stands in braces in it.
    """
    path = save(figure, folder, name, pixels=pixels)
    return page.figure(path, FIGURES[caption or name].format(**filled))


def pictures(
    rows: Sequence[Sequence[np.ndarray]],
    names: Sequence[str],
    titles: Sequence[Sequence[str]] | None = None,
    heads: Sequence[str] = (),
    width: float = WIDTH,
) -> Figure:
    """Return grey images (0..255) in rows, with the name of each row on its left.

    ``titles`` are above each image, ``heads`` above the first row. NaN is white.
    """
    columns = max((len(row) for row in rows), default=1)
    side = (width - 0.5) / columns
    room = max(int(side * (18.6 if titles else 14)), LONG // 2)  # characters above a picture
    height = side * max(len(rows), 1)
    figure, axes = empty(
        height * (1.1 if titles else 1.02), max(len(rows), 1), columns, width=width
    )
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
        axis.set(xticks=[], yticks=[])
    for i, row in enumerate(rows):
        axes[i, 0].set_ylabel(wrapped(names[i], LONG), fontsize=10, color=INK)
        for j, image in enumerate(row):
            axes[i, j].imshow(image, cmap="gray", vmin=0, vmax=255)
            title = titles[i][j] if titles else heads[j] if heads and i == 0 else ""
            axes[i, j].set_title(wrapped(title, room), fontsize=8 if titles else 10, color=INK)
    return figure
