"""Which runs are no longer those of the study, though they have the name of one.

A published figure belongs to settings, not to a name. Where a configuration gives ``balanced`` or
the layers of a published model other settings, it measures something else, and is not compared with
the figure of the study (`REDEFINED`). Where it trains longer, on smaller images or on phantoms, it
measures the same under other conditions, which are told beside the figure (`ADJUSTED`).
"""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pulmoscan.config import models, runs
from pulmoscan.data import schemes

REDEFINED, ADJUSTED = "redefined", "adjusted"
SYNTHETIC = "phantom"
TRAINING = (
    *("epochs", "batch_size", "learning_rate", "patience", "start_from_epoch"),
    *("reduce_on_plateau", "stages"),
)


def load(path: str | Path) -> dict[str, Any]:
    """Return the settings of the study: those of the configuration, and one ``split``."""
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def redefined(
    config: Mapping, study: Mapping, selected: pd.DataFrame, published: Set[tuple[str, str, str]]
) -> dict[str, dict[str, str]]:
    """Return the selected runs whose figure was published for other settings, and for which.

    Args:
        config: a configuration without problems.
        study: the settings of the study, see `load`.
        selected: the selected runs, one row per run and split.
        published: model, unfreeze and variant of the runs with published figures.

    Returns:
        By the name of a run, see `runs.name`, its settings that differ, of both kinds:
        ``{"redefined": "samplings.balanced", "adjusted": "image_size, training.epochs"}``.
    """
    changed: dict[str, dict[tuple[str, str], None]] = {}
    resolved, of_study = models.resolve(config), models.resolve(study)
    for split, *run in selected[runs.KEY].drop_duplicates().itertuples(index=False, name=None):
        if tuple(run) not in published:
            continue
        model, unfreeze, variant = run
        keys = [
            *_of_data(config, study, split, variant),
            *_of_model(config, model, resolved[model], of_study[model]),
        ]
        if keys:
            changed.setdefault(runs.name(model, unfreeze, variant), {}).update(dict.fromkeys(keys))
    return {
        name: {
            kind: ", ".join(key for key, of_kind in keys if of_kind == kind)
            for kind in (REDEFINED, ADJUSTED)
        }
        for name, keys in changed.items()
    }


def redefined_samplings(config: Mapping, study: Mapping, split: str) -> dict[str, str]:
    """Return the samplings of the study that a configuration takes in another way, and how."""
    keys = list(_of_split(config, study, split))
    return {
        name: ", ".join([*keys, *([f"samplings.{name}"] if own != settings else [])])
        for name, settings in study["samplings"].items()
        if (own := config["samplings"].get(name, settings)) != settings or keys
    }


def _of_split(config: Mapping, study: Mapping, split: str) -> Iterator[str]:
    scheme = next(iter(schemes.expand({split: config["splits"][split]}).values()))
    shares = schemes.shares(scheme)
    if any(shares.get(part) != share for part, share in study["split"].items()):
        yield f"splits.{split}"


def _of_data(
    config: Mapping, study: Mapping, split: str, variant: str
) -> Iterator[tuple[str, str]]:
    """Yield the settings of the images of a run that are not those of the study, and their kind."""
    if config["dataset"]["source"] == SYNTHETIC:
        yield f"dataset.source {SYNTHETIC}", ADJUSTED
    if config["image_size"] != study["image_size"]:
        yield "image_size", ADJUSTED
    for key in _of_split(config, study, split):
        yield key, REDEFINED
    own, other = config["variants"][variant], study["variants"][variant]
    for part, key in (("sampling", "samplings"), ("pixels", "pixels")):
        if config[key][own[part]] != study[key][other[part]]:
            same = own[part] == other[part]
            yield f"{key}.{own[part]}" if same else f"variants.{variant}.{part}", REDEFINED
    if bool(own.get("augment")) != bool(other.get("augment")):
        yield f"variants.{variant}.augment", REDEFINED
    elif own.get("augment") and config["augmentation"] != study["augmentation"]:
        yield "augmentation", ADJUSTED


def _of_model(
    config: Mapping, name: str, own: models.Model, other: models.Model
) -> Iterator[tuple[str, str]]:
    """Yield the settings of a model that are not those of the study, and their kind."""
    settings = models.settings_of(config, name)
    if own.backbone and config["weights"]["source"] == "none":
        yield "weights.source none", ADJUSTED
    if own.classifier != other.classifier:
        yield f"models.{name}", REDEFINED
    if (own.network is None) != (other.network is None):
        yield f"models.{name}", REDEFINED
    elif own.network is not None:
        for key in sorted(own.network.keys() | other.network.keys()):
            if own.network.get(key) != other.network.get(key):
                place = (
                    "head" if key == "head" and "head" not in settings else f"models.{name}.{key}"
                )
                yield place, ADJUSTED if key == "input_size" else REDEFINED
        for key in TRAINING:
            if own.training[key] != other.training[key]:
                place = f"models.{name}." if key in settings["training"] else ""
                yield f"{place}training.{key}", ADJUSTED
    if own.threshold != other.threshold:
        yield f"models.{name}.threshold", REDEFINED
    if _search(own) != _search(other):
        yield f"models.{name}.tune", ADJUSTED


def _search(model: models.Model) -> dict:
    """Return what a search looks for, and how long; its seed is one of many."""
    return {key: value for key, value in (model.tune or {}).items() if key != "seed"}
