"""A search by Keras Tuner's Hyperband, on networks that differ in what their ``$names`` stand for.

Keras Tuner's oracle says which trials there are, how long each trains and which go on. They are
trained as `training` does it: a trial of a small head is over before Keras' own loop has prepared
it. A trial that goes on from an earlier one does so in its compiled model, from the weights of its
best epoch and with a new optimiser, as in Keras Tuner.

The oracle is a function of the seed and of the scores. So a search that was killed asks it again
from the beginning, and answers itself for the trials that are finished.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from pulmoscan.backends import loops
from pulmoscan.config import hyperparameters
from pulmoscan.inputs import batches
from pulmoscan.networks import build, cut, layers
from pulmoscan.storage import checkpoint
from pulmoscan.training import loop

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
COMPLETED, FAILED = "completed", "failed"
SHARED = 256 << 20  # bytes of variables of the models that are kept for trials that may go on
SEED_OF_0 = 2**31 - 1  # Keras Tuner takes 0 for no seed, and draws one


@dataclass(frozen=True)
class Trial:
    """What the oracle asks for: epochs ``start`` to ``stop`` with these hyperparameters.

    ``earlier`` is the trial whose weights it goes on from, None where it begins with new ones.
    ``goes_on`` is whether a later trial may go on from this one.
    """

    name: str
    bracket: int
    round: int
    start: int
    stop: int
    earlier: str | None
    goes_on: bool
    values: dict


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: its best epoch's validation accuracy and loss, and the weights then.

    ``epochs`` counts those of earlier trials that it goes on from. A trial ``failed`` when a loss
    was not finite; its accuracy is 0, its loss None, and it has no weights.
    """

    val_accuracy: float
    val_loss: float | None
    epochs: int
    status: str
    weights: list[np.ndarray] | None = None


def trials(tune: Mapping, score: Callable[[Trial], float]) -> None:
    """Call ``score`` for each trial of a search; it returns the trial's validation accuracy.

    ``tune`` has ``max_epochs``, ``factor``, ``iterations``, ``seed`` and ``space`` (see
    `hyperparameters`). A trial that failed scores 0: the oracle would stop a whole bracket for one
    without a score. The search ends early where all combinations of the space were tried.
    """
    space = keras_tuner.HyperParameters()
    for name, entry in tune["space"].items():
        space.Choice(name, hyperparameters.choices(entry))
    # The oracle writes a file a trial, which nothing reads.
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
    bracket, stage = values["tuner/bracket"], values["tuner/round"]
    return Trial(
        name,
        bracket,
        stage,
        values["tuner/initial_epoch"],
        values["tuner/epochs"],
        values.get("tuner/trial_id"),
        stage < bracket,
        {key: values[key] for key in space},
    )


def head(layers_: Sequence, tensors: Sequence[Mapping], classes: int) -> keras.Model:
    """Return the head of a frozen backbone, from its cached features to ``logits``.

    ``tensors`` describe the features (see `batches.Features`): the backbone's maps, or its pooled
    output, behind which the head's ``average_pooling`` has nothing left to do. It is what
    `cut.cut` cuts off the whole network. Raises ``ValueError`` for other features.
    """
    pooled = len(tensors) == 1 and tensors[0]["layer"] == layers.POOLED
    if len(tensors) != 1 or pooled != (layers_[0] == "average_pooling"):
        names = ", ".join(tensor["layer"] for tensor in tensors)
        raise ValueError(
            f"the features are the output of {names}, but the head begins with {layers_[0]}: "
            "they belong to another head"
        )
    start = keras.Input(tensors[0]["shape"], name=tensors[0]["layer"])
    x = layers.apply(start, layers_[1:] if pooled else layers_)
    return keras.Model(start, keras.layers.Dense(classes, name="logits", dtype="float32")(x))


def architecture(network: Mapping, classes: int) -> keras.Model:
    """Return a network of our own, from its input to ``logits``."""
    whole = build.build(network, classes)
    cut.freeze(whole, "all")
    return cut.cut(whole)[1]


