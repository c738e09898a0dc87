"""The picture of one Grad-CAM: the radiograph, what the network saw and where, and its answer."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIZE = (12.0, 3.6)  # inches
DPI = 100
OPACITY = 0.5  # of the map over the radiograph
TRUE, OTHER = "#2a7f4f", "#8a8f98"


def draw(
    path: Path,
    image: np.ndarray,
    shown: np.ndarray,
    mask: np.ndarray,
    cam: np.ndarray,
    probabilities: Mapping[str, float],
    title: str,
    label: str,
) -> None:
    """Write a panel of four parts as PNG, 1200 x 360 pixels.

    Args:
        path: file to write.
        image: s x s uint8, the whole radiograph.
        shown: uint8, what the network saw of it, at the network's own size.
        mask: s x s, 1 inside the lungs; their outline is drawn over the map.
        cam: s x s float32 in 0..1.
        probabilities: of each label, 0..1.
        title: one line above the panel.
        label: the true label, whose bar has its own colour.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.1])
    evidence = "Grad-CAM, lungs outlined" if cam.any() else "Grad-CAM: zero everywhere"
    parts = {
        "Radiograph": image,
        "What the network saw": shown,
        evidence: overlay(image, mask, cam),
    }
    for axis, (name, picture) in zip(axes, parts.items(), strict=False):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
    _bars(axes[3], probabilities, label)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    figure.savefig(path)


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


def _bars(axis: Axes, probabilities: Mapping[str, float], label: str) -> None:
    names, values = list(probabilities), list(probabilities.values())
    colours = [TRUE if name == label else OTHER for name in names]
    bars = axis.barh(names, values, color=colours)
    axis.bar_label(bars, labels=[f"{value:.2f}" for value in values], padding=3, fontsize=9)
    axis.set_xlim(0, 1.18)  # room for the number beside a bar of 1
    axis.set_xticks([0, 0.5, 1])
    axis.invert_yaxis()
    axis.tick_params(labelsize=9)
    axis.set_title("Probability (true class green)", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
