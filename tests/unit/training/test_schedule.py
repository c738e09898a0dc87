"""Early stopping and learning rates: those that trainings have always had, to the last bit."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402
from pulmoscan.config.stages import Stage  # noqa: E402
from pulmoscan.training import loop  # noqa: E402
from pulmoscan.training.schedule import Schedule  # noqa: E402

LOSSES = [3.0, 2.0, 2.5, 1.5, 1.49995, 1.7, 1.6, 1.6, 1.4, 1.45, 1.45, 1.45, 1.45, 1.3]
FACTORS = (0.1, 0.2, 0.3, 0.7)


def small_model(rate: float = 0.1) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    loop.compile_model(model, rate, jit_compile=False)
    return model


def rate_of(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


@dataclass
class ByHand:
    """The rules spelled out: what a stage remembers from epoch to epoch."""

    stage: Stage
    rate: np.float32
    best: float | None = None
    best_epoch: int | None = None
    wait: int = 0
    stopped: bool = False
    plateau_best: float | None = None
    plateau_wait: int = 0

    def after(self, epoch: int, loss: float) -> bool:
        """Take in the validation loss of an epoch; return whether the learning rate falls."""
        if self.stage.patience is not None and epoch >= self.stage.start_from_epoch:
            if self.best is None or loss < self.best:
                self.best, self.best_epoch, self.wait = loss, epoch, 0
            else:
                self.wait += 1
                self.stopped = self.wait >= self.stage.patience
        if self.stage.reduce_on_plateau is None:
            return False
        best = self.plateau_best
        if best is None or np.float32(loss + 1e-4) < np.float32(best):
            self.plateau_best, self.plateau_wait = loss, 0
            return False
        self.plateau_wait += 1
        if self.plateau_wait < self.stage.reduce_on_plateau["patience"]:
            return False
        self.plateau_wait = 0
        self.rate = np.float32(float(self.rate) * self.stage.reduce_on_plateau["factor"])
        return True


def random_losses(random: np.random.Generator) -> list[float]:
    """Return validation losses as a backend gives them, float32, many of them nearly equal."""
    steps = random.choice([0.0, 5e-5, 1e-4, 2e-4, 0.1], 16) * random.choice([-1, 1], 16)
    losses = (random.choice([1e-3, 0.7, 5.0]) + np.abs(np.cumsum(steps))).astype(np.float32)
    return [float(loss) for loss in losses]


def random_stage(random: np.random.Generator) -> Stage:
    plateau = {"factor": float(random.choice(FACTORS)), "patience": int(random.integers(1, 4))}
    return Stage(
        "all",
        16,
        float(random.choice([0.1, 0.001, 0.0001118])),
        patience=[None, *range(6)][random.integers(0, 7)],
        start_from_epoch=int(random.integers(0, 5)),
        reduce_on_plateau=plateau if random.random() < 0.7 else None,
    )


def test_schedules_follow_the_rules_on_random_losses() -> None:
    random = np.random.default_rng(0)
    stopped = fallen = 0
    model = small_model()
    for _ in range(150):
        stage, losses = random_stage(random), random_losses(random)
        model.optimizer.learning_rate = stage.learning_rate
        schedule = Schedule(stage, model, restored=model)
        expected = ByHand(stage, np.float32(stage.learning_rate))
        for epoch, loss in enumerate(losses):
            model.layers[0].bias.assign([epoch, epoch])
            assert schedule.after(epoch, loss) == expected.after(epoch, loss)
            assert schedule.stopped == expected.stopped
            assert rate_of(model) == expected.rate
            if schedule.stopped:
                break
        schedule.end()
        stopped += expected.stopped
        fallen += expected.rate < np.float32(stage.learning_rate)
        restored = epoch if expected.best_epoch is None else expected.best_epoch
        assert list(model.get_weights()[1]) == [restored, restored]
    assert stopped > 30
    assert fallen > 30


def test_a_schedule_continues_in_another_process() -> None:
    random = np.random.default_rng(1)
    models = small_model(), small_model()
    for _ in range(40):
        stage, losses = random_stage(random), random_losses(random)
        for model in models:
            model.optimizer.learning_rate = stage.learning_rate
        whole = Schedule(stage, models[0], restored=models[0])
        parted = Schedule(stage, models[1], restored=models[1])
        killed = random.integers(0, len(losses))
        for epoch, loss in enumerate(losses):
            for model, schedule in zip(models, (whole, parted), strict=True):
                model.layers[0].bias.assign([epoch, epoch])
                schedule.after(epoch, loss)
            if epoch == killed:
                memory, weights = json.dumps(parted.memory()), parted.best_weights
                parted = Schedule(stage, models[1], restored=models[1])
                parted.recall(json.loads(memory), weights)
            assert whole.memory() == parted.memory()
            assert whole.stopped == parted.stopped
            assert rate_of(models[0]) == rate_of(models[1])
            if whole.stopped:
                break
        for schedule in (whole, parted):
            schedule.end()
        np.testing.assert_array_equal(*(model.layers[0].bias for model in models))


def test_without_a_part_to_restore_the_last_weights_stay() -> None:
    model = small_model()
    schedule = Schedule(Stage("0", 9, 0.1, patience=2), model)
    for epoch, loss in enumerate([1.0, 2.0, 3.0]):
        model.layers[0].bias.assign([epoch, epoch])
        schedule.after(epoch, loss)
    schedule.end()
    assert schedule.stopped
    assert schedule.best_weights == []
    assert list(model.get_weights()[1]) == [2, 2]


@pytest.mark.parametrize("patience", [0, 1, 2, 4])
@pytest.mark.parametrize("start", [0, 2])
def test_early_stopping_is_that_of_keras(patience: int, start: int) -> None:
    model = small_model()
    callback = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, start_from_epoch=start, restore_best_weights=True
    )
    callback.set_model(model)
    callback.on_train_begin()
    own = small_model()
    schedule = Schedule(Stage("0", len(LOSSES), 0.1, patience, start), own, restored=own)
    for epoch, loss in enumerate(LOSSES):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        schedule.after(epoch, loss)
        assert schedule.stopped == model.stop_training
        if schedule.stopped:
            break
    assert schedule.memory()["stopping"]["best"] == callback.best
    assert schedule.memory()["stopping"]["best_epoch"] == callback.best_epoch


@pytest.mark.parametrize("patience", [1, 2, 3, 6])
def test_the_learning_rate_is_reduced_as_by_keras(patience: int) -> None:
    model, own = small_model(), small_model()
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=patience)
    callback.set_model(model)
    callback.on_train_begin()
    reduce = {"factor": 0.3, "patience": patience}
    schedule = Schedule(Stage("0", len(LOSSES), 0.1, reduce_on_plateau=reduce), own)
    rates = []
    for epoch, loss in enumerate(LOSSES):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        schedule.after(epoch, loss)
        rates.append([rate_of(model), rate_of(own)])
    assert [one for one, _ in rates] == [other for _, other in rates]
    assert len({one for one, _ in rates}) > (1 if patience == 6 else 2) - (patience == 6)
