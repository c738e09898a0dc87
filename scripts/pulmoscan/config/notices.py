"""Settings that are right, and do less than they seem to: said once, when the workflow starts."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pandas as pd

from pulmoscan.config import hyperparameters
from pulmoscan.config.data_set import DATABASE, DataSet
from pulmoscan.config.models import Model
from pulmoscan.config.places import OWN
from pulmoscan.data import samplings
from pulmoscan.data.layout import POSITIVE
from pulmoscan.data.options import Options

LISTED = 4  # models that a line names


def lines(
    config: Mapping,
    runs: pd.DataFrame,
    models: Mapping[str, Model],
    data: DataSet = DATABASE,
    unshown: Mapping[str, str] = MappingProxyType({}),
    sets: Mapping[str, DataSet] = MappingProxyType({}),
    unpredicted: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield a line about each setting that has no effect, or less than it seems to have.

    Definitions that no selected run uses are a library, and nothing is said of them.

    Args:
        config: a configuration without problems.
        runs: the selected runs.
        models: the resolved models.
        data: what the data set holds.
        unshown: why runs are not made for want of masks, by their name.
        sets: what external sets hold.
        unpredicted: why runs cannot predict a set, by set and their name.
    """
    selected = {name: models[name] for name in dict.fromkeys(runs["model"])}
    yield from _paths(config)
    yield from _depth(config["dataset"])
    yield from _sizes(config, selected)
    yield from _classes("dataset", data)
    for name, held in sets.items():
        yield from _classes(f"external.{name}", held)
        yield from _not_predicted(name, unpredicted[name])
    yield from _masks(unshown)
    yield from _labels(config, list(dict.fromkeys(runs["variant"])), data)
    for name, model in selected.items():
        if model.tune:
            yield from (f"models.{name}.{line}" for line in _search(model))
    augmented = [
        name for name in dict.fromkeys(runs["variant"]) if config["variants"][name].get("augment")
    ]
    if augmented and not any(config["augmentation"].values()):
        yield (
            f"variants.{augmented[0]}.augment: it changes no image, since all amounts of "
            "augmentation are 0"
        )


def _paths(config: Mapping) -> Iterator[str]:
    for key, name, needed in (
        ("dataset", "path", OWN),
        ("dataset", "root", ("table",)),
        ("dataset", "columns", ("table",)),
        ("dataset", "classes", OWN),
        ("weights", "folder", ("folder",)),
    ):
        source = config[key]["source"]
        if config[key][name] and source not in needed:
            yield f"{key}.{name} is not read: {key}.source is {source}, not {' or '.join(needed)}"


def _depth(dataset: Mapping) -> Iterator[str]:
    if dataset["depth"] != "window" and tuple(dataset["window"]) != Options.window:
        yield f"dataset.window has no effect: dataset.depth is {dataset['depth']}, not window"


def _sizes(config: Mapping, selected: Mapping[str, Model]) -> Iterator[str]:
    dataset, size = config["dataset"], config["image_size"]
    if dataset["source"] == "phantom" and dataset["phantom"]["size"] < size:
        yield (
            f"image_size {size} exceeds dataset.phantom.size {dataset['phantom']['size']}: images "
            "are enlarged, and show no more for it"
        )
    networks = {name: model for name, model in selected.items() if not model.takes_histograms}
    larger = {
        name: model.network["input_size"]
        for name, model in networks.items()
        if model.network["input_size"] > size
    }
    if larger:
        listed = [f"{name} ({pixels})" for name, pixels in larger.items()]
        rest = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
        yield (
            f"input_size of {', '.join(listed[:LISTED])}{rest} exceeds image_size {size}: images "
            "are packed at that size and enlarged again, and show no more for it"
        )
    for name, model in selected.items():
        if model.network and model.takes_histograms and "input_size" in config["models"][name]:
            yield f"models.{name}.input_size has no effect: a network of histograms has its own"


def _classes(key: str, data: DataSet) -> Iterator[str]:
    """Yield which images of the user's are left out."""
    if data.listing is not None and data.listing.left_out:
        left = data.listing.left_out
        named = ", ".join(f"{name} ({count:,})" for name, count in left.items())
        count = sum(left.values())
        yield f"{key}.classes leaves out {count:,} image{'s' * (count != 1)}: {named}"


def _masks(unshown: Mapping[str, str]) -> Iterator[str]:
    """Yield which runs are not made for want of masks."""
    if unshown:
        (first, reason), more = next(iter(unshown.items())), len(unshown) - 1
        are = f"and {more:,} more runs are" if more else "is"
        yield f"dataset.masks: {first} {are} not made: {reason}"


def _not_predicted(name: str, unpredicted: Mapping[str, str]) -> Iterator[str]:
    """Yield which runs do not predict an external set, a line for each reason."""
    for reason in dict.fromkeys(unpredicted.values()):
        first, *more = [run for run, why in unpredicted.items() if why == reason]
        do = f"and {len(more):,} more do" if more else "does"
        yield f"external.{name}: {first} {do} not predict it: {reason}"


def _labels(config: Mapping, variants: list[str], data: DataSet) -> Iterator[str]:
    for name in dict.fromkeys(config["variants"][variant]["sampling"] for variant in variants):
        sampling = config["samplings"][name]
        labels = set(samplings.labels_by_class(sampling, data.classes).values())
        if len(labels) == 2 and samplings.positive(sampling) not in labels:
            yield (
                f"samplings.{name}: neither of its two labels, {' and '.join(sorted(labels))}, is "
                f"{POSITIVE!r}: name one as its positive, or no sensitivity is measured"
            )


def _search(model: Model) -> Iterator[str]:
    """Yield what a search looks for in vain, or cannot look for; lines begin below the model."""
    rate, space = hyperparameters.LEARNING_RATE, model.tune["space"]
    stages = model.training["stages"] or []
    own = [str(number) for number, stage in enumerate(stages, start=1) if rate in stage]
    if rate in space and own:
        where = "every stage" if len(own) == len(stages) else f"stage {', '.join(own)}"
        has = "have" if len(own) > 1 and where != "every stage" else "has"
        yield (
            f"tune.space.{rate}: {where} of training.stages {has} a {rate} of its own, so the one "
            "that is found does not train it"
        )
    asked = sum(hyperparameters.brackets(model.tune["max_epochs"], model.tune["factor"]))
    asked *= model.tune.get("iterations", 1)
    if (there := hyperparameters.combinations(space)) < asked:
        yield (
            f"tune: its space has {there} combinations, of the {asked} that Hyperband would try: "
            "the search ends when it has tried them"
        )
