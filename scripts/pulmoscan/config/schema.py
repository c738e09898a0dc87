"""The shape of the configuration: which keys there are, and what their values may be.

A problem is reported on one line, which names the key and its allowed values. What names refer to
is checked in `check`.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from pulmoscan import spelling
from pulmoscan.config import spelled
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
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return isinstance(value, int) or math.isfinite(value)  # a huge whole number is no float


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


def typed(value: Any, key: str = "") -> Any:
    """Return ``value`` with every text in it that YAML reads as a number, truth or null as that.

    Mappings and sequences are copied; other text stays as it is.

    Args:
        value: what --config gave.
        key: its name, for messages.

    Raises:
        ValueError: a number or date in it is not what it looks like, see `spelled.trap`.
    """
    if isinstance(value, Mapping):
        below = f"{key}." if key else ""
        return {name: typed(item, f"{below}{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item, f"{key}.{index}") for index, item in enumerate(value)]
    if isinstance(value, str):
        if wrong := spelled.trap(value):
            raise ValueError(f"config: {key}: {wrong}")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        if isinstance(read, str) and EXPONENT.fullmatch(read):
            return float(read)
        return read if read is None or isinstance(read, int | float) else value
    return value


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
    "minimum": "{} is less than {}",
    "maximum": "{} is more than {}",
    "exclusiveMinimum": "{} is not more than {}",
    "exclusiveMaximum": "{} is not less than {}",
    "minItems": "{} has fewer entries than {}",
    "maxItems": "{} has more entries than {}",
    "minLength": "is empty",
    "maxLength": "{} has more characters than {}",
    "minProperties": "is empty",
    "maxProperties": "it has more entries than {1}",
    "uniqueItems": "{} has an entry more than once",
}
LONGEST = 100  # characters of a wrong value that are shown


def _shown(value: Any) -> str:
    """Return a value as it stands in a message, shortened."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _wording(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = [name for name in error.instance if name not in known]
        return "; ".join(
            f"{name!r} is not a known key{_hint(str(name), known)}" for name in unknown
        )
    if error.validator in ("required", "dependentRequired"):
        needed = error.validator_value
        if isinstance(needed, Mapping):  # one error per key that is missing, with the same line
            present = [name for name in needed if name in error.instance]
            needed = list(chain.from_iterable(needed[name] for name in present))
        absent = [repr(name) for name in dict.fromkeys(needed) if name not in error.instance]
        one = len(absent) == 1
        return (
            f"the {'key' if one else 'keys'} {', '.join(absent)} {'is' if one else 'are'} missing"
        )
    if error.validator == "oneOf":
        choices = [branch["required"][0] for branch in error.validator_value]
        return f"give exactly one of {', '.join(choices[:-1])} and {choices[-1]}"
    if error.validator == "enum":
        values = (
            str(value) if value not in (True, False) else "on" if value else "off"
            for value in error.validator_value
        )
        return f"{_shown(error.instance)} is not one of {', '.join(dict.fromkeys(values))}"
    if error.validator == "type":
        types = error.validator_value
        types = [types] if isinstance(types, str) else types
        exponent = isinstance(error.instance, str) and EXPONENT.fullmatch(error.instance)
        hint = ": YAML wants a point and a sign, as in 1.0e-3" if exponent else ""
        if "string" in types and isinstance(error.instance, bool):
            words = "yes, on and true" if error.instance else "no, off and false"
            hint = f": YAML reads {words} so, put the word in quotes"
        return f"{_shown(error.instance)} is not {' or '.join(TYPES[name] for name in types)}{hint}"
    if error.validator == "pattern":
        return f"{_shown(error.instance)} is not {error.schema['expected']}"
    if error.validator in SENTENCES:
        return SENTENCES[error.validator].format(_shown(error.instance), error.validator_value)
    return error.message


def _hint(name: str, known: Collection[str]) -> str:
    close = spelling.nearest(name, known)
    return f": did you mean {close!r}?" if close else f"; the keys here are {', '.join(known)}"
