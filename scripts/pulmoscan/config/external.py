"""Sets of radiographs from elsewhere: what the configuration says, and what runs know of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pulmoscan import spelling
from pulmoscan.acquire.listing import UNLABELLED
from pulmoscan.config import data_set
from pulmoscan.config.data_set import DataSet
from pulmoscan.config.models import Model
from pulmoscan.data import samplings
from pulmoscan.inputs import pixels

SHARED = ("depth", "window", "white_masks")  # settings whose default is that of `dataset`
NOT_SAVED = "a classifier of scikit-learn is not saved"
NAMED = 8  # classes that a message names


def settings(config: Mapping) -> dict[str, dict[str, Any]]:
    """Return the settings of every set in full, as those of `dataset`.

    The shape is always that of the data set trained on: a network has learned to see images that
    are stretched, or ones with bars at their sides, and copies are found among images of one shape.
    """
    dataset = config["dataset"]
    return {
        name: {
            "root": None,
            "columns": {},
            "classes": None,
            "masks": "optional",
            **{key: dataset[key] for key in SHARED},
            **given,
            "shape": dataset["shape"],
        }
        for name, given in config["external"].items()
    }


def read(
    config: Mapping, runs: pd.DataFrame, models: Mapping[str, Model], data: DataSet
) -> dict[str, DataSet]:
    """Return what every set holds.

    Args:
        config: a configuration without problems.
        runs: the selected runs that can be made, with ``model`` and ``variant``.
        models: the resolved models.
        data: the data set trained on.

    Raises:
        OSError: a file or folder of a set cannot be read.
        ValueError: it is not what its source says, or no run knows any class of it.
    """
    sets = {
        name: data_set.read(of_set, f"external.{name}", to_train=False)
        for name, of_set in settings(config).items()
    }
    if problems := "\n".join(_problems(config, sets, runs, models, data)):
        raise ValueError(problems)
    return sets


def labels(config: Mapping, variant: str, data: DataSet) -> dict[str, str]:
    """Return what the runs of a variant call the classes that they know.

    That are the classes that the run's sampling takes, and the labels that it gives them: a set may
    tell ``sick`` from ``normal`` and no more.
    """
    sampling = config["samplings"][config["variants"][variant]["sampling"]]
    of_class = samplings.labels_by_class(sampling, data.classes)
    own = {label: label for label in of_class.values() if label not in data.classes}
    return own | of_class


def unpredicted(
    config: Mapping,
    sets: Mapping[str, DataSet],
    runs: pd.DataFrame,
    models: Mapping[str, Model],
) -> dict[str, dict[str, str]]:
    """Return for every set why runs cannot predict it, by their ``model/variant``.

    Args:
        config: a configuration without problems.
        sets: what `read` returns.
        runs: the selected runs that can be made.
        models: the resolved models.
    """
    masks = {
        name: _lacking(name, of_set["masks"], sets[name])
        for name, of_set in settings(config).items()
    }
    found: dict[str, dict[str, str]] = {name: {} for name in sets}
    for model, variant in dict.fromkeys(zip(runs["model"], runs["variant"], strict=True)):
        shown = config["pixels"][config["variants"][variant]["pixels"]]
        for name in sets:
            if models[model].network is None:
                reason = NOT_SAVED
            elif pixels.needs_mask(shown):
                reason = masks[name]
            else:
                reason = ""
            if reason:
                found[name][f"{model}/{variant}"] = reason
    return found


def _lacking(name: str, masks: str, held: DataSet) -> str:
    """Return why what a mask hides cannot be told of any image of a set; "" where it can."""
    if masks == "none":
        return f"masks are not read (external.{name}.masks: none)"
    if held.images and held.without_mask == held.images:
        return f"none of {held.images:,} images has a mask"
    return ""


def _problems(
    config: Mapping,
    sets: Mapping[str, DataSet],
    runs: pd.DataFrame,
    models: Mapping[str, Model],
    data: DataSet,
) -> Iterator[str]:
    """Yield which sets have classes of which no run knows one, or none of those that are named."""
    for name, held in sets.items():
        if held.classes == [UNLABELLED] and config["external"][name].get("classes"):
            yield (
                f"config: external.{name}.classes: its images have no class: name the column of "
                "the table, give each class a folder, or leave classes out"
            )
    variants = [
        run.variant
        for run in runs.drop_duplicates(["model", "variant"]).itertuples()
        if models[run.model].network is not None
    ]
    known = {name for variant in dict.fromkeys(variants) for name in labels(config, variant, data)}
    if not known:
        return
    for name, held in sets.items():
        classes = [of for of in held.classes if of != UNLABELLED]
        if classes and not known & set(classes):
            named = spelling.listed(classes, NAMED)
            yield (
                f"config: external.{name}.classes: no selected run knows {named}: runs "
                f"know {spelling.listed(sorted(known), NAMED)}. Map them, as in "
                f"{{{classes[0]}: {sorted(known)[0]}}}"
            )
