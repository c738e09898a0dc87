"""What YAML makes of a configuration file: the places where that is not what was written.

YAML 1.1, which Snakemake reads, takes ``010`` for 8, ``1:30`` for 90 and the name ``no`` for false,
and of a key that stands twice it keeps the last.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from pulmoscan.config import places

MOST = 1_000_000  # bytes of a configuration file; that of the full study has 16,000
TAG = "tag:yaml.org,2002:"
KINDS = {"bool": "a truth", "int": "a number", "float": "a number", "timestamp": "a date"}
PLAIN = {  # how a number is written that everyone reads as the same
    "int": re.compile(r"[+-]?(0|[1-9][0-9]*)"),
    "float": re.compile(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?\.(inf|nan)", re.IGNORECASE
    ),
}
DIGITS = 100  # of a whole number
QUOTES = ("'", '"', "|", ">")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def problems(path: str | Path) -> Iterator[str]:
    """Yield a line for each text of a configuration file that YAML reads as something else.

    Those are a key that stands twice in one mapping, a key that is no text to YAML, and numbers and
    dates whose value is not what they look like. A file that cannot be read has one line.
    """
    try:
        text = text_of(places.content(path, MOST))
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except (OSError, ValueError) as error:
        yield f"{path}: {error}"
    except (yaml.YAMLError, RecursionError) as error:
        if not _is_json(text):
            yield f"{path}{_reason(error)}"
    else:
        if isinstance(root, yaml.MappingNode):
            yield from (f"{path}, line {line}: {wrong}" for line, wrong in _odd(root))
        else:
            yield f"{path}: it holds no mapping of keys to values, such as `seeds: [0]`"


def text_of(content: bytes) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        ValueError: it is in another encoding; the message goes after the name of the file.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "UTF-16" if content.startswith(UTF_16) else "another encoding"
        line = content[: error.start].count(b"\n") + 1
        place = "" if found == "UTF-16" else f" in line {line}"
        raise ValueError(f"it is not text in UTF-8 but {found}{place}: save it as UTF-8") from None


def trap(text: str) -> str:
    """Return what YAML makes of a plain text that looks like something else; "" where it does not.

    Example:
        >>> trap("1:30")
        'YAML reads 1:30 as 90: write 90, or put it in quotes where it is text'
    """
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False)).removeprefix(TAG)
    if tag == "timestamp":
        return f"YAML reads {text} as a date: put it in quotes"
    if tag == "int" and len(text) > DIGITS:
        return f"a number of {len(text):,} digits is none that the workflow can use"
    if tag not in PLAIN or PLAIN[tag].fullmatch(text):
        return ""
    value = yaml.safe_load(text)
    return f"YAML reads {text} as {value}: write {value}, or put it in quotes where it is text"


def _odd(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield what is odd in a file, with its line."""
    waiting, seen = [root], set()  # an anchor is a node in several places
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _odd_keys(node)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif (
            node.style not in QUOTES
            and node.tag != f"{TAG}str"  # as `!!str 010` says
            and (wrong := trap(node.value))
        ):
            yield node.start_mark.line + 1, wrong


def _odd_keys(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    keys: set[str] = set()
    for key, _ in node.value:
        line, name = key.start_mark.line + 1, key.value
        if not isinstance(key, yaml.ScalarNode):
            yield line, "a key is a list or a mapping: it must be text"
            continue
        if (kind := key.tag.removeprefix(TAG)) in (*KINDS, "null"):
            shown = f"the key {name}" if name else "an empty key"
            yield line, f"YAML reads {shown} as {KINDS.get(kind, 'null')}: put it in quotes"
        if name in keys:
            yield line, f"duplicate key {name!r} in one mapping: put its settings in one place"
        keys.add(name)


def _reason(error: Exception) -> str:
    """Return what is wrong with a file that is not YAML, as it goes after the file's name."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f": it is not YAML: {(str(error).splitlines() or ['nested too deeply'])[0]}"
    mark = error.problem_mark or error.context_mark
    tab = "; indent with blanks, not with tabs" if "cannot start any token" in str(error) else ""
    return f"{f', line {mark.line + 1}' if mark else ''}: it is not YAML: {error.problem}{tab}"


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, which Snakemake reads too, and may be no YAML."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
