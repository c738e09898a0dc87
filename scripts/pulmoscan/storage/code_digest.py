"""Digests of what the code behind a rule means: Snakemake does not see what a script imports.

Every rule has the digests of its script, and of all modules that the script imports, among its
parameters. Code whose meaning changed runs its rules again, whatever the dates of the files say;
comments, docstrings, blank lines and formatting may change freely.
"""

import ast
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]  # the folder on the path of every script
PACKAGE = "pulmoscan"


def module_digests(script: str | Path, without: Collection[str] = ()) -> dict[str, str]:
    """Return the digest of a script's meaning and of each module that it imports.

    Args:
        script: a Python file, or a notebook whose code cells import from the package. Imports
            inside functions are followed, those of type checkers are not.
        without: names of modules or packages, such as ``pulmoscan.phantom``, that are left out
            with whatever only they import.

    Returns:
        16 hex digits by file, sorted. A file of the package is named by its path below ``ROOT``,
        the script by its name.

    Raises:
        ValueError: when code cannot be parsed; it names file and line.
    """
    script = Path(script).resolve()
    left_out = [ROOT.joinpath(*name.split(".")) for name in without]
    found = {script}
    waiting = [script]
    while waiting:
        imported = {
            path
            for path in _imports(waiting.pop()) - found
            if not any(path == out.with_suffix(".py") or out in path.parents for out in left_out)
        }
        found |= imported
        waiting.extend(imported)
    names = {path: path.name if path == script else _name(path) for path in found}
    return {name: _digest(path) for path, name in sorted(names.items(), key=lambda pair: pair[1])}


def code_digest(script: str | Path) -> str:
    """Return 16 hex digits over the meaning of a script and of everything that it imports."""
    return _short(json.dumps(module_digests(script)))


def meaning(source: str) -> str:
    """Return what Python code means, as text: equal for code that differs in its form alone.

    The syntax tree without comments, docstrings and positions, written down by this module and not
    by ``ast.dump`` or ``ast.unparse``, whose output differs between Python 3.11, 3.12 and 3.13.
    Raises ``SyntaxError`` for text that is not Python.
    """
    return _meaning(ast.parse(source))


def _meaning(tree: ast.AST) -> str:
    words: list[str] = []
    _write(tree, words.append)
    return " ".join(words)


def _write(node: Any, add: Callable[[str], None]) -> None:
    """Add a syntax tree word by word; fields that are empty or absent are left out."""
    if isinstance(node, list):
        add("[")
        for item in node:
            _write(item, add)
        add("]")
    elif isinstance(node, ast.Constant):
        add(f"{type(node.value).__name__} {node.value!a}")
    elif isinstance(node, ast.JoinedStr):
        add("(JoinedStr")
        for piece in _pieces(node):
            _write(piece, add)
        add(")")
    elif isinstance(node, ast.AST):
        add("(" + type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and isinstance(value, list):
                value = _statements(value)
            if value is None or value == [] or name == "type_comment":
                continue
            add(name)
            _write(value, add)
        add(")")
    else:
        add(ascii(node))


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return a block without text that stands alone: docstrings, and ``pass`` in their place."""
    idle = [isinstance(node, ast.Pass) or _is_text(node) for node in body]
    return [node for node, left_out in zip(body, idle, strict=True) if not left_out] or [ast.Pass()]


def _pieces(node: ast.JoinedStr) -> Iterator[ast.expr]:
    """Yield the parts of an f-string; into how many constants its text is cut does not matter."""
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += value.value
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield value
    if text:
        yield ast.Constant(text)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _digest(path: Path) -> str:
    return _short(_meaning(_tree(path)))


@cache
def _tree(path: Path) -> ast.AST:
    try:
        return ast.parse(_source(path))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from None


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Return the files of the package that one file imports, packages' own files included."""
    inside = path.is_relative_to(ROOT / PACKAGE)
    parents = path.relative_to(ROOT).parts[:-1] if inside else ()
    return frozenset(file for name in _module_names(_tree(path), parents) for file in _files(name))


def _module_names(tree: ast.AST, parents: tuple[str, ...]) -> Iterator[str]:
    """Yield the full names of what is imported; of ``from a import b``, both a and a.b."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _files(module: str) -> list[Path]:
    """Return the files that importing a module of the package runs; none for another package."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return []
    packages = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    return [
        file for file in (*packages, ROOT.joinpath(*parts).with_suffix(".py")) if file.is_file()
    ]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # Lines of IPython's own syntax are not Python; none of them imports from the package.
    lines = "\n".join(code).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
