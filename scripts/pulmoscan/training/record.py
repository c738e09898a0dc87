"""What a training leaves: its network, history and predictions, and facts of its stages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pulmoscan.backends import backend
from pulmoscan.networks import cut
from pulmoscan.networks.build import Network
from pulmoscan.storage import tables
from pulmoscan.storage.atomic import replacing

if TYPE_CHECKING:
    import keras

    from pulmoscan.training.loop import Progress
    from pulmoscan.training.preparation import Preparation


@dataclass(frozen=True)
class StageRecord:
    """What is known of a stage once it is ready to train.

    Attributes:
        trainable_parameters: numbers in the weights that it trains.
        cached: whether it trains on cached features.
    """

    trainable_parameters: int
    cached: bool

    @classmethod
    def of(cls, network: Network, cached: bool) -> "StageRecord":
        """Return the record of a stage that has frozen the other layers of a network."""
        weights = network.model.trainable_weights
        return cls(sum(int(np.prod(weight.shape)) for weight in weights), cached)


def facts(
    prepared: "Preparation",
    progress: "Progress",
    kept: Mapping[str, Mapping],
    in_force: backend.Settings,
) -> dict:
    """Return what ``training.json`` says of a finished training.

    Fields outside ``stages`` describe the last stage. ``kept`` are the descriptions of cached
    features by what their stage unfreezes.
    """
    network, records = prepared.network, prepared.records
    last = kept[prepared.planned[-1].unfreeze] if records[-1].cached else {}
    return {
        "n_train": len(prepared.examples.select("train").rows),
        "epochs": len(progress.history),
        "parameters": int(network.model.count_params()),
        "trainable_parameters": records[-1].trainable_parameters,
        "trained_layers": cut.trained_layers(network),
        "first_trained": cut.first_trained(network),
        "cached": last.get("bytes"),
        "features_dtype": last.get("dtype"),
        "seconds": round(progress.seconds, 3),
        "stages": [
            {
                "unfreeze": stage.unfreeze,
                "epochs": sum(row["stage"] == number for row in progress.history),
                "learning_rate": stage.learning_rate,
                **asdict(record),
            }
            for number, (stage, record) in enumerate(
                zip(prepared.planned, records, strict=True), start=1
            )
        ],
        **backend.describe(),
        "dtype_policy": in_force.dtype_policy,
        "xla": in_force.jit_compile,
        "threads": in_force.threads,
        "augmented": prepared.augment is not None,
    }


def predictions(
    sampling: pd.DataFrame, labels: Sequence[str], probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the predictions for the validation and test images of a sampling, in its order.

    ``probabilities`` are n x labels. The columns are ``image, split, label``, and ``p_<label>`` for
    each of the labels.
    """
    predicted = sampling["split"] != "train"
    table = sampling.loc[predicted, ["image", "split", "label"]].reset_index(drop=True)
    for index, label in enumerate(labels):
        table[f"p_{label}"] = probabilities[:, index]
    return table


def write(
    folder: Path,
    model: "keras.Model",
    history: pd.DataFrame,
    predicted: pd.DataFrame,
    facts: Mapping,
) -> None:
    """Write the results of a training into a folder; each file is complete or absent."""
    with replacing(folder / "model.keras") as path:
        model.save(path)
    tables.write(folder / "history.tsv", history)
    tables.write(folder / "predictions.parquet", predicted)
    with replacing(folder / "training.json") as path:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
