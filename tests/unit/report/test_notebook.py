"""The notebook of the report: prose and calls, whose links and contents follow its headings."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
import small_study
from nbconvert import HTMLExporter
from pulmoscan.report import figures, page
from pulmoscan.report.sections import overview, published
from pulmoscan.report.study import Study

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "notebooks/report.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
SOURCES = [(cell["cell_type"], "".join(cell["source"])) for cell in CELLS]
CODE = [source for kind, source in SOURCES if kind == "code"]
PROSE = "\n".join(source for kind, source in SOURCES if kind == "markdown")
ANCHORS = re.findall(r'^<a id="(\w+)"></a>$', PROSE, re.MULTILINE)
HEADINGS = re.findall(r"^(##+) (.+)$", PROSE, re.MULTILINE)


def run(study: Study) -> str:
    """The HTML that the cells of the notebook show for a study, after its set-up."""
    shown: list[str] = []
    names: dict = {}
    for source in CODE[1:]:
        if source.startswith("study ="):
            names |= {"study": study, "show": lambda *parts: shown.extend(parts)}
        else:
            exec(source, names)
    return "".join(shown)


@pytest.fixture(autouse=True)
def undrawn_figures(monkeypatch, tmp_path):
    """Figures are made and not drawn, which would take most of the time."""
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"PNG")
    monkeypatch.setattr(figures, "save", lambda *_, **__: picture)


def test_cells_are_calls_of_few_lines():
    for source in CODE:
        assert len(source.splitlines()) <= 8
        assert not re.search(r"^\s*(def|class|for|if|while|with) ", source, re.MULTILINE)
    assert sum(len(source.splitlines()) for _, source in SOURCES) <= 400


def test_nothing_was_run_before_it_was_committed():
    for cell in CELLS:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert CELLS[0]["metadata"]["tags"] == ["parameters"]
    assert CODE[0].startswith('results = "results"')


def test_the_scripts_may_be_elsewhere(monkeypatch):
    monkeypatch.setenv("PULMOSCAN_SCRIPTS", "/elsewhere/scripts")
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(CODE[1], {})
    assert sys.path[0] == "/elsewhere/scripts"


def test_headings_are_not_numbered_by_hand_and_have_an_anchor_each():
    assert not [title for _, title in HEADINGS if title[0].isdigit()]
    assert len(ANCHORS) == len(set(ANCHORS)) == len(HEADINGS)


def test_anchors_that_others_may_link_to():
    assert [
        *("data", "files", "area", "classes", "sources", "defects", "levels", "means"),
        *(
            "resampling",
            "synthesis",
            "runs",
            "hardest",
            "subgroups",
            "trained",
            "protocol",
            "size",
            "heads",
        ),
        *("vgg16", "gradcam", "binary", "augmentation", "more", "enhancement", "three"),
        *("region", "elsewhere", "wrong", "provenance"),
    ] == ANCHORS


def test_links_lead_to_anchors_and_name_sections(tmp_path):
    study = Study(small_study.write(tmp_path / "results", table=small_study.RUNS[:1]))
    html = overview.faults(study) + published.synthesis(study)
    links = re.findall(r"<a href='#(\w+)'>([^<]+)</a>", html)
    assert len(links) >= 11
    assert {anchor for anchor, _ in links} <= set(ANCHORS)
    assert not [text for _, text in links if text.isdigit()]


def test_the_contents_are_made_from_the_headings():
    exporter = HTMLExporter(
        template_name="template", extra_template_basedirs=[str(NOTEBOOK.parent)]
    )
    html, _ = exporter.from_notebook_node(nbformat.read(NOTEBOOK, as_version=4))
    contents = re.search(r"<nav class=\"report-contents.*?</nav>", html, re.DOTALL)[0]
    assert html.count("<nav") == 1
    links = re.findall(r'<a href="#(\w+)">([^<]+)</a>', contents)
    assert links == list(zip(ANCHORS, [title for _, title in HEADINGS], strict=True))
    assert contents.count("<li>") == contents.count("</li>")
    assert contents.count("<li>") == sum(level == "##" for level, _ in HEADINGS)
    for anchor in ANCHORS:
        assert f'<a id="{anchor}"></a>' in html


def test_sections_are_numbered_by_the_style():
    assert 'content: counter(section) ". "' in page.style()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shortfall": "too few images"},
        {"classes": ["Normal"], "table": small_study.RUNS[:2], "seeds": [7]},
        {"splits": {"grouped": {}, "cv": {"folds": 2}}, "table": small_study.RUNS[::4]},
    ],
    ids=["all", "no-run", "one-class", "folds"],
)
def test_the_page_is_complete(tmp_path, settings):
    study = Study(small_study.write(tmp_path / "results", **settings))
    html = run(study)
    assert html.count("<table") > 10
    assert html.count("<div") == html.count("</div>")
    assert html.count("<details") == html.count("</details>")
    assert not {"nan", "None", "NaT", "<NA>"} & set(re.findall(r"<td[^>]*>([^<]*)</td>", html))
    assert "nan" not in re.findall(r"\w+", html)


def test_names_that_look_like_missing_values_are_shown(tmp_path):
    table = [("NA", "all", "lungs", "synthesis"), ("null", "all", "full", "")]
    study = Study(
        small_study.write(tmp_path / "results", table=table, classes=["None", "NaN"], source="NA")
    )
    html = run(study)
    for name in ("NA", "null", "None", "NaN"):
        assert f">{name}</td>" in html
