"""Figures of the runs: published beside reproduced values, training curves, confusion matrices."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pulmoscan import figures


def beside_published(table: pd.DataFrame) -> Figure:
    """Return published and reproduced values of rows that were run, with their intervals.

    ``table`` is one of ``compare`` for a metric that is a share; ``published`` may be text.
    """
    table = table[table["status"] == "run"].iloc[::-1].reset_index(drop=True)
    figure, axes = figures.empty(1.0 + 0.34 * len(table))
    axis = axes[0, 0]
    rows = np.arange(len(table))
    published = pd.to_numeric(table["published"], errors="coerce")
    for shift, value, low, high, colour, name in (
        (0.12, published, "published_low", "published_high", figures.GREY, "published"),
        (-0.12, table["reproduced"], "low", "high", figures.REFERENCE, "reproduced"),
    ):
        errors = np.abs(np.stack([value - table[low], table[high] - value]))
        axis.errorbar(
            value, rows + shift, xerr=errors, fmt="o", ms=4, lw=1.2, color=colour, label=name
        )
    named = table["model"] + ", unfreeze " + table["unfreeze"] + ", " + table["variant"]
    axis.set_yticks(rows, named, fontsize=8)
    axis.set_ylim(-0.6, len(table) - 0.4)
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.grid(axis="x", color="#e4e8ec")
    figures.label(axis, x="accuracy with 95 % interval")
    _legend_above(axis)
    return figure


def regions(table: pd.DataFrame) -> Figure:
    """Return the test accuracy of one model on several kinds of images.

    Columns ``model, unfreeze, variant, seed, test_accuracy, test_low, test_high``.
    """
    variants = list(dict.fromkeys(table["variant"]))
    figure, axes = figures.empty(2.8)
    axis = axes[0, 0]
    groups = list(table.groupby(["model", "unfreeze", "seed"], sort=False))
    colours = list(figures.COLOURS.values())
    for i, ((model, unfreeze, seed), part) in enumerate(groups):
        value = part["test_accuracy"]
        errors = np.abs(np.stack([value - part["test_low"], part["test_high"] - value]))
        places = [variants.index(name) for name in part["variant"]]
        shift = (i - (len(groups) - 1) / 2) * 0.08
        axis.errorbar(
            np.add(places, shift),
            value,
            yerr=errors,
            fmt="o",
            ms=5,
            color=colours[i % len(colours)],
            label=f"{model}, unfreeze {unfreeze}, seed {seed}",
        )
    axis.set_xticks(range(len(variants)), variants)
    axis.set_xlim(-0.5, len(variants) - 0.5)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.grid(axis="y", color="#e4e8ec")
    figures.label(axis, y="test accuracy, 95 % interval")
    _legend_above(axis)
    return figure


def training_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Return accuracy and loss over the epochs, a row a run; dashed: validation."""
    figure, axes = figures.empty(2.1 * len(histories), len(histories), 2)
    for (name, history), row in zip(histories.items(), axes, strict=True):
        for axis, measure in zip(row, ("accuracy", "loss"), strict=True):
            axis.plot(history["epoch"], history[measure], color=figures.INK, lw=1.3, label="train")
            axis.plot(
                history["epoch"],
                history[f"val_{measure}"],
                color=figures.REFERENCE,
                ls="--",
                lw=1.3,
                label="validation",
            )
            figures.label(axis, name if measure == "accuracy" else "", x="epoch", y=measure)
            axis.xaxis.get_major_locator().set_params(integer=True)
        row[0].set_ylim(0, 1.02)
        row[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        row[1].ticklabel_format(axis="y", useOffset=False)
    axes[0, 1].legend(frameon=False, fontsize=8)
    return figure


def confusion_matrices(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Return a matrix a run of test images: rows are labels, columns what was predicted."""
    columns = 3
    rows = -(-len(tables) // columns)
    figure, axes = figures.empty(3.1 * rows, rows, columns)
    for axis in axes.flat[len(tables) :]:
        axis.set_axis_off()
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=False):
        test = table[table["split"] == "test"]
        labels = list(dict.fromkeys(test["label"]))
        matrix = test.pivot(index="label", columns="predicted", values="images")
        matrix = matrix.loc[labels, labels].to_numpy()
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(matrix):
            colour = "white" if shares[i, j] > 0.6 else figures.INK
            axis.text(j, i, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)
        axis.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=7)
        axis.set_yticks(range(len(labels)), labels, fontsize=7)
        axis.spines[:].set_visible(False)
        figures.label(axis, name.replace(" / ", "\n", 1), x="predicted", y="label")
        axis.title.set_fontsize(8)
    return figure


def dataset_size(table: pd.DataFrame) -> Figure:
    """Return accuracy by number of training and validation images, published and reproduced.

    ``table`` is that of ``compare``; the number of images is the end of the variant's name.
    """
    figure, axes = figures.empty(3.0)
    axis = axes[0, 0]
    images = table["variant"].str.rpartition("-")[2].astype(int)
    published = pd.to_numeric(table["published"], errors="coerce")
    axis.plot(
        images[published.notna()], published.dropna(), "o-", color=figures.GREY, label="published"
    )
    ran = table["status"] == "run"
    if ran.any():
        value = table.loc[ran, "reproduced"]
        errors = np.abs(np.stack([value - table.loc[ran, "low"], table.loc[ran, "high"] - value]))
        axis.errorbar(
            images[ran], value, yerr=errors, fmt="o-", color=figures.REFERENCE, label="reproduced"
        )
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figures.label(axis, x="training and validation images", y="validation accuracy")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _legend_above(axis: Axes) -> None:
    """Place the legend where it hides no point."""
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
