"""Figures of the runs: published beside reproduced values, training curves, confusion matrices."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pulmoscan.report import figures
from pulmoscan.report.tables import several_splits

FEW = 5  # labels of a matrix that is a third of the page wide
POINTS = FuncFormatter(lambda share, _: f"{100 * share:+g}" if share else "0")
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:g}%")


def beside_published(table: pd.DataFrame) -> Figure:
    """Return published and reproduced values of rows that were run, with their intervals.

    ``table`` is one of ``compare`` for a metric that is a share; ``published`` may be text.
    """
    table = table[table["status"] == "run"]
    series = {
        "published": ("published", "published_low", "published_high", figures.GREY),
        "reproduced": ("reproduced", "low", "high", figures.REFERENCE),
    }
    return beside(table, _named(table, _runs(table, table["model"])), series, 0.34)


def protocol(table: pd.DataFrame) -> Figure:
    """Return published value, published and recommended protocol, one row per pair of runs.

    ``table`` holds rows of ``protocol.tsv`` for one accuracy, all of which were run.
    """
    recommended = (f"recommended{part}" for part in ("", "_low", "_high"))
    series = {
        "published": ("published", "published_low", "published_high", figures.GREY),
        "published protocol": ("reproduced", "low", "high", figures.INK),
        "recommended protocol": (*recommended, figures.REFERENCE),
    }
    # Two staged models may be like the same one.
    return beside(table, _named(table, _runs(table, table["recommended_model"])), series, 0.42)


def _runs(table: pd.DataFrame, models: pd.Series) -> pd.Series:
    return models + ", unfreeze " + table["unfreeze"] + ", " + table["variant"]


def _named(table: pd.DataFrame, names: pd.Series) -> pd.Series:
    """Return names of runs or models, after their split where the runs are on several."""
    if not several_splits(table):
        return names
    return names.where(table["split"] == "", table["split"] + ": " + names)


def beside(
    table: pd.DataFrame,
    names: pd.Series,
    series: Mapping[str, tuple[str, str, str, str]],
    height: float,
    x: str = "accuracy with 95 % interval",
) -> Figure:
    """Return a row of points with intervals for each row of a table, ``height`` inches each.

    ``series`` gives for each name in the legend the columns of value, lower and upper end, and its
    colour. A series without any value is left out. ``x`` names the axis.
    """
    table, names = table.iloc[::-1].reset_index(drop=True), names.iloc[::-1]
    figure, axes = figures.empty(1.1 + height * len(table))
    axis = axes[0, 0]
    places = np.linspace(0.36, -0.36, len(series) + 2)[1:-1]
    for place, (name, (value, low, high, colour)) in zip(places, series.items(), strict=True):
        values = pd.to_numeric(table[value], errors="coerce")
        if values.isna().all():
            continue
        errors = np.abs(np.stack([values - table[low], table[high] - values]))
        rows = np.arange(len(table)) + place
        axis.errorbar(values, rows, xerr=errors, fmt="o", ms=4, lw=1.2, color=colour, label=name)
    axis.set_yticks(range(len(table)), names, fontsize=8)
    axis.set_ylim(-0.6, len(table) - 0.4)
    axis.xaxis.set_major_formatter(PERCENT)
    axis.grid(axis="x", color="#e4e8ec")
    figures.label(axis, x=x)
    _legend_above(axis)
    return figure


def regions(table: pd.DataFrame) -> Figure:
    """Return the test accuracy of networks on several kinds of images, one point per training.

    Columns ``split_name, model, unfreeze, sampling, pixels, seed, test_accuracy, test_low,
    test_high``. There is one colour per network and sampling.
    """
    kinds = list(dict.fromkeys(table["pixels"]))
    figure, axes = figures.empty(2.8)
    axis = axes[0, 0]
    networks = ["model", "unfreeze", "sampling"]
    names = list(dict.fromkeys(table[networks].itertuples(index=False, name=None)))
    groups = list(table.groupby([*networks, "split_name", "seed"], sort=False))
    colours = list(figures.COLOURS.values())
    named = set()
    for i, ((*network, _, _), part) in enumerate(groups):
        value = part["test_accuracy"]
        errors = np.abs(np.stack([value - part["test_low"], part["test_high"] - value]))
        places = [kinds.index(name) for name in part["pixels"]]
        shift = (i - (len(groups) - 1) / 2) * min(0.08, 0.8 / len(groups))
        model, unfreeze, sampling = network
        axis.errorbar(
            np.add(places, shift),
            value,
            yerr=errors,
            fmt="o",
            ms=5,
            color=colours[names.index(tuple(network)) % len(colours)],
            label=None
            if tuple(network) in named
            else f"{model}, unfreeze {unfreeze}, sampling {sampling}",
        )
        named.add(tuple(network))
    axis.set_xticks(range(len(kinds)), kinds)
    axis.set_xlim(-0.5, len(kinds) - 0.5)
    axis.yaxis.set_major_formatter(PERCENT)
    axis.grid(axis="y", color="#e4e8ec")
    figures.label(axis, y="test accuracy, 95 % interval")
    _legend_above(axis, columns=2)
    return figure


def region_differences(table: pd.DataFrame) -> Figure:
    """Return differences between regions as points with intervals, one row per network and pair.

    ``table`` is that of `results.region_differences`.
    """
    table = table.iloc[::-1].reset_index(drop=True)
    figure, axes = figures.empty(0.9 + 0.26 * len(table))
    axis = axes[0, 0]
    pairs = table["region"] + " − " + table["against"]
    several = table["sampling"].nunique() > 1
    samplings = ", " + table["sampling"] if several else ""
    names = table["model"] + ", unfreeze " + table["unfreeze"] + samplings + ": " + pairs
    for place, row in table.iterrows():
        axis.errorbar(
            row["difference"],
            place,
            xerr=[[row["difference"] - row["low"]], [row["high"] - row["difference"]]],
            fmt="o",
            ms=4,
            lw=1.2,
            color=figures.REFERENCE if row["low"] > 0 or row["high"] < 0 else figures.GREY,
        )
    axis.axvline(0, color=figures.INK, lw=0.8)
    axis.set_yticks(range(len(table)), _named(table, names), fontsize=8)
    axis.set_ylim(-0.6, len(table) - 0.4)
    axis.xaxis.set_major_formatter(POINTS)
    axis.grid(axis="x", color="#e4e8ec")
    figures.label(axis, x="difference in test accuracy, percentage points")
    return figure


def training_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Return accuracy and loss over the epochs, one row per training; dashed: validation.

    A dotted line is where a stage ends and the next begins.

    Args:
        histories: by name, the epochs of a training with their ``stage``.
    """
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
            for change in stage_changes(history):
                axis.axvline(change, color=figures.GREY, ls=":", lw=1.2)
            figures.label(axis, name if measure == "accuracy" else "", x="epoch", y=measure)
            axis.xaxis.get_major_locator().set_params(integer=True)
        row[0].set_ylim(0, 1.02)
        row[0].yaxis.set_major_formatter(PERCENT)
        row[1].ticklabel_format(axis="y", useOffset=False)
    axes[0, 1].legend(frameon=False, fontsize=8)
    return figure


