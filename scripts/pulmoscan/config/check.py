"""Checks of the configuration and of the run table before anything runs.

They are made once, while the Snakefile is parsed: scripts trust the settings that they are given.
"""

import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pulmoscan import spelling
from pulmoscan.config import data_set, models, names, origin, places, schema, spelled
from pulmoscan.config import runs as run_table
from pulmoscan.config.data_set import DATABASE, DataSet
from pulmoscan.config.places import OWN
from pulmoscan.data import layout, samplings, schemes
from pulmoscan.data.layout import canonical_image
from pulmoscan.inputs import enhancement
from pulmoscan.networks import backbones

OWN_COLUMNS = "table"  # the data source whose images have columns that the user gives


STUDY_RUNS = "workflow/study/runs.tsv"


def check(config: Mapping, schema_file: str | Path) -> None:
    """Check the resolved configuration: the keys it has, their values, and the names they refer to.

    Raises:
        ValueError: with one line per problem, which names the key and its allowed values.
    """
    # References are looked up only in a configuration whose shape is right.
    _raise(list(schema.problems(config, schema_file)) or _reference_problems(config))


def check_files(paths: Iterable[str | Path]) -> None:
    """Check that configuration files mean what they look like, and lie outside of the results.

    See `spelled.problems`.

    Raises:
        ValueError: with one line per problem, which names the file and the line.
    """
    for path in paths:
        _raise([*filter(None, [places.inside(path)])] or spelled.problems(path))


def check_results(config: Mapping) -> None:
    """Check that the results in the working folder are those of the images that are asked for.

    Made once per run of the workflow, not by each job.

    Raises:
        ValueError: they were made from other images, see `origin.problems`, or an input links to
            them.
    """
    _raise(list(places.linked(config)) or origin.problems(config))


def check_runs(
    config: Mapping,
    runs: pd.DataFrame,
    tables: Collection[str],
    data: DataSet = DATABASE,
) -> None:
    """Check the selected runs against a valid configuration, the published tables and the data set.

    Raises:
        ValueError: with one line per problem, which names the run.
    """
    _raise([*_run_problems(config, runs, tables, data)] or _weights_problems(config, runs))


def _raise(problems: Iterable[str]) -> None:
    if lines := "\n".join(dict.fromkeys(problems)):
        raise ValueError(lines)


def _reference_problems(config: Mapping) -> Iterator[str]:
    yield from _unknown("split", config["split"], config["splits"])
    yield from places.problems(config)
    yield from _zip_problems(config)
    for key, of_images in _images(config).items():
        low, high = of_images.get("window", (0, 100))
        if not low < high:
            yield f"config: {key}.window: {low} is not below {high}"
    for name, variant in config["variants"].items():
        for part, known in (("sampling", config["samplings"]), ("pixels", config["pixels"])):
            yield from _unknown(f"variants.{name}.{part}", variant[part], known)
        if variant.get("augment") and "reduce" in config["pixels"].get(variant["pixels"], {}):
            yield f"config: variants.{name}.augment: histograms cannot be augmented"
    for name, kind in config["pixels"].items():
        for problem in enhancement.problems(kind.get("enhance", ())):
            yield f"config: pixels.{name}.enhance: {problem}"
    yield from (f"config: {problem}" for problem in names.problems(config))
    yield from (f"config: {problem}" for problem in models.problems(config))
    for name, sampling in config["samplings"].items():
        classes = sampling.get("classes")
        if len(set(samplings.labels_by_class(sampling).values())) < 2:
            yield f"config: samplings.{name}.labels: all classes have one label, two are needed"
        if classes or config["dataset"]["source"] not in OWN:
            lines = _positive_problems(sampling, classes or layout.CLASSES)
            yield from (f"config: samplings.{name}.{line}" for line in lines)
        for part in ("times", "labels"):
            for label in sampling.get(part, {}):
                if classes is not None and label not in classes:
                    yield f"config: samplings.{name}.{part}: {label!r} is not among its classes"
    yield from _split_problems(config, config["split"])
    if config["dataset"]["source"] not in OWN:
        for image in config["explain"]["images"]:
            try:
                canonical_image(image)
                if not re.fullmatch(r"\w+", image.rpartition("-")[2]):
                    raise ValueError(f"{image!r} is not an image name: expected <class>-<number>")
            except ValueError as error:
                yield f"config: explain.images: {error}"


