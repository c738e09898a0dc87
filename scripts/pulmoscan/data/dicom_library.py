"""pydicom, quiet, and the DICOM files that it reads."""

import functools
import logging
import warnings
from typing import Any


class UnreadError(ValueError):
    """Why a DICOM file is not read, in words that quote nothing of it."""


@functools.cache
def pydicom() -> Any:
    """Return pydicom, which takes half a second, made to keep its warnings to itself.

    They quote values of the dataset.
    """
    import pydicom
    import pydicom.encaps
    import pydicom.pixels

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom
