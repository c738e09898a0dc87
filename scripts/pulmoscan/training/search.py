"""A search of hyperparameters that can be killed and resumed.

The trials of a search are a function of its seed and of the scores (see `oracle`). So a search that
was killed asks the oracle again from the beginning, and answers at once for the trials that are
finished.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras_tuner
import numpy as np

from pulmoscan.storage import checkpoint
from pulmoscan.training import oracle
from pulmoscan.training.oracle import Trial
from pulmoscan.training.trainer import FAILED, Outcome

VERSION = keras_tuner.__version__  # which decides what the oracle asks for


def search(
    tune: Mapping,
    run: Callable[[Trial, list | None], Outcome],
    folder: Path,
    identity: str,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Run a search, resuming from a checkpoint if there is one, and return one row per trial.

    Args:
        tune: the search, see `oracle.trials`.
        run: trains a trial, from the weights of an earlier one or None, see `Trainer.run`.
        folder: of the checkpoint, which stays until the caller calls `remove`.
        identity: the checkpoint's fingerprint.
        say: called with one line per trial.

    Returns:
        Rows with ``trial``, ``bracket``, ``round``, ``epochs`` (including those of the earlier
        trial that it continues from), ``val_accuracy`` and ``val_loss`` of the best epoch,
        ``status`` (`trainer.COMPLETED` or `trainer.FAILED`), ``seconds`` and ``hyperparameters``.

    Raises:
        ValueError: no trial has a finite loss.
    """
    found = checkpoint.load(folder, identity)
    rows: list[dict] = found[0]["rows"] if found else []
    finished = {row["trial"]: row for row in rows}
    if rows:
        say(f"resuming after {len(rows)} trials")
    else:
        _remove_weights(folder)

    def score(trial: Trial) -> float:
        if trial.name in finished:
            return finished[trial.name]["val_accuracy"]
        if rows and rows[-1]["bracket"] != trial.bracket:
            _remove_weights(folder)  # no trial continues from one of another bracket
        started = time.perf_counter()
        earlier = finished.get(trial.earlier)
        if earlier and earlier["status"] == FAILED:
            outcome = Outcome(0.0, None, trial.start, FAILED)
        else:
            outcome = run(trial, _weights(folder, identity, earlier))
        row = _row(trial, outcome, time.perf_counter() - started)
        rows.append(row)
        finished[trial.name] = row
        # Weights first: without the row they are those of a trial that is run again.
        if outcome.weights is not None:
            checkpoint.save(_place(folder, row), identity, {}, {"weights": outcome.weights})
        checkpoint.save(folder, identity, {"rows": rows}, {})
        say(_line(row))
        return outcome.val_accuracy

    oracle.trials(tune, score)
    if all(row["status"] == FAILED for row in rows):
        raise ValueError(
            f"the loss of all {len(rows)} trials was not finite: "
            "give the space lower learning rates, or set training.mixed_precision: off"
        )
    return rows


def remove(folder: Path) -> None:
    """Remove the checkpoint of a search."""
    _remove_weights(folder)
    checkpoint.remove(folder)


def _row(trial: Trial, outcome: Outcome, seconds: float) -> dict:
    return {
        "trial": trial.name,
        "bracket": trial.bracket,
        "round": trial.round,
        "epochs": outcome.epochs,
        "val_accuracy": outcome.val_accuracy,
        "val_loss": outcome.val_loss,
        "status": outcome.status,
        "seconds": round(seconds, 3),
        "hyperparameters": trial.values,
    }


def _place(folder: Path, row: Mapping) -> Path:
    """Return the folder of the weights of a finished trial."""
    return folder / f"trial-{row['trial']}"


def _weights(folder: Path, identity: str, earlier: Mapping | None) -> list[np.ndarray] | None:
    """Return the weights that a trial continues from; raise ``OSError`` where they are gone."""
    if earlier is None:
        return None
    found = checkpoint.load(_place(folder, earlier), identity)
    if found is None:
        raise OSError(
            f"the weights of trial {earlier['trial']} are no longer in {folder}: "
            "remove that folder, and the search starts over"
        )
    return found[1]["weights"]


def _remove_weights(folder: Path) -> None:
    for place in folder.glob("trial-*"):
        checkpoint.remove(place)


def _line(row: Mapping) -> str:
    chosen = "  ".join(f"{name} {value}" for name, value in row["hyperparameters"].items())
    result = f"val_accuracy {row['val_accuracy']:.4f}"
    if row["status"] == FAILED:
        result = "failed: its loss was not finite"
    return (
        f"trial {row['trial']}  bracket {row['bracket']}  round {row['round']}  "
        f"epoch {row['epochs']}  {result}  {row['seconds']:.1f} s  {chosen}"
    )
