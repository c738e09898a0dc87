"""How the files of a data set become packed arrays: what the configuration says under `dataset`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Options:
    """What packing may do differently.

    Attributes:
        depth: What becomes of more than 8 bits: ``auto``, the window of a DICOM file, otherwise the
            bits that the data set uses; ``full``, all bits of the file; ``window``, percentiles.
        window: The percentiles of an image that become black and white, for ``window``.
        shape: What becomes of an image that is not square: ``stretch``, ``pad`` or ``crop``.
        masks: ``required``, ``optional`` or ``none``, which leaves them unread.
        white_masks: What an all-white mask is: a ``defect``, or the ``whole`` image is lung.
    """

    depth: str = "auto"
    window: tuple[float, float] = (0.5, 99.5)
    shape: str = "stretch"
    masks: str = "required"
    white_masks: str = "defect"


NAMES = tuple(field.name for field in fields(Options))


def of_data_set(dataset: Mapping[str, Any]) -> Options:
    """Return the options in the configuration of a data set, but for those without effect."""
    known = {name: dataset[name] for name in NAMES if name in dataset}
    if known["depth"] != "window":
        del known["window"]
    return read(known)


def read(settings: Mapping[str, Any]) -> Options:
    """Return the options that JSON holds; raise ``TypeError`` for a key that is not one."""
    window = tuple(settings.get("window", Options.window))
    return Options(**{**settings, "window": window})
