"""The shape of the configuration: which keys there are, and what their values may be.

A problem is reported on one line, which names the key and its allowed values. What names refer to
is checked in `check`.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pulmoscan import spelling
from pulmoscan.inputs import pixels

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


# JSON Schema accepts 2.0 as a whole number, which would end up in a path or a range of epochs, and
# it accepts NaN as a number.
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_whole}
    ),
)


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


def repeated_keys(path: str | Path) -> Iterator[str]:
    """Yield one line for each key that a mapping of a file has twice: YAML keeps the last only."""
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
                        f"{path}, line {key.start_mark.line + 1}: duplicate key {key.value!r} "
                        "in one mapping: put its settings in one place"
                    )
                seen.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def load(path: str | Path) -> dict[str, Any]:
    """Return the schema of the configuration, with the kinds of pixels that exist."""
    loaded = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    # One registry says what there is: a new kind of pixels is a function in it.
    kinds = loaded["properties"]["pixels"]["additionalProperties"]["properties"]
    kinds["region"]["enum"] = list(pixels.REGIONS)
    kinds["reduce"]["enum"] = list(pixels.REDUCTIONS)
    return loaded


def problems(config: Mapping, schema: str | Path) -> Iterator[str]:
    """Yield one line for each unknown or missing key and each wrong value of a configuration."""
    errors = Validator(load(schema)).iter_errors(config)
    for error in sorted(errors, key=lambda error: list(map(str, error.path))):
        if error.validator == "oneOf" and not isinstance(error.instance, Mapping):
            continue  # its wrong type is reported already
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
        return f"{error.instance!r} is not {error.schema['expected']}"
    if error.validator in SENTENCES:
        return SENTENCES[error.validator].format(error.instance, error.validator_value)
    return error.message


def _hint(name: str, known: Collection[str]) -> str:
    close = spelling.nearest(name, known)
    return f": did you mean {close!r}?" if close else f"; the keys here are {', '.join(known)}"
