"""One training: its stages, their epochs, early stopping, and going on after an interruption.

Between two epochs everything that decides the rest is a value that can be written down, so a
training that was killed ends as if it had not been: weights, seed states of dropout, the
optimiser's moments, and what early stopping and the learning rate's schedule remember.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from pulmoscan.backends import loops
from pulmoscan.storage import checkpoint

MEASURES = ("accuracy", "loss", "val_accuracy", "val_loss")
HISTORY = ("epoch", "stage", *MEASURES, "learning_rate")
MIN_DELTA = 1e-4  # the least gain that counts for Keras' ReduceLROnPlateau


@dataclass(frozen=True)
class Settings:
    """Settings of a stage, named as in the configuration; epochs of ``start_from_epoch`` from 0.

    ``patience`` None trains all epochs and keeps the last weights. ``reduce_on_plateau`` multiplies
    the learning rate by ``factor`` after ``patience`` epochs without a better validation loss.
    """

    epochs: int
    learning_rate: float
    patience: int | None = None
    start_from_epoch: int = 0
    reduce_on_plateau: Mapping | None = None


@dataclass(frozen=True)
class Stage:
    """A stage that is ready to train.

    ``model`` is compiled with ``settings.learning_rate``, and ``changing`` is the part of it that
    training changes (all of it, or what follows a frozen part). ``batches`` gives the training
    batches of an epoch, counted from 0 over all stages.
    """

    model: keras.Model
    changing: keras.Model
    batches: Callable[[int], keras.utils.PyDataset]
    validation: keras.utils.PyDataset
    settings: Settings


@dataclass
class Schedule:
    """What early stopping and the schedule of the learning rate remember of a stage."""

    epochs: int = 0
    best: float | None = None
    wait: int = 0
    stopped: bool = False
    plateau_best: float | None = None
    plateau_wait: int = 0


@dataclass
class Progress:
    """What is known after some epochs; ``stage`` counts from 0."""

    history: list[dict] = field(default_factory=list)
    stage: int = 0
    schedule: Schedule = field(default_factory=Schedule)
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
    prepare: Callable[[int], Stage], number: int, folder: Path, identity: str
) -> tuple[Progress, loops.Steps]:
    """Train some stages, from a checkpoint where there is one.

    Early stopping follows ``keras.callbacks.EarlyStopping`` on the validation loss with
    ``restore_best_weights``: epochs before ``start_from_epoch`` are not looked at, and the weights
    of the best epoch are restored also when a stage ends by itself. The learning rate follows
    ``keras.callbacks.ReduceLROnPlateau`` on the validation loss. Both begin anew with each stage.
    Prints a line an epoch.

    Args:
        prepare: gives a stage, counted from 0, whose weights are those at the end of the stage
            before. It is called for each stage once, in their order.
        number: of stages.
        folder: of the checkpoint, which stays until the caller removes it.
        identity: the checkpoint's fingerprint.

    Returns:
        The progress, and the last stage's model, ready to predict. All weights are those of the
        training's end.

    Raises:
        ValueError: when a loss is not finite.
    """
    found = checkpoint.load(folder, identity)
    progress = _progress(found[0]) if found else Progress()
    variables: dict[int, keras.Variable] = {}  # that a stage up to now changes, by their id
    for index in range(number):
        stage = prepare(index)
        # The variables of a model are its weights and the seed states of its layers.
        variables |= {id(variable): variable for variable in stage.changing.variables}
        if index < progress.stage:
            continue
        state = {"model": list(variables.values()), "optimizer": stage.model.optimizer.variables}
        best_weights: list = []
        if found and index == progress.stage:
            _restore(state, found[1])
            best_weights = found[1]["best"]
            found = None  # as large as the training itself
            print(f"going on after epoch {len(progress.history)}", flush=True)
        else:
            progress.stage, progress.schedule = index, Schedule()
        steps, schedule = loops.steps(stage.model), progress.schedule
        while schedule.epochs < stage.settings.epochs and not schedule.stopped:
            started = time.perf_counter()
            loss = _epoch(steps, stage, progress)
            if improves(schedule, loss, stage.settings):
                best_weights = stage.changing.get_weights()
            if plateaus(schedule, loss, stage.settings):
                reduce_rate(stage.model.optimizer, stage.settings.reduce_on_plateau["factor"])
            schedule.epochs += 1
            progress.seconds += time.perf_counter() - started
            _save(folder, identity, progress, state, best_weights)
            _print(progress, stage.settings, number, time.perf_counter() - started)
        if best_weights:
            stage.changing.set_weights(best_weights)
    return progress, steps


def predict(steps: loops.Steps, batches: keras.utils.PyDataset) -> np.ndarray:
    """Return the probabilities of classes, n x classes float64, of a model that gives logits."""
    logits = np.asarray(steps.predict(batches), np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _epoch(steps: loops.Steps, stage: Stage, progress: Progress) -> float:
    """Train one epoch, add its row to the history, and return its validation loss."""
    epoch = len(progress.history)
    found = steps.fit(stage.batches(epoch))
    found |= {f"val_{key}": value for key, value in steps.evaluate(stage.validation).items()}
    rate = rate_of(stage.model.optimizer)
    row = {key: found[key] for key in MEASURES}
    _check(row, epoch, rate)
    progress.history.append(
        {"epoch": epoch + 1, "stage": progress.stage + 1, **row, "learning_rate": rate}
    )
    return row["val_loss"]


def improves(schedule: Schedule, loss: float, settings: Settings) -> bool:
    """Update what early stopping remembers by an epoch's validation loss, before it is counted.

    Returns whether the epoch's weights are the best so far.
    """
    if settings.patience is None or schedule.epochs < settings.start_from_epoch:
        return False
    if schedule.best is None or loss < schedule.best:
        schedule.best, schedule.wait = loss, 0
        return True
    schedule.wait += 1
    schedule.stopped = schedule.wait >= settings.patience
    return False


def plateaus(schedule: Schedule, loss: float, settings: Settings) -> bool:
    """Update what the schedule of the learning rate remembers by an epoch's validation loss.

    Returns whether the rate is to be reduced.
    """
    if settings.reduce_on_plateau is None:
        return False
    best = schedule.plateau_best
    if best is None or np.float32(loss + MIN_DELTA) < np.float32(best):  # as Keras compares them
        schedule.plateau_best, schedule.plateau_wait = loss, 0
        return False
    schedule.plateau_wait += 1
    if schedule.plateau_wait < settings.reduce_on_plateau["patience"]:
        return False
    schedule.plateau_wait = 0
    return True


def rate_of(optimizer: keras.Optimizer) -> float:
    """Return an optimiser's learning rate."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def reduce_rate(optimizer: keras.Optimizer, factor: float) -> None:
    """Multiply an optimiser's learning rate."""
    optimizer.learning_rate = rate_of(optimizer) * factor