def _positive_problems(sampling: Mapping, classes: Collection[str]) -> Iterator[str]:
    """Yield why the label that a sampling calls positive cannot be."""
    labels = {*samplings.labels_by_class(sampling, classes).values()}
    positive = sampling.get("positive")
    if positive is None:
        return
    if positive not in labels:
        yield f"positive: {spelling.unknown(positive, sorted(labels))}"
    elif len(labels) != 2:
        yield f"positive: it needs two labels, not the {len(labels)} of this sampling"


def _split_problems(config: Mapping, split: str) -> Iterator[str]:
    """Yield why the samplings cannot be taken from a split, or its files be named."""
    try:
        expanded = schemes.expand(config["splits"])
    except ValueError as error:
        yield f"config: {error}"
        return
    if split not in config["splits"]:
        return
    scheme = config["splits"][split]
    yield from _column_problems(config["dataset"]["source"], f"config: splits.{split}", scheme)
    shares = schemes.shares(expanded[run_table.split_names(split, scheme)[0]])
    if "test" not in shares:
        return  # how much tests is known from the data alone
    place = f"splits.{split}: " if schemes.unbalanced(**shares) else ""
    for name, sampling in config["samplings"].items():
        for line in samplings.problems(name, sampling, shares):
            yield f"config: {place}{line}"
            if place:
                return  # what is wrong is the split, not each sampling


def _column_problems(source: str, place: str, scheme: Mapping) -> Iterator[str]:
    """Yield what a split needs of the data that only a table of one's own can say."""
    # Folders named train, validation and test above those of the classes state a split.
    if source == OWN_COLUMNS or (source == "folders" and scheme.get("column") == "split"):
        return
    if scheme.get("group") == "patient":
        yield (
            f"{place}.group: patient needs a column of patients, and dataset.source {source} has "
            f"none: use {OWN_COLUMNS}, or group: duplicates"
        )
    if "column" in scheme:
        yield (
            f"{place}.column: dataset.source {source} has no column {scheme['column']!r}, as "
            f"source {OWN_COLUMNS} may have: draw what tests, with test or folds"
        )


def _zip_problems(config: Mapping) -> Iterator[str]:
    for key, of_images in _images(config).items():
        path = Path(of_images["path"] or "")
        if of_images["source"] == "local" and path.is_file() and not zipfile.is_zipfile(path):
            yield f"config: {key}.path: {path} is neither a folder nor a zip"


def _images(config: Mapping) -> dict[str, Mapping]:
    """Return the settings of the data set and of the external sets, by key."""
    sets = {f"external.{name}": of_set for name, of_set in config.get("external", {}).items()}
    return {"dataset": config["dataset"]} | sets


def _unknown(key: str, value: str, known: Collection[str]) -> Iterator[str]:
    if value not in known:
        yield f"config: {key}: {spelling.unknown(value, known)}"