def stage_changes(history: pd.DataFrame) -> list[float]:
    """Return the places on the axis of epochs where a stage ends, halfway to the next epoch."""
    last = history.groupby("stage")["epoch"].max().sort_index()
    return [float(epoch) + 0.5 for epoch in last.iloc[:-1]]


def published_matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Return published counts as a confusion table of test images.

    ``rows`` are those of one run in a table of ``compare``, with the metrics ``TP, FN, FP, TN``
    among them. The result has ``split, label, predicted, images``; no row where one is missing.
    """
    counts = pd.to_numeric(rows.set_index("metric")["published"], errors="coerce")
    cells = [
        ("test", "normal", "normal", "TN"),
        ("test", "normal", "sick", "FP"),
        ("test", "sick", "normal", "FN"),
        ("test", "sick", "sick", "TP"),
    ]
    columns = ["split", "label", "predicted", "images"]
    table = pd.DataFrame([(*cell, counts.get(name)) for *cell, name in cells], columns=columns)
    known = table["images"].notna().all()
    return table.astype({"images": int}) if known else table.iloc[:0]


def confusion_matrices(tables: Mapping[str, pd.DataFrame], columns: int = 3) -> Figure:
    """Return one matrix of test images per run: rows are labels, columns what was predicted.

    Args:
        tables: by name, whose slashes begin a new line, ``split, label, predicted, images``.
        columns: the number of matrices beside each other, at most.
    """
    most = max((table["label"].nunique() for table in tables.values()), default=0)
    if most > FEW:
        columns = 2 if most <= 2 * FEW else 1
    size = min(8, 160 / max(most, 1)) if columns == 1 else 8 if columns > 2 else 7
    rows = -(-len(tables) // columns)
    figure, axes = figures.empty(min(9.6 / columns, 7) * rows, rows, columns)
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
            axis.text(j, i, f"{count:,}", ha="center", va="center", fontsize=size, color=colour)
        names = [figures.wrapped(label, figures.LONG) for label in labels]
        if most <= FEW and names == labels:
            axis.set_xticks(range(len(labels)), names, rotation=30, ha="right", fontsize=7)
        else:
            axis.set_xticks(range(len(labels)), names, rotation=90, fontsize=7)
        axis.set_yticks(range(len(labels)), names, fontsize=7)
        axis.spines[:].set_visible(False)
        figures.label(axis, name.replace("/", "\n"), x="predicted", y="label")
        axis.title.set_fontsize(8)
    return figure


def dataset_size(table: pd.DataFrame) -> Figure:
    """Return accuracy by number of training and validation images, published and reproduced.

    ``table`` is that of ``compare``; the number of images is the end of the variant's name, and
    rows whose variant names none are left out. There is one line per model and split.
    """
    images = pd.to_numeric(table["variant"].str.rpartition("-")[2], errors="coerce")
    published = pd.to_numeric(table["published"], errors="coerce")
    table = table.assign(images=images, published=published)[images.notna()].sort_values("images")
    figure, axes = figures.empty(3.0)
    axis = axes[0, 0]
    colours = [figures.REFERENCE, *figures.COLOURS.values()]
    lines = _named(table, table["model"])
    for colour, (line, rows) in zip(colours, table.groupby(lines, sort=False), strict=False):
        for column, low, high, shade, name in (
            ("published", "published_low", "published_high", figures.GREY, "published"),
            ("reproduced", "low", "high", colour, "reproduced"),
        ):
            known = rows[rows[column].notna()]
            if len(known):
                value = known[column]
                errors = np.abs(np.stack([value - known[low], known[high] - value]))
                axis.errorbar(
                    known["images"],
                    value,
                    yerr=errors,
                    fmt="o-",
                    color=shade,
                    label=f"{name}, {line}",
                )
    axis.yaxis.set_major_formatter(PERCENT)
    axis.grid(axis="y", color="#e4e8ec")
    figures.label(axis, x="training and validation images", y="validation accuracy")
    _legend_above(axis)
    return figure


def _legend_above(axis: Axes, columns: int = 3) -> None:
    """Place the legend where it does not hide a point."""
    axis.legend(frameon=False, fontsize=8, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1))