def _check(row: dict, epoch: int, learning_rate: float) -> None:
    for key in ("loss", "val_loss"):
        if not np.isfinite(row[key]):
            raise ValueError(
                f"{key} is {row[key]} in epoch {epoch + 1}: training diverged; lower "
                f"training.learning_rate ({learning_rate:g}) or set training.mixed_precision: off"
            )


def _print(progress: Progress, settings: Settings, number: int, seconds: float) -> None:
    row = progress.history[-1]
    print(
        (f"stage {row['stage']}/{number}  " if number > 1 else "")
        + f"epoch {progress.schedule.epochs}/{settings.epochs}  loss {row['loss']:.4f}  accuracy "
        f"{row['accuracy']:.4f}  val_loss {row['val_loss']:.4f}  val_accuracy "
        f"{row['val_accuracy']:.4f}  {seconds:.1f} s"
        + ("  stopped: no better validation loss" if progress.schedule.stopped else ""),
        flush=True,
    )


def _save(
    folder: Path, identity: str, progress: Progress, state: Mapping, best_weights: list
) -> None:
    arrays = {
        name: [keras.ops.convert_to_numpy(variable) for variable in group]
        for name, group in state.items()
    }
    checkpoint.save(folder, identity, asdict(progress), arrays | {"best": best_weights})


def _progress(values: Mapping) -> Progress:
    return Progress(**{**values, "schedule": Schedule(**values["schedule"])})


def _restore(state: Mapping, arrays: Mapping) -> None:
    """Put the variables of a state into that of a checkpoint."""
    for name, group in state.items():
        for variable, value in zip(group, arrays[name], strict=True):
            variable.assign(value)