def held(features: batches.Features, rows: np.ndarray) -> batches.Features:
    """Return the features of some rows in memory, or as they are where they are too large for it.

    Raises ``ValueError`` when there are none for a row.
    """
    rows = np.unique(rows)
    if len(rows) * features.values.shape[1] * np.float32().nbytes > batches.IN_MEMORY:
        return features
    return replace(features, values=features.read(rows).reshape(len(rows), -1), rows=rows)


def trial_seed(seed: int, trial: str) -> int:
    """Return the seed of all that is random in a trial, 32 bits."""
    return int(np.random.SeedSequence([seed, int(trial)]).generate_state(1)[0])


class Trainer:
    """Trains trials, each as if it were the only one.

    ``build`` returns a model, up to its logits, for hyperparameters. ``order`` gives the training
    batches of a trial's seed and an epoch counted from 0, ``validation`` are batches too.
    ``settings`` are those of one stage of a training, whose epochs the trial says; ``seed`` is the
    search's.
    """

    def __init__(
        self,
        build: Callable[[Mapping], keras.Model],
        order: Callable[[int, int], keras.utils.PyDataset],
        validation: keras.utils.PyDataset,
        settings: loop.Settings,
        seed: int,
        jit_compile: bool,
    ) -> None:
        self._build, self._order, self._validation = build, order, validation
        self._settings, self._seed, self._jit_compile = settings, seed, jit_compile
        self._shared: dict[str, tuple[keras.Model, loops.Steps]] = {}

    def run(self, trial: Trial, weights: Sequence[np.ndarray] | None = None) -> Outcome:
        """Train a trial, from ``weights`` where it goes on, and return what it gave.

        Early stopping and the schedule of the learning rate begin anew with each trial, but count
        epochs from the first one, as Keras' callbacks do in Keras Tuner. All that is random is a
        function of the search's seed and the trial's name.
        """
        seed = trial_seed(self._seed, trial.name)
        rate = trial.values.get(hyperparameters.LEARNING_RATE, self._settings.learning_rate)
        model, steps = self._model(trial.values, seed)
        if weights is not None:
            model.set_weights(weights)
        model.optimizer.learning_rate = rate
        schedule = loop.Schedule(epochs=trial.start)
        best = Outcome(-1.0, None, 0, COMPLETED)
        while schedule.epochs < trial.stop and not schedule.stopped:
            trained = steps.fit(self._order(seed, schedule.epochs))
            found = steps.evaluate(self._validation)
            if not (math.isfinite(trained["loss"]) and math.isfinite(found["loss"])):
                return Outcome(0.0, None, schedule.epochs + 1, FAILED)
            if found["accuracy"] > best.val_accuracy:
                kept = model.get_weights() if trial.goes_on else None
                best = Outcome(found["accuracy"], found["loss"], 0, COMPLETED, kept)
            loop.improves(schedule, found["loss"], self._settings)
            if loop.plateaus(schedule, found["loss"], self._settings):
                rate *= self._settings.reduce_on_plateau["factor"]
                model.optimizer.learning_rate = rate
            schedule.epochs += 1
        return replace(best, epochs=schedule.epochs)

    def _model(self, values: Mapping, seed: int) -> tuple[keras.Model, loops.Steps]:
        """Return a compiled model in the state of one that was built with this seed.

        A model of an earlier trial that differs in the learning rate alone is put into that state:
        its functions are compiled. Models are kept for that up to `SHARED` bytes.
        """
        keras.utils.set_random_seed(seed)
        new = self._build(values)
        layers_ = {name: values[name] for name in values if name != hyperparameters.LEARNING_RATE}
        key = json.dumps(layers_, sort_keys=True)
        if key in self._shared:
            model, steps = self._shared.pop(key)
            # The variables of a model are its weights and the seed states of its layers.
            for variable, value in zip(model.variables, new.variables, strict=True):
                variable.assign(value)
            for variable in model.optimizer.variables:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        else:
            loop.compile_model(new, 1.0, self._jit_compile)
            model, steps = new, loops.steps(new)
        self._shared[key] = model, steps
        while (
            len(self._shared) > 1 and sum(_size(kept) for kept, _ in self._shared.values()) > SHARED
        ):
            del self._shared[next(iter(self._shared))]  # the one that was not used for longest
        return model, steps


