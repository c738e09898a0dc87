"""Pictures of Grad-CAM: the radiograph, what the network saw, where it looked, and its answer."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from pulmoscan.data.layout import file_stem
from pulmoscan.explain.scores import PROBABILITY
from pulmoscan.storage.atomic import record_folder, replacing

mpl.rcParams["text.parse_math"] = False  # a dollar sign in a name does not begin a formula
SIZE = (12.0, 3.6)  # inches
DPI = 100
OPACITY = 0.5  # of the map over the radiograph
PARTS = ("Radiograph", "What the network saw", "Grad-CAM, lungs outlined")
UNMASKED = "Grad-CAM"
ZERO = "Grad-CAM: zero everywhere"
LONG = 20  # characters of a label that stands beside its bar in one line
TITLE = 110  # characters of a title in one line
LINES = 15  # of text that have room beside the bars
TRUE, OTHER = "#2a7f4f", "#8a8f98"


class Panel:
    """A panel of four parts, laid out once and filled for every image of a run.

    The layout and the axes take three quarters of the time of a picture.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """Prepare a panel for probabilities of these labels."""
        self._figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(self._figure)
        *pictures, bars = self._figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.1])
        blank = np.zeros((2, 2), np.uint8)
        self._pictures = [
            axis.imshow(blank, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 0, 1))
            for axis in pictures
        ]
        for axis, name in zip(pictures, PARTS, strict=True):
            axis.set_title(name, fontsize=10)
            axis.set_axis_off()
        self._bars, self._numbers = _bars(bars, labels)
        self._labels = list(labels)
        self._title = self._figure.suptitle("title", fontsize=12, fontweight="bold")
        canvas.draw()
        self._figure.set_layout_engine("none")

    def draw(
        self,
        path: Path,
        image: np.ndarray,
        shown: np.ndarray,
        mask: np.ndarray,
        cam: np.ndarray,
        probabilities: Sequence[float],
        title: str,
        label: str,
    ) -> None:
        """Write a panel as PNG, 1200 x 360 pixels.

        Args:
            path: file to write.
            image: s x s uint8, the whole radiograph.
            shown: uint8, what the network saw of it, at the network's own size.
            mask: s x s, 1 inside the lungs; their outline is drawn over the map.
            cam: s x s float32 in 0..1.
            probabilities: of the labels, 0..1.
            title: line above the panel.
            label: the true label, whose bar has a colour of its own.
        """
        parts = (image, shown, overlay(image, mask, cam))
        for picture, part in zip(self._pictures, parts, strict=True):
            picture.set_data(part)
        looked = PARTS[-1] if mask.any() else UNMASKED
        self._pictures[-1].axes.set_title(looked if cam.any() else ZERO, fontsize=10)
        for name, bar, number, value in zip(
            self._labels, self._bars, self._numbers, probabilities, strict=True
        ):
            bar.set_width(value)
            bar.set_facecolor(TRUE if name == label else OTHER)
            number.xy = (value, number.xy[1])
            number.set_text(f"{value:.2f}")
        self._title.set_text("\n".join(textwrap.wrap(title, TITLE)))
        self._title.set_fontsize(12 if len(title) <= TITLE else 8)
        self._figure.savefig(path)


def write_panels(
    folder: Path,
    table: pd.DataFrame,
    labels: Sequence[str],
    images: np.ndarray,
    shown: np.ndarray,
    masks: np.ndarray,
    cams: np.ndarray,
) -> None:
    """Write a panel for each image, and remove those of images no longer chosen.

    It is called ``<image>.png``, with `layout.file_stem` of the image's name.

    Args:
        folder: of the panels.
        table: one row per image, see `scores.table`.
        labels: of the network.
        images: n x s x s uint8, the whole radiographs.
        shown: n images uint8, what the network saw of them, at its own size.
        masks: n x s x s, 1 inside the lungs.
        cams: n x s x s float32 in 0..1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for panel in folder.glob("*.png"):
        panel.unlink()
    panel = Panel(labels)
    for index, row in table.iterrows():
        probabilities = [row[f"{PROBABILITY}{label}"] for label in labels]
        certainty = row[f"{PROBABILITY}{row['predicted']}"]
        title = f"{row['image']}: {row['label']}, predicted {row['predicted']} ({certainty:.2f})"
        with replacing(folder / f"{file_stem(row['image'])}.png", recorded=False) as path:
            panel.draw(
                path,
                images[index],
                shown[index],
                masks[index],
                cams[index],
                probabilities,
                title,
                row["label"],
            )
    record_folder(folder)


def overlay(image: np.ndarray, mask: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """Return the map in the colours of jet, half transparent over the image, with the outline.

    Args:
        image: s x s uint8.
        mask: s x s, 1 inside the lungs.
        cam: s x s float32 in 0..1.

    Returns:
        s x s x 3 uint8, RGB.
    """
    colours = mpl.colormaps["jet"](cam)[..., :3] * 255
    mixed = OPACITY * colours + (1 - OPACITY) * image[..., None]
    mixed = np.ascontiguousarray(mixed.round().astype(np.uint8))
    outlines, _ = cv2.findContours(
        (mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(mixed, outlines, -1, (255, 255, 255), 1)


def _bars(axis: Axes, labels: Sequence[str]) -> tuple[BarContainer, list[Annotation]]:
    """Return the bars of an axis and the numbers at their ends."""
    bars = axis.barh(labels, [0.0] * len(labels))
    lines = ["\n".join(textwrap.wrap(label, LONG)) for label in labels]
    size = min(9, 9 * LINES / sum(1 + line.count("\n") for line in lines))
    numbers = axis.bar_label(bars, padding=3, fontsize=size)
    axis.set_xlim(0, 1.18)  # room for the number beside a bar of 1
    axis.set_xticks([0, 0.5, 1])
    axis.invert_yaxis()
    if lines != list(labels):
        axis.set_yticks(range(len(lines)), lines)
    axis.tick_params(labelsize=9)
    axis.tick_params("y", labelsize=size)
    axis.set_title("Probability (true class green)", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    return bars, numbers
