"""Training the trials of a search: networks that differ in what their ``$names`` stand for.

Trials are trained by our loops, since a trial of a small head finishes before Keras' own loop has
prepared it. A trial that continues from an earlier one does so in its compiled model, from the
weights of its best epoch and with a new optimiser, as in Keras Tuner.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from pulmoscan.backends import loops
from pulmoscan.config import hyperparameters
from pulmoscan.config.stages import Stage
from pulmoscan.networks import build, cut, heads
from pulmoscan.training import loop
from pulmoscan.training.oracle import Trial
from pulmoscan.training.schedule import Schedule

COMPLETED, FAILED = "completed", "failed"
SHARED = 256 << 20  # bytes of variables of the models kept for trials that may share them


@dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Attributes:
        val_accuracy: validation accuracy of its best epoch; 0 for a trial that failed.
        val_loss: validation loss of that epoch; None for a trial that failed.
        epochs: trained, including those of earlier trials that it continues from.
        status: `COMPLETED`, or `FAILED` if a loss was not finite.
        weights: those after its best epoch, None unless a later trial may continue from them.
    """

    val_accuracy: float
    val_loss: float | None
    epochs: int
    status: str
    weights: list[np.ndarray] | None = None


def model_of(
    network: Mapping, tensors: Sequence[Mapping] | None, classes: int, values: Mapping
) -> keras.Model:
    """Return the model, up to its logits, that a trial with some hyperparameters trains.

    Args:
        network: an entry of ``models:`` with ``$names`` in its layers.
        tensors: the cached features that its head takes; None for a network of our own, which
            takes its usual input.
        classes: their number.
        values: the hyperparameters by name.

    Raises:
        ValueError: the features are those of another head.
    """
    filled = hyperparameters.fill(network, values)
    if tensors is not None:
        return heads.on_features(filled["head"], tensors, classes)
    whole = build.build(filled, classes)
    cut.freeze(whole, "all")
    return cut.cut(whole)[1]


def trial_seed(seed: int, trial: str) -> int:
    """Return the seed of all that is random in a trial, 32 bits."""
    return int(np.random.SeedSequence([seed, int(trial)]).generate_state(1)[0])


class Trainer:
    """Trains trials, each as if it were the only one."""

    def __init__(
        self,
        build: Callable[[Mapping], keras.Model],
        order: Callable[[int, int], keras.utils.PyDataset],
        validation: keras.utils.PyDataset,
        stage: Stage,
        seed: int,
        jit_compile: bool,
    ) -> None:
        """Keep what all trials have in common.

        Args:
            build: returns a model, up to its logits, for hyperparameters.
            order: returns the training batches for a trial's seed and an epoch, counted from 0.
            validation: the validation batches.
            stage: the settings of the training; its epochs are those of each trial.
            seed: of the search.
            jit_compile: whether models are compiled with XLA.
        """
        self._build, self._order, self._validation = build, order, validation
        self._stage, self._seed, self._jit_compile = stage, seed, jit_compile
        self._shared: dict[str, tuple[keras.Model, loops.Steps]] = {}

    def run(self, trial: Trial, weights: Sequence[np.ndarray] | None = None) -> Outcome:
        """Train a trial and return what it gave; it continues from ``weights`` if they are given.

        Early stopping and the schedule of the learning rate begin anew with each trial, but count
        epochs from the first trial, as Keras' callbacks do in Keras Tuner. All that is random is a
        function of the search's seed and the trial's name.
        """
        seed = trial_seed(self._seed, trial.name)
        rate = trial.values.get(hyperparameters.LEARNING_RATE, self._stage.learning_rate)
        model, steps = self._model(trial.values, seed)
        if weights is not None:
            model.set_weights(weights)
        model.optimizer.learning_rate = rate
        schedule = Schedule(self._stage, model)
        best = Outcome(-1.0, None, 0, COMPLETED)
        epoch = trial.start
        while epoch < trial.stop and not schedule.stopped:
            trained = steps.fit(self._order(seed, epoch))
            found = steps.evaluate(self._validation)
            if not (math.isfinite(trained["loss"]) and math.isfinite(found["loss"])):
                return Outcome(0.0, None, epoch + 1, FAILED)
            if found["accuracy"] > best.val_accuracy:
                kept = model.get_weights() if trial.continues else None
                best = Outcome(found["accuracy"], found["loss"], 0, COMPLETED, kept)
            if schedule.after(epoch, found["loss"]):
                # From the exact rate: the callback starts from the optimiser's, which is float32.
                rate *= self._stage.reduce_on_plateau["factor"]
                model.optimizer.learning_rate = rate
            epoch += 1
        return replace(best, epochs=epoch)

    def _model(self, values: Mapping, seed: int) -> tuple[keras.Model, loops.Steps]:
        """Return a compiled model in the state of one that was built with this seed.

        The model of an earlier trial that differs only in its learning rate is put into that state,
        because its functions are compiled. Models are kept for that, up to `SHARED` bytes.
        """
        keras.utils.set_random_seed(seed)
        new = self._build(values)
        layers = {name: values[name] for name in values if name != hyperparameters.LEARNING_RATE}
        key = json.dumps(layers, sort_keys=True)
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
            del self._shared[next(iter(self._shared))]  # the least recently used one
        return model, steps


def _size(model: keras.Model) -> int:
    """Return the bytes of a compiled model's variables, in float32."""
    variables = [*model.variables, *model.optimizer.variables]
    return sum(math.prod(variable.shape) for variable in variables) * np.float32().nbytes
