"""How a DICOM file says that its values are shown (DICOM PS3.3, sections C.11.1 and C.11.2)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pulmoscan.data.depth import Table
from pulmoscan.data.dicom_library import UnreadError, pydicom


def shown(dataset: Any, values: np.ndarray) -> tuple[bool, Table | None]:
    """Return whether the lowest of the stored values is white, and the table of those in the file.

    The table is that of the VOI LUT or of the first window, or of a modality LUT without either
    (DICOM PS3.3, sections C.11.1 and C.11.2).
    """
    white = dataset.PhotometricInterpretation.strip() == "MONOCHROME1"
    processing = pydicom().pixels.processing
    falling = float(dataset.get("RescaleSlope", None) or 1) < 0
    levels, text = None, ""
    values = processing.apply_modality_lut(values, dataset)
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        levels = processing.apply_voi(np.rint(values).astype(np.int32), dataset)
        levels, text = levels / ((1 << int(item.LUTDescriptor[2])) - 1), "table of the file"
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        centre, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
        levels = _windowed(values, centre, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
        low, high = centre - width / 2, centre + width / 2
        text = f"window of the file: {low:g} to {high:g}"
    elif dataset.get("ModalityLUTSequence"):
        bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        levels, text = values / ((1 << bits) - 1), "table of the file"
    if levels is None:
        return white != falling, None
    levels = np.clip(np.rint(np.asarray(levels) * 255), 0, 255).astype(np.uint8)
    return white != falling, Table(255 - levels if white else levels, text)


def _first(value: Any) -> float:
    """Return a number, or the first of several."""
    return float(value if isinstance(value, str | float | int) else value[0])


def _windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Return which shares of white, 0..1, a window makes of values."""
    if not width > 0 or not np.isfinite([centre, width]).all():
        raise UnreadError("its window has no width")
    functions: dict[str, Callable[[], np.ndarray]] = {
        # A window of one value is a threshold.
        "LINEAR": lambda: (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5,
        "LINEAR_EXACT": lambda: (values - centre) / width + 0.5,
        "SIGMOID": lambda: 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50))),
    }
    if function.strip() not in functions:
        raise UnreadError("its window has a function that is not in the standard")
    return np.clip(functions[function.strip()](), 0, 1)
