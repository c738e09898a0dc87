"""The stages of a training: what each of them unfreezes, how long it trains and how fast.

Imported while the Snakefile is parsed, so nothing heavy is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Stage:
    """The settings of one stage, named as in the configuration.

    Attributes:
        unfreeze: what is trained besides the head: a number of layers as text, ``half`` or ``all``.
        epochs: the most that it trains.
        learning_rate: of its first epoch.
        patience: epochs without a better validation loss after which it stops; it ends with the
            weights of its best epoch. None trains all epochs and keeps the last weights.
        start_from_epoch: the epoch, counted from 0, from which validation losses count for that.
        reduce_on_plateau: the learning rate is multiplied by ``factor`` after ``patience`` epochs
            without a better validation loss; None leaves it as it is.
    """

    unfreeze: str
    epochs: int
    learning_rate: float
    patience: int | None = None
    start_from_epoch: int = 0
    reduce_on_plateau: Mapping[str, float] | None = None


def single(training: Mapping[str, Any], unfreeze: str) -> Stage:
    """Return a training without its ``stages``, as one stage."""
    return Stage(**({"unfreeze": unfreeze} | _settings(training)))


def resolve(training: Mapping[str, Any], unfreeze: str) -> list[Stage]:
    """Return the stages of a run, in their order.

    Example:
        >>> training = {"epochs": 15, "learning_rate": 1e-3, "stages": [{"unfreeze": 0}, {}]}
        >>> [(stage.unfreeze, stage.epochs) for stage in resolve(training, "half")]
        [('0', 15), ('half', 15)]

    Args:
        training: the training settings. Each entry of ``stages`` overrides the settings that it
            names; without ``stages`` the training is a single stage.
        unfreeze: what the run unfreezes, for stages that do not say so themselves.
    """
    common = single(training, unfreeze)
    return [replace(common, **_settings(entry)) for entry in training.get("stages") or [{}]]


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of an entry that belong to a stage."""
    found = {field.name: entry[field.name] for field in fields(Stage) if field.name in entry}
    return found | ({"unfreeze": str(found["unfreeze"])} if "unfreeze" in found else {})
