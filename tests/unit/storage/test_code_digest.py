"""A rule's digests change with the meaning of its code and of what it imports, nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pulmoscan.storage import code_digest

# Every construct whose syntax tree differs between Python 3.11 and 3.13, and a few that do not.
SAMPLE = '''"""A docstring."""
import os as system
from . import sibling


@decorator(1, *arguments, key=2, **options)
class Some(Base, metaclass=Meta):
    """Another docstring."""

    field: int = 3
    """A docstring of an attribute."""

    def method(self, a, /, b: int = 0x10, *, c="x" "y", **rest) -> "Some":
        """And another."""

    async def waits(self):
        async with self as other, open(f"{self!r:>{a + 1}} {{b}} {c=}" f"tail") as file:
            return [x async for x in other if x not in (1, 2.5, 3j, b"bytes", None, ...)]


def match(value):
    match value:
        case {"a": [1, *_], **rest} if rest:
            return lambda x, *y: (yield x)
        case None | True:
            raise ValueError("Grüße") from None
    try:
        del value[1:2, ::3]
    except* OSError as error:
        print(f"{error}", end="")
    finally:
        pass
'''
DIGEST = "7c578993ab03ce2d"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that imports `a`, which imports `room.b`; nobody imports `c`."""
    room = tmp_path / "pulmoscan/room"
    room.mkdir(parents=True)
    (tmp_path / "stage.py").write_text("from pulmoscan import a\n")
    for package in (room.parent, room):
        (package / "__init__.py").write_text('"""What lives here."""\n')
    (room.parent / "a.py").write_text(
        "def f():\n    from pulmoscan.room.b import x\n    return x\n"
    )
    (room / "b.py").write_text("x = 1\n")
    (room.parent / "c.py").write_text("x = 1\n")
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def forget():
    """Files change within a test, but not within a process of the workflow."""
    yield
    clear()


def clear() -> None:
    for function in (code_digest._digest, code_digest._tree, code_digest._imports):
        function.cache_clear()


def digest(path: Path) -> str:
    clear()
    return code_digest.code_digest(path)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("stage.py", True),
        ("pulmoscan/a.py", True),
        ("pulmoscan/__init__.py", True),
        ("pulmoscan/room/__init__.py", True),
        ("pulmoscan/room/b.py", True),
        ("pulmoscan/c.py", False),
    ],
)
def test_the_digest_follows_imports(tree, file, changes):
    before = digest(tree / "stage.py")
    with (tree / file).open("a") as code:
        code.write("edited = True\n")
    assert (digest(tree / "stage.py") != before) is changes


def test_only_the_changed_module_has_another_digest(tree):
    before = code_digest.module_digests(tree / "stage.py")
    assert list(before) == [
        "pulmoscan/__init__.py",
        "pulmoscan/a.py",
        "pulmoscan/room/__init__.py",
        "pulmoscan/room/b.py",
        "stage.py",
    ]
    (tree / "pulmoscan/room/b.py").write_text("x = 2\n")
    clear()
    after = code_digest.module_digests(tree / "stage.py")
    assert {name for name in before if before[name] != after[name]} == {"pulmoscan/room/b.py"}


@pytest.mark.parametrize(
    "line",
    [
        "import pulmoscan.c",
        "import pulmoscan.c as other",
        "from pulmoscan import room, c",
        "from pulmoscan.c import x",
        "from .c import x",
        "from . import c",
    ],
)
def test_every_way_to_import_is_seen(tree, line):
    (tree / "pulmoscan/a.py").write_text(line + "\n")
    before = digest(tree / "stage.py")
    (tree / "pulmoscan/c.py").write_text("x = 2\n")
    assert digest(tree / "stage.py") != before


@pytest.mark.parametrize("line", ["from ..c import x", "from .. import c", "from .b import x"])
def test_relative_imports_start_at_the_module_that_holds_them(tree, line):
    (tree / "stage.py").write_text("import pulmoscan.room.d\n")
    (tree / "pulmoscan/room/d.py").write_text(line + "\n")
    before = digest(tree / "stage.py")
    (tree / "pulmoscan/c.py").write_text("x = 2\n")
    (tree / "pulmoscan/room/b.py").write_text("x = 2\n")
    assert digest(tree / "stage.py") != before


