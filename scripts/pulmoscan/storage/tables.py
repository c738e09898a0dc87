"""Parquet tables that one stage writes and another reads."""

from io import BytesIO
from pathlib import Path

import pandas as pd


def read(path: Path, stage: str) -> pd.DataFrame:
    """Return a table that ``stage`` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or no such table.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror}; run {stage} again") from error
    try:
        return pd.read_parquet(BytesIO(content))
    except Exception as error:  # a damaged file ends in whatever the reader's parts raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{path} is damaged ({reason}): remove it and run {stage} again"
        ) from error
