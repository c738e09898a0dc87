"""The tree explains itself: rooms in one order, one program per rule, small files."""

import ast
import json
import re
from pathlib import Path

import pulmoscan
import pytest
from pulmoscan.storage import code_digest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "scripts/pulmoscan"
ROOMS = pulmoscan.ROOMS


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(name: str) -> str:
    """Return the room of a module's full name; "" for one beside the rooms."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def test_the_list_of_rooms_is_complete():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_from_the_rooms_before_it(path):
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    own = room_of(name)
    allowed = {own, "", *(ROOMS[: ROOMS.index(own)] if own else ())}
    parents = path.relative_to(PACKAGE.parent).parts[:-1]
    imported = code_digest._module_names(ast.parse(path.read_text()), parents)
    rooms = {room_of(module) for module in imported if module.startswith("pulmoscan")}
    assert rooms <= allowed, f"{name} imports from {sorted(rooms - allowed)}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_lives_there(room):
    described = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
    assert described
    assert len(described.split()) > 10


def test_every_rule_has_a_program_of_its_name_and_users_have_one():
    text = "\n".join(path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    derived = {  # the same program; a notebook
        "gather_explained": "gather",
        "gather_table": "gather",
        "report": "report",
    }
    programs = {derived.get(rule, rule) for rule in rules} - {None}
    assert programs | {"predict"} == {path.stem for path in (REPOSITORY / "scripts").glob("*.py")}


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("scripts/*.py", 100),
        ("scripts/pulmoscan/**/*.py", 300),
        ("workflow/**/*.py", 300),
        ("workflow/**/*.smk", 300),
        ("tests/**/*.py", 400),
    ],
)
def test_files_are_small(pattern, most):
    lengths = {
        path.relative_to(REPOSITORY).as_posix(): len(path.read_text().splitlines())
        for path in REPOSITORY.glob(pattern)
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > most} == {}


def test_the_notebook_is_prose_and_calls():
    cells = json.loads((REPOSITORY / "notebooks/report.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert max(len(source.splitlines()) for source in sources) <= 8
    assert not any(re.search(r"^\s*(def|class) ", source, re.MULTILINE) for source in sources)
    assert not any(cell.get("outputs") for cell in cells)


def test_one_room_alone_names_a_backend():
    named = re.compile(r"^\s*(?:import|from) (?:tensorflow|jax|torch)\b", re.MULTILINE)
    found = {
        path.relative_to(PACKAGE).parts[0] for path in modules() if named.search(path.read_text())
    }
    assert found == {"backends"}