def _run_problems(
    config: Mapping, runs: pd.DataFrame, tables: Collection[str], data: DataSet
) -> Iterator[str]:
    known = models.resolve(config)
    for split in sorted({*runs["split"]} - {config["split"]}):
        yield from _split_problems(config, split)
    wrong = list(_sampling_problems(config, runs, data.classes))
    if wrong and data.listing is not None and config["runs"] == STUDY_RUNS:
        yield (
            f"config: runs: {STUDY_RUNS} is the run table of the study, whose samplings name its "
            "classes: name one of your own"
        )
    yield from wrong
    yield from data_set.image_problems(config["explain"]["images"], data)
    yield from data_set.split_problems(config, sorted({*runs["split"]}), data)
    for run in runs.itertuples():
        place = f"{config['runs']}: run {run.variant}/{run.model}/unfreeze-{run.unfreeze}"
        missing = False
        for column, defined in (
            ("split", config["splits"]),
            ("model", config["models"]),
            ("variant", config["variants"]),
        ):
            if (value := getattr(run, column)) not in defined:
                missing = True
                guess = spelling.guess(value, defined)
                yield f"{place}: no {column} {value!r}: {guess}The config has {', '.join(defined)}"
        for name in run_table.table_names(run.tables):
            if name not in tables:
                yield f"{place}: no published table {name!r}: there are {', '.join(tables)}"
        if not missing:
            for problem in _misfits(config, known[run.model], run, data.classes):
                yield f"{place}: {problem}"
            tune = known[run.model].tune
            if (
                tune
                and _takes_histograms(config, tune["variant"]) != known[run.model].takes_histograms
            ):
                yield f"{place}: {run.model} does not take what {tune['variant']!r} shows"


def _sampling_problems(
    config: Mapping, runs: pd.DataFrame, classes: Collection[str]
) -> Iterator[str]:
    """Yield which samplings of the runs name a class that the data set does not have."""
    variants = [config["variants"][name] for name in {*runs["variant"]} & {*config["variants"]}]
    for name in sorted({variant["sampling"] for variant in variants}):
        sampling = config["samplings"][name]
        for key in ("classes", "times", "labels"):
            for class_name in sampling.get(key) or ():
                if class_name not in classes:
                    yield (
                        f"config: samplings.{name}.{key}: {spelling.unknown(class_name, classes)}"
                    )
        labels = set(samplings.labels_by_class(sampling, classes).values())
        if len(labels) < 2:
            yield f"config: samplings.{name}.labels: all classes have one label, two are needed"
        lines = _positive_problems(sampling, classes)
        yield from (f"config: samplings.{name}.{line}" for line in lines)


def _misfits(
    config: Mapping, model: models.Model, run: Any, classes: Collection[str]
) -> Iterator[str]:
    """Yield why a model cannot be trained as a run says, whose names are all known."""
    if model.backbone is None and run.unfreeze != "all":
        yield f"{run.model} has no pre-trained part: its unfreeze is all"
    backbone = backbones.BACKBONES.get(model.backbone)
    if backbone and run.unfreeze.isdecimal() and int(run.unfreeze) > backbone.layers:
        yield f"{model.backbone} has {backbone.layers} layers"
    variant = config["variants"][run.variant]
    histograms = _takes_histograms(config, run.variant)
    if histograms and not model.takes_histograms:
        yield f"{run.model} takes images, not the histograms of this variant"
    if model.takes_histograms and not histograms:
        yield f"{run.model} takes histograms, not the images of this variant"
    sampling = config["samplings"][variant["sampling"]]
    labels = set(samplings.labels_by_class(sampling, classes).values())
    positive = samplings.positive(sampling)
    if model.threshold is not None and (len(labels) != 2 or positive not in labels):
        yield (
            f"the threshold of {run.model} needs two labels, one of them {positive!r} or what "
            f"samplings.{variant['sampling']}.positive names: it has {', '.join(sorted(labels))}"
        )


def _takes_histograms(config: Mapping, variant: str) -> bool:
    return "reduce" in config["pixels"][config["variants"][variant]["pixels"]]


def _weights_problems(config: Mapping, runs: pd.DataFrame) -> list[str]:
    """Return a line for each weights file that the runs need and ``weights.source`` lacks."""
    source, folder = config["weights"]["source"], config["weights"]["folder"]
    if source == "none":
        return []
    problems = []
    known = models.resolve(config)
    for name in runs["model"].unique():
        network = known[name].network
        if known[name].backbone:
            try:
                if source == "folder":
                    backbones.find_file(folder, network["backbone"], network["arguments"])
                else:
                    backbones.published_url(network["backbone"], network["arguments"])
            except (ValueError, OSError) as error:
                place = "" if source == "folder" else f"models.{name}.arguments: "
                problems.append(f"config: {place}{error}")
    return problems
