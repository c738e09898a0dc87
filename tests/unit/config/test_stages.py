"""Stages: an entry lays its settings over those of the training."""

import pytest
from pulmoscan.config import stages

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
ONE = {
    "unfreeze": "19",
    "epochs": 15,
    "learning_rate": 0.001,
    "patience": 5,
    "start_from_epoch": 3,
    "reduce_on_plateau": None,
}


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
    assert stages.resolve(TRAINING | {"stages": entries}, "19") == [
        ONE | {"unfreeze": "0", "patience": None},
        ONE | {"unfreeze": "half", "epochs": 3, "reduce_on_plateau": plateau},
        ONE | {"learning_rate": 1e-5, "start_from_epoch": 0},
    ]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "training.stages is empty"),
        ([{}, {"rate": 1}], "stage 2: unknown key 'rate', expected unfreeze, epochs,"),
        ([{}, {"unfreeze": "0"}], "the last stage unfreezes 0, but the run unfreezes 19"),
    ],
)
def test_stages_that_cannot_be(entries: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stages.resolve(TRAINING | {"stages": entries}, "19")
