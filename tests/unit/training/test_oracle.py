"""The trials of a search are those of Keras Tuner's Hyperband."""

from pathlib import Path

import keras_tuner
from pulmoscan.backends import backend

backend.configure(threads=2)

from pulmoscan.training import oracle  # noqa: E402

MADE_UP = {"a": {"min": 0, "max": 9, "step": 1}, "b": {"values": [0.5, 1.5, 2.5, 3.5]}}
LARGER = {"max_epochs": 4, "factor": 2, "iterations": 2, "seed": 42, "space": MADE_UP}


def made_up(values: dict) -> float:
    """Return a score of hyperparameters that needs no training."""
    return (7 * values["a"] + 3 * values["b"]) % 11 / 11


def scored(search: dict) -> list[tuple[oracle.Trial, float]]:
    """Return the trials of a search with made-up scores, and the scores."""
    found = []

    def score(trial: oracle.Trial) -> float:
        found.append((trial, made_up(trial.values)))
        return found[-1][1]

    oracle.trials(search, score)
    return found


def test_trials_are_those_of_keras_tuner(tmp_path: Path) -> None:
    asked = []

    class Tuner(keras_tuner.Hyperband):
        def run_trial(self, trial: object, **_: object) -> dict:
            values = trial.hyperparameters.values
            asked.append(dict(values))
            return {"val_accuracy": made_up(values)}

    space = keras_tuner.HyperParameters()
    space.Choice("a", list(range(10)))
    space.Choice("b", [0.5, 1.5, 2.5, 3.5])
    objective = keras_tuner.Objective("val_accuracy", "max")
    Tuner(
        objective=objective,
        max_epochs=4,
        factor=2,
        hyperband_iterations=2,
        seed=42,
        hyperparameters=space,
        directory=tmp_path,
    ).search()
    ours = [
        trial.values
        | {"tuner/epochs": trial.stop, "tuner/initial_epoch": trial.start}
        | {"tuner/bracket": trial.bracket, "tuner/round": trial.round}
        | ({"tuner/trial_id": trial.earlier} if trial.earlier else {})
        for trial, _ in scored(LARGER)
    ]
    assert len(asked) == 30
    assert ours == asked


def test_brackets_and_rounds_are_those_of_the_published_algorithm() -> None:
    found = scored(LARGER | {"iterations": 1})
    # Keras Tuner rounds the sizes of the last rounds up from 3 / (bracket + 1).
    expected = {
        (2, 0): (4, 0, 1),
        (2, 1): (2, 1, 2),
        (2, 2): (1, 2, 4),
        (1, 0): (3, 0, 2),
        (1, 1): (2, 2, 4),
        (0, 0): (3, 0, 4),
    }
    counted = {}
    for trial, _ in found:
        count, *_ = counted.get((trial.bracket, trial.round), (0,))
        counted[trial.bracket, trial.round] = (count + 1, trial.start, trial.stop)
    assert counted == expected
    score = {trial.name: value for trial, value in found}
    named = {trial.name: trial for trial, _ in found}
    for bracket, stage in [(2, 1), (2, 2), (1, 1)]:
        at = {place: [] for place in (stage - 1, stage)}
        for trial, _ in found:
            if trial.bracket == bracket and trial.round in at:
                at[trial.round].append(trial)
        best = sorted((score[trial.name] for trial in at[stage - 1]), reverse=True)
        assert [score[trial.earlier] for trial in at[stage]] == best[: len(at[stage])]
        assert all(named[trial.earlier].continues for trial in at[stage])
        assert all(named[trial.earlier].values == trial.values for trial in at[stage])


def test_all_values_of_the_space_and_no_others_can_be_drawn() -> None:
    space = {"a": {"min": 0, "max": 9, "step": 1}, "b": {"min": 0, "max": 0.5, "step": 0.1}}
    drawn = [trial.values for trial, _ in scored(LARGER | {"space": space, "iterations": 6})]
    assert {values["b"] for values in drawn} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert {values["a"] for values in drawn} == set(range(10))


def test_the_seed_decides_the_trials_even_if_it_is_0() -> None:
    drawn = [
        [trial.values for trial, _ in scored(LARGER | {"seed": seed})] for seed in (0, 0, 42, 1)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2] != drawn[3] != drawn[0]


def test_a_space_with_few_combinations_ends_the_search() -> None:
    space = {"a": {"values": [1, 2]}, "b": {"values": [0.5]}}
    found = scored(LARGER | {"space": space})
    assert sorted(trial.values["a"] for trial, _ in found) == [1, 2]