def search(
    tune: Mapping,
    run: Callable[[Trial, list | None], Outcome],
    folder: Path,
    identity: str,
) -> list[dict]:
    """Run a search, from a checkpoint where there is one, and return a row a trial.

    Prints a line a trial.

    Args:
        tune: the search, see `trials`.
        run: trains a trial, from the weights of an earlier one or None, see `Trainer.run`.
        folder: of the checkpoint, which stays until the caller calls `remove`.
        identity: the checkpoint's fingerprint.

    Returns:
        Rows with ``trial``, ``bracket``, ``round``, ``epochs`` (those of the earlier trial that it
        goes on from included), ``val_accuracy`` of the best epoch and its ``val_loss``, ``status``
        (`COMPLETED` or `FAILED`), ``seconds`` and ``hyperparameters``.

    Raises:
        ValueError: when no trial has a finite loss.
    """
    found = checkpoint.load(folder, identity)
    rows: list[dict] = found[0]["rows"] if found else []
    finished = {row["trial"]: row for row in rows}
    if rows:
        print(f"going on after {len(rows)} trials", flush=True)
    else:
        _remove_weights(folder)

    def score(trial: Trial) -> float:
        if trial.name in finished:
            return finished[trial.name]["val_accuracy"]
        if rows and rows[-1]["bracket"] != trial.bracket:
            _remove_weights(folder)  # no trial goes on from one of another bracket
        started = time.perf_counter()
        earlier = finished.get(trial.earlier)
        if earlier and earlier["status"] == FAILED:
            outcome = Outcome(0.0, None, trial.start, FAILED)
        else:
            outcome = run(trial, _weights(folder, identity, earlier))
        row = {
            "trial": trial.name,
            "bracket": trial.bracket,
            "round": trial.round,
            "epochs": outcome.epochs,
            "val_accuracy": outcome.val_accuracy,
            "val_loss": outcome.val_loss,
            "status": outcome.status,
            "seconds": round(time.perf_counter() - started, 3),
            "hyperparameters": trial.values,
        }
        rows.append(row)
        finished[trial.name] = row
        # Weights first: without the row they are those of a trial that is run again.
        if outcome.weights is not None:
            checkpoint.save(_place(folder, row), identity, {}, {"weights": outcome.weights})
        checkpoint.save(folder, identity, {"rows": rows}, {})
        _print(row)
        return outcome.val_accuracy

    trials(tune, score)
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


def _size(model: keras.Model) -> int:
    """Return the bytes of a compiled model's variables, in float32."""
    variables = [*model.variables, *model.optimizer.variables]
    return sum(math.prod(variable.shape) for variable in variables) * np.float32().nbytes


def _place(folder: Path, row: Mapping) -> Path:
    """Return the folder of the weights of a finished trial."""
    return folder / f"trial-{row['trial']}"


def _weights(folder: Path, identity: str, earlier: Mapping | None) -> list[np.ndarray] | None:
    """Return the weights that a trial goes on from; raise ``OSError`` where they are gone."""
    if earlier is None:
        return None
    found = checkpoint.load(_place(folder, earlier), identity)
    if found is None:
        raise OSError(
            f"the weights of trial {earlier['trial']} are not in {folder} any more: "
            "remove that folder, and the search begins anew"
        )
    return found[1]["weights"]


def _remove_weights(folder: Path) -> None:
    for place in folder.glob("trial-*"):
        checkpoint.remove(place)


def _print(row: Mapping) -> None:
    chosen = "  ".join(f"{name} {value}" for name, value in row["hyperparameters"].items())
    result = f"val_accuracy {row['val_accuracy']:.4f}"
    if row["status"] == FAILED:
        result = "failed: its loss was not finite"
    print(
        f"trial {row['trial']}  bracket {row['bracket']}  round {row['round']}  "
        f"epoch {row['epochs']}  {result}  {row['seconds']:.1f} s  {chosen}",
        flush=True,
    )
