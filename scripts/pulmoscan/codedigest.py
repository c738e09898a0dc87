"""A digest of the code behind a rule, because Snakemake does not see what a script imports.

Every rule carries the digest of its script, or notebook, among its parameters: a rule whose code
changed runs again, whatever the dates of the files say.
"""

import ast
import hashlib
import json
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "pulmoscan"


def code_digest(script: str | Path, without: Collection[str] = ()) -> str:
    """Return 16 hex digits over the content of a script and of the modules it imports.

    ``script`` is a Python file beside the folder ``pulmoscan``, or a notebook whose code cells
    import from it; modules are followed through their own imports, those inside functions
    included, but not into the modules named in ``without``. Raises ``ValueError`` when the code
    cannot be parsed.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(Path(script).resolve(), without)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _closure(script: Path, without: Collection[str]) -> set[Path]:
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found and path.stem not in without:
            found.add(path)
            waiting.extend(_imports(path))
    return found


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Return the files of the package's modules that one file imports."""
    package = Path(__file__).resolve().parent
    try:
        tree = ast.parse(_source(path))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from None
    files = (package / f"{name}.py" for name in _module_names(tree))
    return frozenset(file for file in files if file.is_file())


def _module_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{PACKAGE}."):
                    yield alias.name.split(".")[1]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = f"{PACKAGE}.{module}".rstrip(".")
            if module == PACKAGE:
                yield from (alias.name for alias in node.names)
            elif module.startswith(f"{PACKAGE}."):
                yield module.split(".")[1]


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # Lines of IPython's own syntax are not Python; none of them imports from the package.
    lines = "\n".join(code).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
