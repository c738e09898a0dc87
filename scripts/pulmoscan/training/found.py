"""What a search found: its tables, and the network and training that use it."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from pulmoscan.config import hyperparameters
from pulmoscan.networks import layers
from pulmoscan.storage import tables

BEST = {"hyperparameters": dict, "trial": str}


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

    ``path`` is the file that holds `best`. Raises ``ValueError`` for a ``$name`` without a value,
    and ``OSError`` or ``ValueError`` where the file is missing or damaged.
    """
    key = "architecture" if "architecture" in network else "head"

    def check(found: Mapping) -> None:
        filled = hyperparameters.fill(network[key], found["hyperparameters"])
        if wrong := layers.problems(filled, key == "head"):
            raise ValueError(wrong[0])

    values = read_best(path, check)["hyperparameters"]
    rate = {key: values[key] for key in values if key == hyperparameters.LEARNING_RATE}
    return hyperparameters.fill(network, values), {**training, **rate}


def read_best(path: Path, then: Callable[[Mapping], None] = lambda found: None) -> dict:
    """Return `best` of a search from its file; ``then`` is that of `tables.read_json`.

    Raises ``OSError`` or ``ValueError`` for a file that is missing or damaged.
    """

    def check(found: Mapping) -> None:
        for name, value in found["hyperparameters"].items():
            if not isinstance(value, int | float | str):
                raise ValueError(f"{name} is {value!r:.40}")
            if name == hyperparameters.LEARNING_RATE and not (
                isinstance(value, int | float) and 0 < value < math.inf
            ):
                raise ValueError(f"{name} is {value!r:.40}")
        then(found)

    return tables.read_json(path, "the search", BEST, then=check)
