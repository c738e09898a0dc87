"""Write docs/configuration.md: every key of the configuration, as its schema describes it.

`make docs` runs it after a change of workflow/schemas/config.schema.yaml or config.yaml. What there
is of steps, layers, backbones and classifiers is read from the modules that build them.
"""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from pulmoscan.config import schema  # noqa: E402
from pulmoscan.inputs import enhancement  # noqa: E402
from pulmoscan.networks import backbones, classifiers, layers  # noqa: E402

PAGE = ROOT / "docs/configuration.md"
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
CONFIG = ROOT / "config.yaml"
HEADER = ["key", "value", "default", "meaning"]
LONGEST = 60  # characters of a default value that is shown
WIDTH = 100
WRAPPING = {"break_long_words": False, "break_on_hyphens": False}
DEFINITIONS = "#/$defs/"
TITLE = """\
<!-- Written by docs/configuration.py from the schema; `make docs` writes it again. -->

# Configuration

[`config.yaml`](../config.yaml) is the full study. A file given with `--configfile`, or values given
with `--config`, are laid over it: mappings are merged, everything else is replaced, so a file names
only what differs. Targets go before both options, which take everything that follows them:

```
snakemake --cores 8 --configfile mine.yaml
snakemake results/tables/region.tsv --cores 8 --config seeds='[0, 1]' training='{epochs: 30}'
```

The configuration is checked before anything runs. A mistyped key, a name that does not exist, a
value out of range, and a run that cannot work are errors that name the key and what it may be. So
are texts that YAML reads as something else, such as `010` (8), `1:30` (90) and the name `no`
(false): write them without leading zeros or in quotes. A setting that has no effect is said once,
when the workflow starts.

In the tables below, `<name>` stands for a name of your choice, made of at most 64 letters, digits,
dots, dashes and underscores, and `<n>` for a position in a list, counted from 0. Names of one kind
differ in more than case, and none reads as a number or a missing value (`NA`). Defaults are those
of `config.yaml`.
"""
STEPS = """\
## Steps of enhance

A step is a word, which takes the defaults, or a mapping of the step to its value or its options:
`blur`, `{blur: 5}`, `{clahe: {clip: 2.0, tiles: 8}}`. They see the image as packed, after what the
`region` hides is black.
"""
MEANINGS_OF_STEPS = {
    "equalize": "the histogram of the whole image is equalised",
    "clahe": "contrast-limited adaptive histogram equalisation",
    "blur": "Gaussian blur of `size` x `size` pixels",
    "gamma": "grey levels, as shares of white, are raised to `exponent`",
}
LAYERS = """\
## Layers

A head or an architecture is a list of layers in the order of the network. A layer without options
is a word; any other is a mapping of its kind to its size, with its options beside it:
`{conv2d: 16, kernel: 5}`. Each has one of `average_pooling`, `global_max_pooling` and `flatten`,
with only `dense`, `dropout` and `batch_normalization` after it. A head begins with it, or with
`max_pooling`. Any value may be a `$name` that the model's `tune` searches. The layer of the classes
is added at the end.
"""
MEANINGS = {
    "average_pooling": "the mean of every map",
    "global_max_pooling": "the maximum of every map",
    "flatten": "all values as one vector",
    "max_pooling": "the maximum of every 2 x 2 pixels, or of two neighbours in a histogram",
    "batch_normalization": "normalisation by the statistics of the batch",
    "conv1d": "a convolution along a histogram, with this number of filters",
    "conv2d": "a convolution of images, with this number of filters",
    "dense": "a dense layer with this number of units; 0 leaves it out",
    "dropout": "dropout of this share of values; 0 leaves it out",
}
BACKBONES = """\
## Backbones

Networks of `keras.applications` without their top. Layers are counted as Keras counts them, the
input included; a run can unfreeze as many.
"""
CLASSIFIERS = """\
## Classifiers

scikit-learn classifiers of grey-level histograms. The first two see every grey level scaled to mean
0 and standard deviation 1; the probabilities of an `SVC` are calibrated by cross-validation.
"""


