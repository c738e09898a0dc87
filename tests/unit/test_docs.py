"""The documentation is complete and agrees with the code that it is about."""

import importlib.util
import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from pulmoscan.config import schema
from pulmoscan.networks import layers

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RULES = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


@pytest.fixture(scope="module")
def configuration():
    """The program that writes the configuration reference."""
    found = importlib.util.spec_from_file_location("configuration", ROOT / "docs/configuration.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_configuration_reference_is_up_to_date(configuration):
    written = configuration.PAGE.read_text(encoding="utf-8")
    assert written == configuration.page(), "make docs writes it again"


def test_every_layer_is_described(configuration):
    assert set(configuration.MEANINGS) == {*layers.WORDS, *layers.DEFAULTS}


def test_the_reference_has_a_row_for_every_key_of_the_study(configuration):
    text = configuration.page()
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    named = {
        key
        for key, node in schema.load(configuration.SCHEMA)["properties"].items()
        if isinstance(node.get("additionalProperties"), dict)
    }
    for key, value in config.items():
        assert f"\n## {key}\n" in text
        for name, entry in value.items() if isinstance(value, dict) else ():
            settings = entry if key in named and isinstance(entry, dict) else {name: None}
            for setting in settings:
                path = f"{key}.<name>.{setting}" if key in named else f"{key}.{setting}"
                assert f"`{path}`" in text or key == "architectures", path


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 124


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_exists(page):
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    words = " ".join(code).replace("`", " ").split()
    for word in words:
        if re.fullmatch(r"(?:scripts|workflow|tests|notebooks|envs)/[\w./-]+", word):
            assert (ROOT / word).exists(), word
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {word for make, word in itertools.pairwise(words) if make == "make"}
    assert made <= targets


def test_all_pages_are_in_the_index():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f"(docs/{page.name})" in readme


def test_every_file_of_a_rule_is_among_the_outputs():
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    for rule in re.findall(r"    output:\n((?:        .*\n)+)", RULES):
        for path in re.findall(r"\"(?:results)/([^\"]+)\"", rule):
            name = PLACEHOLDER.sub("", path.rpartition("/")[2])
            assert name.strip(".-") in text, path


def test_pictures_are_small():
    pictures = list((ROOT / "docs").glob("*.png"))
    assert pictures
    assert all(path.stat().st_size < 300_000 for path in pictures)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert all({"type", "title", "authors"} <= entry.keys() for entry in citation["references"])
    assert f"[{project['version']}]" in (ROOT / "docs/citing.md").read_text(encoding="utf-8")
