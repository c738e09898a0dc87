"""One training: its stages, their epochs, and resuming after an interruption.

Between two epochs everything that decides the rest is a value that can be written down, so a
training that was killed ends as if it had not been: weights, seed states of dropout, the
optimiser's moments, and what early stopping and the schedule of the learning rate remember.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax

from pulmoscan.backends import loops
from pulmoscan.config.stages import Stage
from pulmoscan.storage import checkpoint
from pulmoscan.training.schedule import Schedule

MEASURES = ("accuracy", "loss", "val_accuracy", "val_loss")
HISTORY = ("epoch", "stage", *MEASURES, "learning_rate")


@dataclass(frozen=True)
class PreparedStage:
    """A stage that is ready to train.

    Attributes:
        model: compiled with the learning rate of the stage.
        changing: the part of the model that training changes: all of it, or what follows a frozen
            part.
        batches: returns the training batches of an epoch, counted from 0 over all stages.
        validation: the validation batches.
    """

    model: keras.Model
    changing: keras.Model
    batches: Callable[[int], keras.utils.PyDataset]
    validation: keras.utils.PyDataset


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        history: one row per epoch, with the keys `HISTORY`.
        stage: the current one, counted from 0.
        epochs: finished in it.
        seconds: spent training.
    """

    history: list[dict] = field(default_factory=list)
    stage: int = 0
    epochs: int = 0
    seconds: float = 0.0

    def table(self) -> pd.DataFrame:
        """Return the history as a table."""
        return pd.DataFrame(self.history, columns=list(HISTORY))


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
    planned: Sequence[Stage],
    prepare: Callable[[int], PreparedStage],
    folder: Path,
    identity: str,
    say: Callable[[str], None] = print,
) -> tuple[Progress, loops.Steps]:
    """Train all stages, resuming from a checkpoint if there is one.

    Early stopping and the schedule of the learning rate (see `Schedule`) begin anew with each
    stage.

    Args:
        planned: the settings of each stage.
        prepare: returns the stage of an index, with the weights that the stage before ended with.
            It is called once for each stage, in their order.
        folder: of the checkpoint, which stays until the caller removes it.
        identity: the checkpoint's fingerprint.
        say: called with one line per epoch.

    Returns:
        The progress, and the last stage's model, ready to predict. All weights are those of the
        training's end.

    Raises:
        ValueError: a loss is not finite.
    """
    found = checkpoint.load(folder, identity)
    progress = Progress(**found[0]["progress"]) if found else Progress()
    variables: dict[int, keras.Variable] = {}  # changed by the stages so far, by their id
    for index, settings in enumerate(planned):
        stage = prepare(index)
        # The variables of a model are its weights and the seed states of its layers.
        variables |= {id(variable): variable for variable in stage.changing.variables}
        if index < progress.stage:
            continue
        state = {"model": list(variables.values()), "optimizer": stage.model.optimizer.variables}
        schedule = Schedule(settings, stage.model, restored=stage.changing)
        if found and index == progress.stage:
            _restore(state, found[1])
            schedule.recall(found[0]["schedule"], found[1]["best"])
            found = None  # as large as the training itself
            say(f"resuming after epoch {len(progress.history)}")
        else:
            progress.stage, progress.epochs = index, 0
        steps = loops.steps(stage.model)
        while progress.epochs < settings.epochs and not schedule.stopped:
            started = time.perf_counter()
            loss = _epoch(steps, stage, progress)
            schedule.after(progress.epochs, loss)
            progress.epochs += 1
            progress.seconds += time.perf_counter() - started
            _save(folder, identity, progress, state, schedule)
            say(_line(progress, planned, schedule.stopped, time.perf_counter() - started))
        schedule.end()
    return progress, steps


def predict(steps: loops.Steps, batches: keras.utils.PyDataset) -> np.ndarray:
    """Return the probabilities of classes, n x classes float64, of a model that gives logits."""
    return softmax(np.asarray(steps.predict(batches), np.float64), axis=1)


def _epoch(steps: loops.Steps, stage: PreparedStage, progress: Progress) -> float:
    """Train one epoch, add its row to the history, and return its validation loss."""
    epoch = len(progress.history)
    found = steps.fit(stage.batches(epoch))
    found |= {f"val_{key}": value for key, value in steps.evaluate(stage.validation).items()}
    rate = float(keras.ops.convert_to_numpy(stage.model.optimizer.learning_rate))
    row = {key: found[key] for key in MEASURES}
    _check(row, epoch, rate)
    progress.history.append(
        {"epoch": epoch + 1, "stage": progress.stage + 1, **row, "learning_rate": rate}
    )
    return row["val_loss"]


def _check(row: Mapping, epoch: int, learning_rate: float) -> None:
    """Raise ``ValueError`` where a loss is not finite."""
    for key in ("loss", "val_loss"):
        if not np.isfinite(row[key]):
            raise ValueError(
                f"{key} is {row[key]} in epoch {epoch + 1}: training diverged; lower "
                f"training.learning_rate ({learning_rate:g}) or set training.mixed_precision: off"
            )


def _line(progress: Progress, planned: Sequence[Stage], stopped: bool, seconds: float) -> str:
    row = progress.history[-1]
    return (
        (f"stage {row['stage']}/{len(planned)}  " if len(planned) > 1 else "")
        + f"epoch {progress.epochs}/{planned[progress.stage].epochs}  loss {row['loss']:.4f}  "
        f"accuracy {row['accuracy']:.4f}  val_loss {row['val_loss']:.4f}  val_accuracy "
        f"{row['val_accuracy']:.4f}  {seconds:.1f} s"
        + ("  stopped: no better validation loss" if stopped else "")
    )


def _save(
    folder: Path, identity: str, progress: Progress, state: Mapping, schedule: Schedule
) -> None:
    values = {"progress": asdict(progress), "schedule": schedule.memory()}
    arrays = {
        name: [keras.ops.convert_to_numpy(variable) for variable in group]
        for name, group in state.items()
    }
    checkpoint.save(folder, identity, values, arrays | {"best": schedule.best_weights})


def _restore(state: Mapping, arrays: Mapping) -> None:
    """Give the variables of a state the values in a checkpoint."""
    for name, group in state.items():
        for variable, value in zip(group, arrays[name], strict=True):
            variable.assign(value)
