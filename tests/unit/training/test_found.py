"""What a search found: one row per trial, the best of them, and the network that uses it."""

import json
from pathlib import Path

import pytest
from pulmoscan.training import found


def row(trial: str, accuracy: float, loss: float | None, **values: object) -> dict:
    facts = {"trial": trial, "val_accuracy": accuracy, "val_loss": loss, "seconds": 1.2346}
    return facts | {"hyperparameters": values}


ROWS = [
    row("0000", 0.0, None, units=4, learning_rate=1e30),
    row("0001", 0.5, 0.9, units=8, learning_rate=0.1),
    row("0002", 0.75, 0.7, units=8, learning_rate=0.01),
    row("0003", 0.75, 0.6, units=16, learning_rate=0.01),
]


def test_the_first_of_the_best_trials_is_taken() -> None:
    assert found.best(ROWS) == {
        "hyperparameters": {"units": 8, "learning_rate": 0.01},
        "val_accuracy": 0.75,
        "trial": "0002",
        "trials": 4,
        "seconds": 4.938,
    }


def test_hyperparameters_are_columns() -> None:
    table = found.trials(ROWS)
    columns = ["trial", "val_accuracy", "val_loss", "seconds", "units", "learning_rate"]
    assert list(table) == columns
    assert list(table["units"]) == [4, 8, 8, 16]


def test_what_was_found_fills_network_and_training(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(json.dumps(found.best(ROWS)))
    network, training = {"head": ["flatten", {"dense": "$units"}]}, {"epochs": 3, "threads": 2}
    assert found.fill(network, training, tmp_path / "best.json") == (
        {"head": ["flatten", {"dense": 8}]},
        {"epochs": 3, "threads": 2, "learning_rate": 0.01},
    )
    with pytest.raises(ValueError, match=r"no value for \$share"):
        found.fill({"head": [{"dropout": "$share"}]}, training, tmp_path / "best.json")


def test_a_damaged_file_of_a_search_is_named(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text('{"hyperparameters": {')
    with pytest.raises(ValueError, match=r"best\.json is damaged .*run the search again"):
        found.fill({}, {}, tmp_path / "best.json")