class Reference:
    """Sections about the keys of a schema, with the defaults of a configuration."""

    def __init__(self, loaded: Mapping, config: Mapping) -> None:
        """Take a schema (see `schema.load`) and the configuration with the defaults."""
        self._schema, self._config = loaded, config

    def sections(self) -> Iterator[str]:
        """Yield the section of each top-level key.

        Raises `KeyError` for a key without a description.
        """
        for key, node in self._schema["properties"].items():
            node = self._resolved(node)
            named = self._resolved(node.get("additionalProperties") or {})
            yield f"## {key}"
            yield _wrapped(node["description"])
            if named:
                names = ", ".join(f"`{name}`" for name in self._config[key]) or "none"
                yield _wrapped(f"`config.yaml` has {names}.")
            if "properties" in named:
                yield _table(HEADER, self._rows(named, f"{key}.<name>", None))
            elif "properties" in node:
                yield _table(HEADER, self._rows(node, key, self._config[key]))
            elif not named:
                yield f"Value: {self._value(node)}. Default: {_shown(self._config[key])}."

    def _rows(self, node: Mapping, path: str, values: Mapping | None) -> Iterator[list[str]]:
        """Yield a row for each key of a mapping, each followed by those of the keys below it.

        ``values`` are the defaults; None for a mapping that is not in the configuration.
        """
        choices = {branch["required"][0] for branch in node.get("oneOf", ())}
        for key, entry in node["properties"].items():
            child, below = self._resolved(entry), f"{path}.{key}"
            default = values[key] if values else None
            if values:
                shown = "" if isinstance(default, Mapping) else _shown(default)
            else:
                required = "required" if key in node.get("required", ()) else "optional"
                shown = "one of these" if key in choices else required
            yield [f"`{below}`", self._value(entry), shown, child["description"]]
            if not self._has_section(entry) and "properties" in child:
                yield from self._rows(child, below, default)
            elif "properties" in (items := self._resolved(child.get("items", {}))):
                yield from self._rows(items, f"{below}.<n>", None)

    def _has_section(self, node: Mapping) -> bool:
        """Return whether a node is the same as a top-level key, as a model's ``training`` is."""
        return _definition(node) in self._schema["properties"]

    def _resolved(self, node: Mapping) -> dict[str, Any]:
        """Return a node together with the definition that it refers to."""
        for part in node.get("allOf", ()):
            node = {**self._resolved(part), **node}
        name = _definition(node)
        return {**(self._schema["$defs"][name] if name else {}), **node}

    def _value(self, node: Mapping) -> str:
        """Return which values a key takes, in words."""
        if self._has_section(node):
            return f"see [{_definition(node)}](#{_definition(node)})"
        node = self._resolved(node)
        if "title" in node:
            return node["title"]
        if "enum" in node:
            words = [{True: "on", False: "off"}.get(value, value) for value in node["enum"]]
            return _either([f"`{word}`" for word in dict.fromkeys(words)])
        if "expected" in node:
            return node["expected"]
        types = [node["type"]] if isinstance(node["type"], str) else node["type"]
        return _either([self._of_type(kind, node) for kind in types])

    def _of_type(self, kind: str, node: Mapping) -> str:
        if kind == "array":
            items = self._resolved(node["items"])
            return "list" if "properties" in items else f"list, each entry {self._value(items)}"
        if kind == "object":
            values = node.get("additionalProperties")
            return f"mapping of classes to {self._value(values)}" if values else "mapping"
        if kind in ("integer", "number"):
            return {"integer": "whole number", "number": "number"}[kind] + _range(node)
        return {"string": "text", "boolean": "`true` or `false`", "null": "`null`"}[kind]


def page() -> str:
    """Return the page."""
    config = yaml.load(CONFIG.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    options = {word: {} for word in layers.WORDS} | dict(layers.DEFAULTS)
    of_layers = [[f"`{kind}`", _named(options[kind]), MEANINGS[kind]] for kind in sorted(options)]
    of_steps = [
        [f"`{name}`", ", ".join(map(_option, step.options.items())), MEANINGS_OF_STEPS[name]]
        for name, step in enhancement.STEPS.items()
    ]
    activations = _either([f"`{name}`" for name in layers.ACTIVATIONS])
    of_backbones = [
        [f"`{name}`", str(known.layers), f"{known.smallest} px", _listed(known.arguments)]
        for name, known in backbones.BACKBONES.items()
    ]
    of_classifiers = [
        [f"`{name}`", _listed(arguments)] for name, arguments in classifiers.ARGUMENTS.items()
    ]
    parts = [
        TITLE,
        *Reference(schema.load(SCHEMA), config).sections(),
        STEPS,
        _table(["step", "options, their limits and defaults", "what it does"], of_steps),
        LAYERS,
        _table(["layer", "options and their defaults", "what it is"], of_layers),
        f"`activation` is {activations}; `l2` is a penalty on the weights.",
        BACKBONES,
        _table(["backbone", "layers", "smallest input", "arguments"], of_backbones),
        CLASSIFIERS,
        _table(["classifier", "arguments"], of_classifiers),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _option(item: tuple[str, enhancement.Option]) -> str:
    name, option = item
    default = "no default" if option.default is None else f"default {option.default}"
    return f"`{name}`: {option.kind} from {option.low:g} to {option.high:g}, {default}"


def _definition(node: Mapping) -> str:
    return node.get("$ref", "").removeprefix(DEFINITIONS)


def _range(node: Mapping) -> str:
    """Return the range of a number, in words, to follow the kind of number."""
    if {"minimum", "maximum"} <= node.keys():
        return f" from {node['minimum']} to {node['maximum']}"
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
        "maximum": "at most",
    }
    words = [f"{text} {node[bound]}" for bound, text in bounds.items() if bound in node]
    return f" {' and '.join(words)}"


def _wrapped(text: str) -> str:
    """Return a paragraph in short lines; a list stays as it is."""
    return textwrap.fill(text, WIDTH, **WRAPPING) if "\n" not in text.strip() else text.strip()


def _shown(value: Any) -> str:
    """Return a default as YAML, if it is short."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    text = text.removesuffix("...\n").strip()
    return f"`{text}`" if len(text) <= LONGEST else "see `config.yaml`"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _named(options: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}: {value}`" for name, value in options.items())


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
