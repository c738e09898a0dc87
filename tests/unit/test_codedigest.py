"""A rule's digest changes with its script and everything that it imports, and with nothing else."""

import json
from pathlib import Path

import pytest
from pulmoscan import codedigest


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that imports `a`, which imports `b`; nobody imports `c`."""
    package = tmp_path / "pulmoscan"
    package.mkdir()
    (tmp_path / "stage.py").write_text("from pulmoscan import a\n")
    (package / "a.py").write_text("def f():\n    from pulmoscan.b import x\n    return x\n")
    (package / "b.py").write_text("x = 1\n")
    (package / "c.py").write_text("x = 1\n")
    monkeypatch.setattr(codedigest, "__file__", str(package / "codedigest.py"))
    return tmp_path


def digest(path: Path) -> str:
    codedigest._imports.cache_clear()
    return codedigest.code_digest(path)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("stage.py", True),
        ("pulmoscan/a.py", True),
        ("pulmoscan/b.py", True),
        ("pulmoscan/c.py", False),
    ],
)
def test_the_digest_follows_imports(tree, file, changes):
    before = digest(tree / "stage.py")
    with (tree / file).open("a") as code:
        code.write("# edited\n")
    assert (digest(tree / "stage.py") != before) is changes


@pytest.mark.parametrize(
    "line",
    [
        "import pulmoscan.c",
        "from pulmoscan import b, c",
        "from pulmoscan.c import x",
        "from .c import x",
    ],
)
def test_every_way_to_import_is_seen(tree, line):
    (tree / "stage.py").write_text(line + "\n")
    before = digest(tree / "stage.py")
    (tree / "pulmoscan/c.py").write_text("x = 2\n")
    assert digest(tree / "stage.py") != before


def test_a_notebook_is_followed(tree):
    source = ["%matplotlib inline\n", "from pulmoscan import c\n"]
    cells = [
        {"cell_type": "markdown", "source": ["from pulmoscan import a"]},
        {"cell_type": "code", "source": source},
    ]
    (tree / "page.ipynb").write_text(json.dumps({"cells": cells}))
    before = digest(tree / "page.ipynb")
    (tree / "pulmoscan/a.py").write_text("")
    assert digest(tree / "page.ipynb") == before
    (tree / "pulmoscan/c.py").write_text("")
    assert digest(tree / "page.ipynb") != before


def test_the_place_of_the_tree_does_not_matter(tree, tmp_path_factory, monkeypatch):
    before = digest(tree / "stage.py")
    moved = tmp_path_factory.mktemp("elsewhere") / "tree"
    tree.rename(moved)
    monkeypatch.setattr(codedigest, "__file__", str(moved / "pulmoscan/codedigest.py"))
    assert digest(moved / "stage.py") == before


def test_code_that_is_not_python_is_named(tree):
    (tree / "pulmoscan/b.py").write_text("x = (\n")
    with pytest.raises(ValueError, match=r"b\.py, line 1"):
        digest(tree / "stage.py")
