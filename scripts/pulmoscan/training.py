"""One training: epochs, early stopping, and going on after an interruption.

Each epoch is one call of ``fit``. Between two epochs everything that decides the rest is a value
that can be written down, so a training that was killed ends as if it had not been: weights, seed
states of dropout, the optimiser's moments, and what early stopping remembers.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from pulmoscan import checkpoint

HISTORY = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss", "learning_rate")


@dataclass(frozen=True)
class Settings:
    """Settings of a training, named as in the configuration; epochs of ``start_from_epoch`` from 0.

    ``patience`` None trains all epochs and keeps the last weights.
    """

    epochs: int
    learning_rate: float
    patience: int | None = None
    start_from_epoch: int = 0


@dataclass
class Progress:
    """What is known after some epochs: history, and what early stopping remembers."""

    history: list[dict] = field(default_factory=list)
    best: float | None = None
    wait: int = 0
    stopped: bool = False
    seconds: float = 0.0


def compile_model(model: keras.Model, learning_rate: float, jit_compile: bool) -> None:
    """Prepare a model with logits as output for Adam and sparse categorical cross-entropy."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    model.optimizer.build(model.trainable_variables)


def train(
    model: keras.Model,
    changing: keras.Model,
    batches: Callable[[int], keras.utils.PyDataset],
    validation: keras.utils.PyDataset,
    settings: Settings,
    folder: Path,
    identity: str,
) -> Progress:
    """Train a compiled model in place, from its checkpoint where there is one; return its progress.

    ``changing`` is the part of ``model`` that training changes (all of it, or what follows a frozen
    part). ``batches`` gives the training batches of an epoch counted from 0. Early stopping follows
    ``keras.callbacks.EarlyStopping`` on the validation loss with ``restore_best_weights``: epochs
    before ``start_from_epoch`` are not looked at, and the weights of the best epoch are restored
    also when training ends by itself. ``folder`` and ``identity`` are the checkpoint's; it stays
    until the caller removes it. Prints a line an epoch. Raises ``ValueError`` when a loss is not
    finite.
    """
    progress, best_weights = _resume(model, changing, folder, identity)
    for epoch in range(len(progress.history), settings.epochs):
        if progress.stopped:
            break
        started = time.perf_counter()
        found = model.fit(
            batches(epoch),
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
        ).history
        row = {key: float(found[key][0]) for key in HISTORY[1:5]}
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        progress.history.append({"epoch": epoch + 1, **row, "learning_rate": rate})
        _check(row, epoch, settings.learning_rate)
        if _improves(progress, row["val_loss"], epoch, settings):
            best_weights = changing.get_weights()
        progress.seconds += time.perf_counter() - started
        _save(model, changing, folder, identity, progress, best_weights)
        _print(progress, settings, time.perf_counter() - started)
    if best_weights:
        changing.set_weights(best_weights)
    return progress


def _improves(progress: Progress, loss: float, epoch: int, settings: Settings) -> bool:
    """Update what early stopping remembers; return whether the epoch's weights are the best."""
    if settings.patience is None or epoch < settings.start_from_epoch:
        return False
    if progress.best is None or loss < progress.best:
        progress.best, progress.wait = loss, 0
        return True
    progress.wait += 1
    progress.stopped = progress.wait >= settings.patience
    return False


def _check(row: dict, epoch: int, learning_rate: float) -> None:
    for key in ("loss", "val_loss"):
        if not np.isfinite(row[key]):
            raise ValueError(
                f"{key} is {row[key]} in epoch {epoch + 1}: training diverged; lower "
                f"training.learning_rate ({learning_rate:g}) or set training.mixed_precision: off"
            )


def _print(progress: Progress, settings: Settings, seconds: float) -> None:
    row = progress.history[-1]
    print(
        f"epoch {row['epoch']}/{settings.epochs}  loss {row['loss']:.4f}  accuracy "
        f"{row['accuracy']:.4f}  val_loss {row['val_loss']:.4f}  val_accuracy "
        f"{row['val_accuracy']:.4f}  {seconds:.1f} s"
        + ("  stopped: no better validation loss" if progress.stopped else ""),
        flush=True,
    )


def _save(
    model: keras.Model,
    changing: keras.Model,
    folder: Path,
    identity: str,
    progress: Progress,
    best_weights: list,
) -> None:
    # The variables of a model are its weights and the seed states of its layers.
    arrays = {
        "model": [keras.ops.convert_to_numpy(v) for v in changing.variables],
        "optimizer": [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables],
        "best": best_weights,
    }
    checkpoint.save(folder, identity, asdict(progress), arrays)


def _resume(
    model: keras.Model, changing: keras.Model, folder: Path, identity: str
) -> tuple[Progress, list]:
    """Return the progress and the best weights of a checkpoint, and put the model in its state."""
    found = checkpoint.load(folder, identity)
    if found is None:
        return Progress(), []
    values, arrays = found
    for variables, group in (
        (changing.variables, arrays["model"]),
        (model.optimizer.variables, arrays["optimizer"]),
    ):
        for variable, value in zip(variables, group, strict=True):
            variable.assign(value)
    print(f"going on after epoch {len(values['history'])}", flush=True)
    return Progress(**values), arrays["best"]


def predict(model: keras.Model, batches: keras.utils.PyDataset) -> np.ndarray:
    """Return the probabilities of classes, n x classes float64, of a model that gives logits."""
    logits = np.asarray(model.predict(batches, verbose=0), np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
