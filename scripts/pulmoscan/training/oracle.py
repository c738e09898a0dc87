"""Which trials a search makes: those of Keras Tuner's Hyperband.

Keras Tuner's oracle decides which hyperparameters are tried, how long each trial trains and which
trials continue. It is a function of the seed and of the scores.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras_tuner

from pulmoscan.config import hyperparameters

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
SEED_OF_0 = 2**31 - 1  # Keras Tuner takes 0 for no seed, and draws one


@dataclass(frozen=True)
class Trial:
    """What the oracle asks for.

    Attributes:
        name: its number, in four digits or more.
        bracket: of Hyperband.
        round: of the bracket.
        start: epochs that earlier trials have trained it for.
        stop: epochs after which it ends.
        earlier: name of the trial whose weights it continues from; None begins with new weights.
        continues: whether a later trial may continue from it.
        values: the hyperparameters by name.
    """

    name: str
    bracket: int
    round: int
    start: int
    stop: int
    earlier: str | None
    continues: bool
    values: dict


def trials(tune: Mapping, score: Callable[[Trial], float]) -> None:
    """Call ``score`` for each trial of a search; it returns the trial's validation accuracy.

    ``tune`` has ``max_epochs``, ``factor``, ``iterations``, ``seed`` and ``space`` (see
    `hyperparameters`). A trial that failed must score 0: the oracle would end a whole bracket for
    one without a score. The search ends early once all combinations of the space were tried.
    """
    space = keras_tuner.HyperParameters()
    for name, entry in tune["space"].items():
        space.Choice(name, hyperparameters.choices(entry))
    # The oracle writes one file per trial, which nothing reads.
    with tempfile.TemporaryDirectory() as folder:
        oracle = keras_tuner.Hyperband(
            objective=OBJECTIVE,
            max_epochs=tune["max_epochs"],
            factor=tune["factor"],
            hyperband_iterations=tune["iterations"],
            seed=tune["seed"] or SEED_OF_0,
            hyperparameters=space,
            directory=folder,
            project_name="oracle",
        ).oracle
        oracle.verbose = 0
        while (asked := oracle.create_trial("search")).status == "RUNNING":
            accuracy = score(_trial(asked.trial_id, asked.hyperparameters.values, tune["space"]))
            oracle.update_trial(asked.trial_id, {OBJECTIVE.name: accuracy})
            asked.status = "COMPLETED"
            oracle.end_trial(asked)


def _trial(name: str, values: Mapping, space: Mapping) -> Trial:
    bracket, number = values["tuner/bracket"], values["tuner/round"]
    return Trial(
        name,
        bracket,
        number,
        values["tuner/initial_epoch"],
        values["tuner/epochs"],
        values.get("tuner/trial_id"),
        number < bracket,
        {key: values[key] for key in space},
    )
