"""Figures of the data set: shares, lung area, grey levels, mean images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pulmoscan.report import figures


def counts(
    table: pd.DataFrame, name: str, title: str, colours: Mapping[str, str] = figures.COLOURS
) -> Figure:
    """Return horizontal bars of ``images`` with their shares, one per value of a column.

    ``colours`` are those of some values; the others are grey.
    """
    table = table.iloc[::-1]
    figure, axes = figures.empty(0.7 + 0.32 * len(table))
    axis = axes[0, 0]
    drawn = [colours.get(key, figures.GREY) for key in table[name]]
    bars = axis.barh(table[name].astype(str), table["images"], color=drawn)
    _wrap(axis, table[name])
    shares = table["images"] / max(table["images"].sum(), 1)
    written = [
        f"{count:,} ({share:.1%})" for count, share in zip(table["images"], shares, strict=True)
    ]
    axis.bar_label(bars, written, padding=4, fontsize=8, color=figures.INK)
    axis.margins(x=0.15)
    figures.label(axis, title, x="images")
    return figure


def class_by_source(table: pd.DataFrame) -> Figure:
    """Return one bar per source, divided by class.

    ``table`` has ``source`` and a column of counts for each class.
    """
    table = table.iloc[::-1]
    classes = table.columns.drop("source")
    colours = figures.colours_of(classes)
    figure, axes = figures.empty(0.9 + 0.34 * len(table))
    axis = axes[0, 0]
    left = np.zeros(len(table))
    for name in classes:
        axis.barh(table["source"], table[name], left=left, label=name, color=colours[name])
        left += table[name].to_numpy()
    figures.label(axis, "Which class comes from which source", x="images")
    _wrap(axis, table["source"])
    figures.legend(axis, list(classes))
    return figure


def _wrap(axis: Axes, names: pd.Series) -> None:
    """Write long names of bars in several lines."""
    lines = [figures.wrapped(str(name), 2 * figures.LONG) for name in names]
    if lines != list(names):
        axis.set_yticks(range(len(lines)), lines)


def useful_area(images: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Return the distribution of ``useful_area`` (0..1), of all images and class by class.

    ``images`` has one row per image, with its ``class``; classes without images are not drawn.
    """
    figure, axes = figures.empty(3.0, 1, 2, sharex=True)
    colours = figures.colours_of(classes)
    bins = np.linspace(0, max(0.5, images["useful_area"].max()), 41)
    axes[0, 0].hist(images["useful_area"], bins, color=figures.GREY)
    mean = images["useful_area"].mean()
    axes[0, 0].axvline(mean, color=figures.REFERENCE, lw=1.5, label=f"mean {mean:.1%}")
    axes[0, 0].legend(frameon=False, fontsize=8)
    figures.label(axes[0, 0], "All images", x="share of the image inside the lungs", y="images")
    for name in classes:
        values = images.loc[images["class"] == name, "useful_area"]
        if len(values):
            style = {"histtype": "step", "lw": 1.5, "density": True}
            axes[0, 1].hist(values, bins[::2], color=colours[name], label=name, **style)
    figures.label(axes[0, 1], "By class", x="share of the image inside the lungs", y="density")
    figures.legend(axes[0, 1], classes)
    for axis in axes.flat:
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def histograms(
    levels: np.ndarray, class_of: pd.Series, classes: Sequence[str], *, masks: bool = True
) -> Figure:
    """Return the mean grey-level distribution of each class, of whole images and of lungs.

    Every image weighs the same.

    Args:
        levels: n x 2 x 256, pixels at each grey level: in the whole image, inside the mask.
        class_of: the class of each of the n images.
        classes: those to draw, in their order; ones without images are left out.
        masks: whether there are any lungs to draw.
    """
    shown = 2 if masks else 1
    figure, axes = figures.empty(3.0, 1, shown, sharex=True)
    colours = figures.colours_of(classes)
    for region, title in enumerate(("Whole images", "Inside the lungs")[:shown]):
        axis = axes[0, region]
        for name in classes:
            chosen = levels[(class_of == name).to_numpy(), region].astype(float)
            totals = chosen.sum(axis=1, keepdims=True)
            if len(chosen) and (totals > 0).any():
                mean = (chosen[totals[:, 0] > 0] / totals[totals[:, 0] > 0]).mean(axis=0)
                axis.plot(mean, color=colours[name], lw=1.3, label=name)
        figures.label(axis, title, x="grey level", y="share of the pixels")
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        # Black borders and saturated pixels would flatten everything else.
        axis.set_ylim(
            0, 1.1 * max((line.get_ydata()[3:-3].max() for line in axis.lines), default=1)
        )
    # On the right, where lungs have few pixels; whole images have some of every level.
    figures.legend(axes[0, -1], classes, loc="upper right")
    return figure


def images_with_histograms(
    whole: list[np.ndarray], masked: list[np.ndarray], levels: np.ndarray, names: list[str]
) -> Figure:
    """Return one row per image: the image, its lungs, and the histogram of both.

    ``levels`` is n x 2 x 256, ``names`` are those of the images. Without ``masked`` images there is
    nothing of the lungs.
    """
    shown = 2 if masked else 1
    figure, axes = figures.empty(2.0 * len(names), len(names), 2 * shown)
    for i, name in enumerate(names):
        for j, image in enumerate((whole[i], masked[i]) if masked else (whole[i],)):
            axes[i, j].imshow(image, cmap="gray", vmin=0, vmax=255)
            axes[i, j].spines[:].set_visible(False)
            axes[i, j].set(xticks=[], yticks=[])
            axes[i, j + shown].fill_between(range(256), levels[i, j], color=figures.GREY, lw=0)
            axes[i, j + shown].set(yticks=[], ylim=(0, 1.1 * max(levels[i, j][3:-3].max(), 1)))
        axes[i, 0].set_ylabel(figures.wrapped(name, figures.LONG), fontsize=8, color=figures.INK)
    heads = ("Image", "Inside the mask", "Grey levels of the image", "Inside the mask")
    for axis, head in zip(axes[0], heads if masked else heads[::2], strict=True):
        axis.set_title(head, fontsize=10, color=figures.INK, loc="left")
    return figure
