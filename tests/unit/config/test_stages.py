"""Stages: an entry overrides the settings of the training that it names."""

import doctest
from dataclasses import replace

from pulmoscan.config import stages
from pulmoscan.config.stages import Stage

TRAINING = {
    "epochs": 15,
    "batch_size": 32,
    "learning_rate": 0.001,
    "patience": 5,
    "start_from_epoch": 3,
    "reduce_on_plateau": None,
    "stages": None,
    "threads": 2,
}
ONE = Stage("19", 15, 0.001, 5, 3, None)


def test_a_training_without_stages_is_one_stage() -> None:
    assert stages.resolve(TRAINING, "19") == [ONE]
    without = {key: value for key, value in TRAINING.items() if key != "stages"}
    assert stages.resolve(without, "19") == [ONE]


def test_entries_change_what_they_name_and_nothing_else() -> None:
    plateau = {"factor": 0.2, "patience": 6}
    entries = [
        {"unfreeze": 0, "patience": None},
        {"unfreeze": "half", "epochs": 3, "reduce_on_plateau": plateau},
        {"learning_rate": 1e-5, "start_from_epoch": 0},
    ]
    staged = TRAINING | {"stages": entries}
    assert stages.resolve(staged, "19") == [
        replace(ONE, unfreeze="0", patience=None),
        replace(ONE, unfreeze="half", epochs=3, reduce_on_plateau=plateau),
        replace(ONE, learning_rate=1e-5, start_from_epoch=0),
    ]
    assert stages.single(staged, "19") == ONE


def test_the_example_in_the_documentation() -> None:
    result = doctest.testmod(stages)
    assert result.attempted
    assert not result.failed
