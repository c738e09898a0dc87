"""Checks of the configuration and of the run table before anything runs."""

import math
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pulmoscan import spelling
from pulmoscan.config import models
from pulmoscan.config.runs import table_names
from pulmoscan.data import samplings
from pulmoscan.data.layout import CLASSES, POSITIVE, canonical_image
from pulmoscan.networks import backbones

EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 reads 1e-3 as text
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
    "null": "null",
}


def _is_number(_: object, value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(_: object, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 2.0 for a whole number, which would stand in a path or a range of epochs as it
# is, and not a number for a number.
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_whole}
    ),
)


def check(config: Mapping, schema: str | Path) -> None:
    """Check the resolved configuration: the keys it has, their values, and the names they refer to.

    Raises:
        ValueError: with one line a problem, each naming the key and what it may be.
    """
    # References are looked up only in a configuration whose shape is right.
    _raise(list(_schema_problems(config, schema)) or _reference_problems(config))


def check_files(paths: Iterable[str | Path]) -> None:
    """Check that no mapping in a configuration file has a key twice: YAML keeps the last one only.

    Raises:
        ValueError: with one line a key, each naming the file and the line.
    """
    _raise(problem for path in paths for problem in _repeated_keys(path))


def check_runs(config: Mapping, runs: pd.DataFrame, tables: Collection[str]) -> None:
    """Check rows of the run table against a configuration that is right and the published tables.

    Raises:
        ValueError: with one line a problem, each naming the run.
    """
    _raise([*_run_problems(config, runs, tables)] or _weights_problems(config, runs))


def _raise(problems: Iterable[str]) -> None:
    if lines := "\n".join(dict.fromkeys(problems)):
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


def _repeated_keys(path: str | Path) -> Iterator[str]:
    try:
        waiting = [yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)]
    except yaml.YAMLError:  # JSON that is no YAML: Snakemake has read it
        return
    looked_at = set()  # an anchor is a node in several places
    while waiting:
        node = waiting.pop()
        if id(node) in looked_at:
            continue
        looked_at.add(id(node))
        seen: set[str] = set()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) in seen:
                    yield (
                        f"{path}, line {key.start_mark.line + 1}: {key.value!r} stands twice "
                        "in one mapping: put what belongs to it in one place"
                    )
                seen.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _schema_problems(config: Mapping, schema: str | Path) -> Iterator[str]:
    text = Path(schema).read_text(encoding="utf-8")
    validator = Validator(yaml.load(text, Loader=yaml.CSafeLoader))
    errors = validator.iter_errors(config)
    for error in sorted(errors, key=lambda error: list(map(str, error.path))):
        if error.validator == "oneOf" and not isinstance(error.instance, Mapping):
            continue  # that it is no mapping is told by its type
        key = ".".join(str(part) for part in error.absolute_path)
        yield f"config: {f'{key}: ' if key else ''}{_wording(error)}"


SENTENCES = {
    "minimum": "{!r} is less than {}",
    "maximum": "{!r} is more than {}",
    "exclusiveMinimum": "{!r} is not more than {}",
    "exclusiveMaximum": "{!r} is not less than {}",
    "minItems": "{!r} has fewer entries than {}",
    "minLength": "is empty",
    "minProperties": "is empty",
    "uniqueItems": "{!r} has an entry more than once",
}


def _wording(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = [name for name in error.instance if name not in known]
        return "; ".join(
            f"{name!r} is not a known key{_hint(str(name), known)}" for name in unknown
        )
    if error.validator == "required":
        absent = [repr(name) for name in error.validator_value if name not in error.instance]
        one = len(absent) == 1
        return (
            f"the {'key' if one else 'keys'} {', '.join(absent)} {'is' if one else 'are'} missing"
        )
    if error.validator == "oneOf":
        choices = [branch["required"][0] for branch in error.validator_value]
        return f"give exactly one of {' and '.join(choices)}"
    if error.validator == "enum":
        values = (
            str(value) if value not in (True, False) else "on" if value else "off"
            for value in error.validator_value
        )
        return f"{error.instance!r} is not one of {', '.join(dict.fromkeys(values))}"
    if error.validator == "type":
        types = error.validator_value
        types = [types] if isinstance(types, str) else types
        exponent = isinstance(error.instance, str) and EXPONENT.fullmatch(error.instance)
        hint = ": YAML wants a point, as in 1.0e-3" if exponent else ""
        instance = "null" if error.instance is None else repr(error.instance)
        return f"{instance} is not {' or '.join(TYPES[name] for name in types)}{hint}"
    if error.validator == "pattern":
        return f"{error.instance!r} is not {error.schema['description']}"
    if error.validator in SENTENCES:
        return SENTENCES[error.validator].format(error.instance, error.validator_value)
    return error.message


def _hint(name: str, known: Collection[str]) -> str:
    close = spelling.nearest(name, known)
    return f": did you mean {close!r}?" if close else f"; the keys here are {', '.join(known)}"


def _reference_problems(config: Mapping) -> Iterator[str]:
    yield from _unknown("split", config["split"], config["splits"])
    yield from _dataset_problems(config)
    if config["weights"]["source"] == "folder" and not config["weights"]["folder"]:
        yield "config: weights.folder: source folder needs the path of a folder with weight files"
    for name, variant in config["variants"].items():
        for part, known in (("sampling", config["samplings"]), ("pixels", config["pixels"])):
            yield from _unknown(f"variants.{name}.{part}", variant[part], known)
        if variant.get("augment") and "reduce" in config["pixels"].get(variant["pixels"], {}):
            yield f"config: variants.{name}.augment: histograms cannot be augmented"
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
        if config["split"] in config["splits"]:
            split = config["splits"][config["split"]]
            for problem in samplings.problems(name, sampling, split["test"], split["validation"]):
                yield f"config: {problem}"
    for image in config["explain"]["images"]:
        try:
            canonical_image(image)
            if not re.fullmatch(r"\w+", image.rpartition("-")[2]):
                raise ValueError(f"{image!r} is not an image name: expected <class>-<number>")
        except ValueError as error:
            yield f"config: explain.images: {error}"


def _dataset_problems(config: Mapping) -> Iterator[str]:
    dataset = config["dataset"]
    if dataset["source"] == "local":
        if not dataset["path"]:
            yield "config: dataset.path: source local needs the path of a folder or a zip"
        elif Path(dataset["path"]).is_file() and not zipfile.is_zipfile(dataset["path"]):
            yield f"config: dataset.path: {dataset['path']} is neither a folder nor a zip"


def _unknown(key: str, value: str, known: Collection[str]) -> Iterator[str]:
    if value not in known:
        yield f"config: {key}: {spelling.unknown(value, known)}"


def _run_problems(config: Mapping, runs: pd.DataFrame, tables: Collection[str]) -> Iterator[str]:
    known = models.resolve(config)
    for run in runs.itertuples():
        place = f"{config['runs']}: run {run.variant}/{run.model}/unfreeze-{run.unfreeze}"
        missing = False
        for column, names in (
            ("split", config["splits"]),
            ("model", config["models"]),
            ("variant", config["variants"]),
        ):
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
    sampling = config["samplings"][variant["sampling"]]
    names = sampling.get("labels", {})
    labels = {names.get(name, name) for name in sampling.get("classes", CLASSES)}
    if model.threshold is not None and (len(labels) != 2 or POSITIVE not in labels):
        yield f"the threshold of {run.model} needs two labels, one of them {POSITIVE!r}"


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
