"""What a search found: its tables, and the network and training that use it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.config import hyperparameters
from pulmoscan.storage import tables


def trials(rows: Sequence[Mapping]) -> pd.DataFrame:
    """Return one row per trial, with a column for each hyperparameter."""
    return pd.DataFrame(
        [
            {name: row[name] for name in row if name != "hyperparameters"} | row["hyperparameters"]
            for row in rows
        ]
    )


def best(rows: Sequence[Mapping]) -> dict:
    """Return what the best trial found, the first of several with the same accuracy."""
    found = max(
        (row for row in rows if row["val_loss"] is not None), key=lambda row: row["val_accuracy"]
    )
    return {
        "hyperparameters": found["hyperparameters"],
        "val_accuracy": found["val_accuracy"],
        "trial": found["trial"],
        "trials": len(rows),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }


def fill(network: Mapping, training: Mapping, path: Path) -> tuple[dict, dict]:
    """Return a network and its training settings with the hyperparameters of a search.

    ``path`` is the file that holds `best`. Raises ``ValueError`` for a ``$name`` without a value
    and where the file is damaged.
    """
    values = tables.read_json(path, "the search")["hyperparameters"]
    rate = {key: values[key] for key in values if key == hyperparameters.LEARNING_RATE}
    return hyperparameters.fill(network, values), {**training, **rate}