def test_imports_for_type_checkers_are_not_followed(tree):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pulmoscan import c\n"
    (tree / "stage.py").write_text(source)
    before = digest(tree / "stage.py")
    (tree / "pulmoscan/c.py").write_text("x = 2\n")
    assert digest(tree / "stage.py") == before


def test_a_module_can_be_left_out_with_what_only_it_imports(tree):
    found = code_digest.module_digests(tree / "stage.py", without=["pulmoscan.a"])
    assert list(found) == ["pulmoscan/__init__.py", "stage.py"]


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
    monkeypatch.setattr(code_digest, "ROOT", moved)
    assert digest(moved / "stage.py") == before


def test_code_that_is_not_python_is_named(tree):
    (tree / "pulmoscan/room/b.py").write_text("x = (\n")
    with pytest.raises(ValueError, match=r"b\.py, line 1"):
        digest(tree / "stage.py")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1\n", "# said before\n\n\nx = 1  # and behind\n"),
        ("x = 'a'\n", 'x = "a"\n'),
        ("x = 'ab'\n", "x = (\n    'a'\n    'b'\n)\n"),
        ("x = f'{a} b'\n", "x = f'{a}' ' ' 'b'\n"),
        ("x = f(1, 2)\n", "x = f(\n    1,\n    2,\n)\n"),
        ("x = 1000\n", "x = 1_000\n"),
        ("def f():\n    pass\n", 'def f():\n    """Do nothing."""\n'),
        ('"""One."""\nx = 1\n', '"""Another."""\nx = 1\n'),
        ("class A:\n    x = 1\n", 'class A:\n    """Hold x."""\n\n    x = 1\n    """An x."""\n'),
        ("x = a + b\n", "x = (a + b)\n"),
    ],
)
def test_form_means_nothing(one, other):
    assert code_digest.meaning(one) == code_digest.meaning(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1\n", "x = 2\n"),
        ("x = 1\n", "x = 1.0\n"),
        ("x = 1\n", "x = True\n"),
        ("x = 'a'\n", "x = b'a'\n"),
        ("def f(x=1): pass\n", "def f(x=2): pass\n"),
        ("def f(x): pass\n", "def f(*, x): pass\n"),
        ("def f(a, b=1): pass\n", "def f(a=1, b=1): pass\n"),
        ("raise ValueError('no file')\n", "raise ValueError('no such file')\n"),
        ("x = f'{a}'\n", "x = f'{a!r}'\n"),
        ("x = f'{a:.1f}'\n", "x = f'{a:.2f}'\n"),
        ("x = [a, [b]]\n", "x = [[a], b]\n"),
        ("a - b - c\n", "a - (b - c)\n"),
        ("x = None\n", "x: None\n"),
        ("if a:\n    b\nc\n", "if a:\n    b\n    c\n"),
        ("return_ = []\n", "return_ = ()\n"),
        ("print('x')\n", "print('x', )\nprint()\n"),
    ],
)
def test_a_change_of_meaning_is_seen(one, other):
    assert code_digest.meaning(one) != code_digest.meaning(other)


def test_the_digest_is_the_same_on_every_python():
    assert code_digest._short(code_digest.meaning(SAMPLE)) == DIGEST


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_digests_of_this_project_are_the_same_on_every_python(version, repository):
    """Only the standard library is imported, so any interpreter of the machine can be asked."""
    code = (
        "import json, sys; sys.path.insert(0, 'scripts'); "
        "from pulmoscan.storage import code_digest; "
        "print(json.dumps(code_digest.module_digests('scripts/train.py')))"
    )
    try:
        done = subprocess.run(
            [f"python{version}", "-c", code], cwd=repository, capture_output=True, text=True
        )
    except OSError:
        pytest.skip(f"no python{version} on this machine")
    if done.returncode != 0 and not done.stdout:
        pytest.skip(f"python{version} does not start: {done.stderr.strip()[:200]}")
    assert json.loads(done.stdout) == code_digest.module_digests(repository / "scripts/train.py")
    assert len(json.loads(done.stdout)) > 10, sys.version
