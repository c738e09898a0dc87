"""Checks of the configuration and of the run table before anything runs."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, ValidationError

from pulmoscan import backbones, models, spelling
from pulmoscan.database import CLASSES, POSITIVE, canonical_image
from pulmoscan.runs import table_names

EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 reads 1e-3 as text


def check(config: Mapping, schema: str | Path) -> None:
    """Check the resolved configuration: the keys it has, their values, and the names they refer to.

    Raises:
        ValueError: with one line a problem, each naming the key and what it may be.
    """
    # References are looked up only in a configuration whose shape is right.
    _raise(list(_schema_problems(config, schema)) or _reference_problems(config))


def check_runs(config: Mapping, runs: pd.DataFrame, tables: Collection[str]) -> None:
    """Check rows of the run table against a configuration that is right and the published tables.

    Raises:
        ValueError: with one line a problem, each naming the run.
    """
    _raise([*_run_problems(config, runs, tables)] or _weights_problems(config, runs))


def _raise(problems: Iterable[str]) -> None:
    if lines := "\n".join(problems):
        raise ValueError(lines)


def typed(value: Any) -> Any:
    """Return ``value`` with every text in it that YAML reads as a number, truth or null as that.

    Mappings and sequences are copied; other text stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, str):
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        if isinstance(read, str) and EXPONENT.fullmatch(read):
            return float(read)
        return read if read is None or isinstance(read, int | float) else value
    return value


def _schema_problems(config: Mapping, schema: str | Path) -> Iterator[str]:
    validator = Draft202012Validator(yaml.safe_load(Path(schema).read_text(encoding="utf-8")))
    errors = validator.iter_errors(config)
    for error in sorted(errors, key=lambda error: list(map(str, error.path))):
        if error.validator == "oneOf" and not isinstance(error.instance, Mapping):
            continue  # that it is no mapping is told by its type
        key = ".".join(str(part) for part in error.absolute_path)
        yield f"config: {f'{key}: ' if key else ''}{_wording(error)}"


def _wording(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = [name for name in error.instance if name not in known]
        return "; ".join(
            f"{name!r} is not a known key{_hint(str(name), known)}" for name in unknown
        )
    if error.validator == "required":
        absent = [name for name in error.validator_value if name not in error.instance]
        return f"the key {absent[0]!r} is missing"
    if error.validator == "oneOf":
        choices = [branch["required"][0] for branch in error.validator_value]
        return f"give exactly one of {' and '.join(choices)}"
    if error.validator == "enum":
        values = (
            str(value) if value not in (True, False) else "on" if value else "off"
            for value in error.validator_value
        )
        return f"{error.instance!r} is not one of {', '.join(values)}"
    if error.validator == "type":
        types = error.validator_value
        types = [types] if isinstance(types, str) else types
        exponent = isinstance(error.instance, str) and EXPONENT.fullmatch(error.instance)
        hint = ": YAML wants a point, as in 1.0e-3" if exponent else ""
        return f"{error.instance!r} is not of type {' or '.join(types)}{hint}"
    return error.message


def _hint(name: str, known: Collection[str]) -> str:
    close = spelling.nearest(name, known)
    return f": did you mean {close!r}?" if close else f"; the keys here are {', '.join(known)}"


def _reference_problems(config: Mapping) -> Iterator[str]:
    yield from _unknown("split", config["split"], config["splits"])
    if config["dataset"]["source"] == "local" and not config["dataset"]["path"]:
        yield "config: dataset.path: source local needs the path of a folder or a zip"
    if config["weights"]["source"] == "folder" and not config["weights"]["folder"]:
        yield "config: weights.folder: source folder needs the path of a folder with weight files"
    for name, variant in config["variants"].items():
        for part, known in (("sampling", config["samplings"]), ("pixels", config["pixels"])):
            yield from _unknown(f"variants.{name}.{part}", variant[part], known)
    yield from (f"config: {problem}" for problem in models.problems(config))
    for name, sampling in config["samplings"].items():
        classes = sampling.get("classes")
        labels = sampling.get("labels", {})
        if len({labels.get(label, label) for label in classes or CLASSES}) < 2:
            yield f"config: samplings.{name}.labels: all classes have one label, two are needed"
        for part in ("times", "labels"):
            for label in sampling.get(part, {}):
                if classes is not None and label not in classes:
                    yield f"config: samplings.{name}.{part}: {label!r} is not among its classes"

    for image in config["explain"]["images"]:
        try:
            canonical_image(image)
        except ValueError as error:
            yield f"config: explain.images: {error}"


def _unknown(key: str, value: str, known: Collection[str]) -> Iterator[str]:
    if value not in known:
        yield f"config: {key}: {spelling.unknown(value, known)}"


def _run_problems(config: Mapping, runs: pd.DataFrame, tables: Collection[str]) -> Iterator[str]:
    known = models.resolve(config)
    for run in runs.itertuples():
        place = f"{config['runs']}: run {run.variant}/{run.model}/unfreeze-{run.unfreeze}"
        missing = False
        for column, names in (("model", config["models"]), ("variant", config["variants"])):
            if (value := getattr(run, column)) not in names:
                missing = True
                guess = spelling.guess(value, names)
                yield f"{place}: no {column} {value!r}: {guess}The config has {', '.join(names)}"
        for name in table_names(run.tables):
            if name not in tables:
                yield f"{place}: no published table {name!r}: there are {', '.join(tables)}"
        if not missing:
            for problem in _misfits(config, known[run.model], run):
                yield f"{place}: {problem}"
            tune = known[run.model].tune
            if (
                tune
                and _takes_histograms(config, tune["variant"]) != known[run.model].takes_histograms
            ):
                yield f"{place}: {run.model} does not take what {tune['variant']!r} shows"


def _misfits(config: Mapping, model: models.Model, run: Any) -> Iterator[str]:
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
    if histograms and variant.get("augment"):
        yield "histograms cannot be augmented"
    sampling = config["samplings"][variant["sampling"]]
    names = sampling.get("labels", {})
    labels = {names.get(name, name) for name in sampling.get("classes", CLASSES)}
    if model.threshold is not None and (len(labels) != 2 or POSITIVE not in labels):
        yield f"the threshold of {run.model} needs two labels, one of them {POSITIVE!r}"


def _takes_histograms(config: Mapping, variant: str) -> bool:
    return "reduce" in config["pixels"][config["variants"][variant]["pixels"]]


def _weights_problems(config: Mapping, runs: pd.DataFrame) -> list[str]:
    """Return a line for each weights file that the runs need and ``weights.folder`` lacks."""
    if config["weights"]["source"] != "folder":
        return []
    problems = {}  # keeps the order, and one line where all fail for the same reason
    known = models.resolve(config)
    for name in runs["model"].unique():
        network = known[name].network
        if known[name].backbone:
            try:
                backbones.find_file(
                    config["weights"]["folder"], network["backbone"], network["arguments"]
                )
            except (ValueError, OSError) as error:
                problems[f"config: {error}"] = None
    return list(problems)
