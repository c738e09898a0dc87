"""Early stopping and the schedule of the learning rate: Keras' own callbacks, called by our loops.

Keras' `fit` would call them. Our loops do so after each epoch, and write what the callbacks
remember into the checkpoint.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from pulmoscan.config.stages import Stage

# The attributes that the callbacks change from epoch to epoch, beside the best weights.
STOPPING = ("best", "best_epoch", "wait", "stopped_epoch")
PLATEAU = ("best", "wait", "cooldown_counter")


class Schedule:
    """When a stage stops, and how its learning rate falls, by the validation loss of each epoch.

    Attributes:
        stopping: ``keras.callbacks.EarlyStopping``, None where the stage trains all its epochs.
        plateau: ``keras.callbacks.ReduceLROnPlateau``, None where the learning rate stays.
    """

    def __init__(
        self, stage: Stage, model: keras.Model, restored: keras.Model | None = None
    ) -> None:
        """Begin a stage.

        Args:
            stage: its settings.
            model: the compiled model, whose learning rate is reduced.
            restored: the part of it to which `end` gives the weights of the best epoch; None keeps
                those of the last epoch.
        """
        self.stopping = self.plateau = None
        if stage.patience is not None:
            self.stopping = keras.callbacks.EarlyStopping(
                mode="min",
                patience=stage.patience,
                start_from_epoch=stage.start_from_epoch,
                restore_best_weights=restored is not None,
            )
            self.stopping.set_model(model if restored is None else restored)
            self.stopping.on_train_begin()
        if stage.reduce_on_plateau is not None:
            self.plateau = keras.callbacks.ReduceLROnPlateau(mode="min", **stage.reduce_on_plateau)
            self.plateau.set_model(model)
            self.plateau.on_train_begin()

    def after(self, epoch: int, loss: float) -> bool:
        """Record the validation loss of an epoch, counted from 0, and reduce the rate if it is due.

        Returns whether the learning rate was reduced.
        """
        if self.stopping is not None:
            self.stopping.on_epoch_end(epoch, {"val_loss": loss})
        if self.plateau is None:
            return False
        best = self.plateau.best
        self.plateau.on_epoch_end(epoch, {"val_loss": loss})
        return self.plateau.wait == 0 and self.plateau.best == best

    @property
    def stopped(self) -> bool:
        """Whether early stopping has triggered."""
        return self.stopping is not None and self.stopping.stopped_epoch > 0

    @property
    def best_weights(self) -> list[np.ndarray]:
        """The weights of the best epoch; an empty list where there are none to restore."""
        return (self.stopping and self.stopping.best_weights) or []

    def memory(self) -> dict[str, dict]:
        """Return what the callbacks remember beside the best weights, as JSON can hold it."""
        return {
            name: {key: getattr(callback, key) for key in keys}
            for name, callback, keys in self._callbacks()
        }

    def recall(self, memory: Mapping[str, Mapping], best_weights: Sequence[np.ndarray]) -> None:
        """Continue from the `memory` and the `best_weights` of an earlier process."""
        for name, callback, _ in self._callbacks():
            vars(callback).update(memory[name])
        if self.stopping is not None:
            self.stopping.best_weights = list(best_weights) or None

    def end(self) -> None:
        """End the stage: restore the weights of the best epoch, also if it was not stopped."""
        if self.stopping is not None:
            self.stopping.on_train_end()

    def _callbacks(self) -> list[tuple[str, keras.callbacks.Callback, tuple[str, ...]]]:
        known = [("stopping", self.stopping, STOPPING), ("plateau", self.plateau, PLATEAU)]
        return [entry for entry in known if entry[1] is not None]
