"""Checks of the configuration and of the run table before anything runs."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, ValidationError

from pulmoscan import backbones
from pulmoscan.database import CLASSES, canonical_image
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
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]!r}?" if close else f"; the keys here are {', '.join(known)}"


def _reference_problems(config: Mapping) -> Iterator[str]:
    yield from _unknown("split", config["split"], config["splits"])
    if config["dataset"]["source"] == "local" and not config["dataset"]["path"]:
        yield "config: dataset.path: source local needs the path of a folder or a zip"
    if config["weights"]["source"] == "folder" and not config["weights"]["folder"]:
        yield "config: weights.folder: source folder needs the path of a folder with weight files"
    for name, variant in config["variants"].items():
        for part, known in (("sampling", config["samplings"]), ("pixels", config["pixels"])):
            yield from _unknown(f"variants.{name}.{part}", variant[part], known)
    for name, model in config["models"].items():
        if "backbone" in model:
            yield from _unknown(f"models.{name}.backbone", model["backbone"], backbones.BACKBONES)
            backbone = backbones.BACKBONES.get(model["backbone"])
            if backbone and model["input_size"] < backbone.smallest:
                yield (
                    f"config: models.{name}.input_size: {model['input_size']} is too small: "
                    f"{model['backbone']} needs {backbone.smallest} pixels"
                )
            own = model.get("arguments", {}).keys() - backbones.ARGUMENTS.get(model["backbone"], ())
            if own:
                yield f"config: models.{name}.arguments: {model['backbone']} takes no {min(own)!r}"
        elif extra := {"arguments", "head"} & model.keys():
            yield f"config: models.{name}.{extra.pop()}: goes with a backbone, not an architecture"
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
        close = difflib.get_close_matches(value, known, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        yield f"config: {key}: no {value!r}: {guess}It is one of {', '.join(known)}"


def _run_problems(config: Mapping, runs: pd.DataFrame, tables: Collection[str]) -> Iterator[str]:
    for run in runs.itertuples():
        place = f"{config['runs']}: run {run.variant}/{run.model}/unfreeze-{run.unfreeze}"
        for column, known in (("model", config["models"]), ("variant", config["variants"])):
            if (value := getattr(run, column)) not in known:
                close = difflib.get_close_matches(value, known, n=1)
                guess = f"did you mean {close[0]!r}? " if close else ""
                yield f"{place}: no {column} {value!r}: {guess}The config has {', '.join(known)}"
        for name in table_names(run.tables):
            if name not in tables:
                yield f"{place}: no published table {name!r}: there are {', '.join(tables)}"
        model = config["models"].get(run.model, {})
        if "architecture" in model and run.unfreeze != "all":
            yield f"{place}: {run.model} has no pre-trained part: its unfreeze is all"
        backbone = backbones.BACKBONES.get(model.get("backbone"))
        if backbone and run.unfreeze.isdecimal() and int(run.unfreeze) > backbone.layers:
            yield f"{place}: {model['backbone']} has {backbone.layers} layers"
        pixels = config["pixels"].get(config["variants"].get(run.variant, {}).get("pixels"), {})
        if pixels.get("reduce") and model:
            yield f"{place}: {run.model} takes images, not the histograms of this variant"


def _weights_problems(config: Mapping, runs: pd.DataFrame) -> list[str]:
    """Return a line for each weights file that the runs need and ``weights.folder`` lacks."""
    if config["weights"]["source"] != "folder":
        return []
    problems = {}  # keeps the order, and one line where all fail for the same reason
    for name in runs["model"].unique():
        model = config["models"][name]
        if "backbone" in model:
            try:
                backbones.find_file(
                    config["weights"]["folder"], model["backbone"], model.get("arguments")
                )
            except (ValueError, OSError) as error:
                problems[f"config: {error}"] = None
    return list(problems)
