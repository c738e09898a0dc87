"""What the selected runs need and where it lies: weights, features, samplings, searches.

Made once from a checked configuration while the Snakefile is parsed. All paths are relative to the
folder of the results, as text, in the layout that the rules declare.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import pandas as pd

from pulmoscan.config import runs as run_table
from pulmoscan.config import stages
from pulmoscan.config.models import Model
from pulmoscan.data import samplings
from pulmoscan.networks import backbones

BALANCED = "balanced"  # the sampling on whose test images all four-class runs are compared
SAMPLING = "results/samplings/{split}/{sampling}.parquet"
FEATURES = "results/features/{backbone}/{pixels}"
CUT_FEATURES = "results/features/{backbone}/unfreeze-{unfreeze}/{pixels}"
WEIGHTS = "results/weights/{weights}.weights.h5"
SEARCH = "results/tuning/{split}/{model}/{variant}"


@dataclass(frozen=True)
class Backbone:
    """A pre-trained network at one input size, shared by all models that are built on it.

    ``network`` is its part of a model's network: constructor (``backbone``), ``arguments`` and
    ``input_size`` in pixels. ``weights`` is the name of its weights, ``name`` that of its features.
    """

    network: Mapping[str, Any]
    weights: str

    @property
    def name(self) -> str:
        """The name in the paths of features."""
        return f"{self.weights}-{self.network['input_size']}px"


@dataclass(frozen=True)
class Search:
    """A search for the hyperparameters of a model, on one variant under one split."""

    split_name: str
    model: str
    variant: str


class Plan:
    """The selected runs and everything that they share.

    Args:
        config: a configuration without problems, see `check`.
        runs: the selected runs, one row per run and split file, see `runs.expand`.
        models: the resolved models.
    """

    def __init__(self, config: Mapping, runs: pd.DataFrame, models: Mapping[str, Model]) -> None:
        self.config, self.runs, self.models = config, runs, models
        self._backbone_of = {
            name: _backbone(model.network) for name, model in models.items() if model.backbone
        }
        self.backbones: Mapping[str, Backbone] = MappingProxyType(
            {backbone.name: backbone for backbone in self._backbone_of.values()}
        )
        self.weights: Mapping[str, Backbone] = MappingProxyType(
            {backbone.weights: backbone for backbone in self._backbone_of.values()}
        )

    def backbone(self, model: str) -> Backbone | None:
        """Return the backbone of a model, None for a network of its own or a classifier."""
        return self._backbone_of.get(model)

    def weights_file(self, model: str) -> str | None:
        """Return the file of a model's pre-trained weights, None without a backbone."""
        backbone = self.backbone(model)
        return backbone and WEIGHTS.format(weights=backbone.weights)

    def features(self, model: str, unfreeze: str, variant: str) -> dict[str, str]:
        """Return the features that a run trains on, by what its stages unfreeze.

        Paths have no suffix: values, rows and description lie beside one another. A stage that
        trains the whole network has none, and neither has a run that augments.
        """
        backbone = self.backbone(model)
        if backbone is None or self.config["variants"][variant].get("augment"):
            return {}
        pooled = self.models[model].network["head"][0] == "average_pooling"
        pixels = self.config["variants"][variant]["pixels"]
        return {
            stage.unfreeze: (FEATURES if stage.unfreeze == "0" and pooled else CUT_FEATURES).format(
                backbone=backbone.name, unfreeze=stage.unfreeze, pixels=pixels
            )
            for stage in stages.resolve(self.models[model].training, unfreeze)
            if stage.unfreeze != "all"
        }

    @cached_property
    def samplings_of_features(self) -> Mapping[str, tuple[str, ...]]:
        """The samplings, as files, whose images each features path must hold."""
        needed: dict[str, set[str]] = {}
        for run in self.runs.itertuples():
            for path in self.features(run.model, run.unfreeze, run.variant).values():
                needed.setdefault(path, set()).add(self.sampling_file(run.split_name, run.variant))
        for search in self.searches(self.runs):
            unfreeze = self.searched_unfreeze(search.model)
            for path in self.features(search.model, unfreeze, search.variant).values():
                file = self.sampling_file(search.split_name, search.variant)
                needed.setdefault(path, set()).add(file)
        return MappingProxyType({path: tuple(sorted(files)) for path, files in needed.items()})

    def sampling_file(self, split_name: str, variant: str) -> str:
        """Return the file of the sampling that a variant takes under a split."""
        sampling = self.config["variants"][variant]["sampling"]
        return SAMPLING.format(split=split_name, sampling=sampling)

    def samplings(self, model: str, variant: str) -> set[str]:
        """Return the names of the samplings that a run reads, that of its search included."""
        tune = self.models[model].tune
        variants = [variant, *([tune["variant"]] if tune else [])]
        return {self.config["variants"][name]["sampling"] for name in variants}

    def positive(self, variant: str) -> str:
        """Return the label that is positive for a variant, where it is one of two."""
        return samplings.positive(
            self.config["samplings"][self.config["variants"][variant]["sampling"]]
        )

    @cached_property
    def used_samplings(self) -> tuple[tuple[str, str], ...]:
        """All pairs of split and sampling that are needed, `BALANCED` for every split."""
        pairs = {(split, BALANCED) for split in self.runs["split_name"]}
        for run in self.runs.itertuples():
            pairs |= {(run.split_name, name) for name in self.samplings(run.model, run.variant)}
        return tuple(sorted(pairs))

    def searches(self, runs: pd.DataFrame) -> Iterator[Search]:
        """Yield the searches of some of the runs, each once."""
        pairs = runs[["split_name", "model"]].drop_duplicates().sort_values(["split_name", "model"])
        for split_name, model in pairs.itertuples(index=False):
            if tune := self.models[model].tune:
                yield Search(split_name, model, tune["variant"])

    def search_of(self, split_name: str, model: str) -> str | None:
        """Return the folder of a model's search under a split, None for a model without one."""
        tune = self.models[model].tune
        return tune and SEARCH.format(split=split_name, model=model, variant=tune["variant"])

    def searched_unfreeze(self, model: str) -> str:
        """Return what a search trains: the head of a backbone, or the whole network."""
        return "0" if self.backbone(model) else "all"

    def of_table(self, table: str, figures: pd.DataFrame) -> pd.DataFrame:
        """Return the runs that stand in a published table, see `runs.of_table`."""
        return run_table.of_table(self.runs, table, figures)


def _backbone(network: Mapping) -> Backbone:
    part = {key: network[key] for key in ("backbone", "arguments", "input_size")}
    return Backbone(
        MappingProxyType(part), backbones.weights_name(part["backbone"], part["arguments"])
    )
