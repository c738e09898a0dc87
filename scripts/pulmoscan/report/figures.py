"""How the figures of the page look and are saved; pictures of images in rows and columns."""

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
INK, GREY, REFERENCE = "#22303c", "#8a94a0", "#b5523b"
# Told apart by readers who see colours differently (Okabe and Ito 2008); the first four are those
# of the study's classes.
PALETTE = ("#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#f0e442")
COLOURS = dict(zip(CLASSES, PALETTE, strict=False))


def colours_of(classes: Collection[str]) -> dict[str, str]:
    """Return the colour of each class: those of the study have their own, others what is left."""
    own = {name: COLOURS[name] for name in classes if name in COLOURS}
    spare = cycle([colour for colour in PALETTE if colour not in own.values()])
    return {name: own.get(name) or next(spare) for name in classes}


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
    figure: Figure, folder: str | Path, name: str, *, pixels: bool = False, **filled: object
) -> str:
    """Save a figure, see `save`, and return it as HTML with its caption of `captions.FIGURES`.

    ``filled`` replaces what stands in braces in the caption.
    """
    path = save(figure, folder, name, pixels=pixels)
    return page.figure(path, FIGURES[name].format(**filled))


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
    height = (width - 0.5) / columns * max(len(rows), 1)
    figure, axes = empty(
        height * (1.1 if titles else 1.02), max(len(rows), 1), columns, width=width
    )
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
        axis.set(xticks=[], yticks=[])
    for i, row in enumerate(rows):
        axes[i, 0].set_ylabel(names[i], fontsize=10, color=INK)
        for j, image in enumerate(row):
            axes[i, j].imshow(image, cmap="gray", vmin=0, vmax=255)
            title = titles[i][j] if titles else heads[j] if heads and i == 0 else ""
            axes[i, j].set_title(title, fontsize=8 if titles else 10, color=INK)
    return figure
