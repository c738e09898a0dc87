"""The report of radiographs of one's own: no word of the study, nothing empty, any classes."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import small_study
from pulmoscan.report import figures, notebook
from pulmoscan.report.sections import analysis, data, gradcam, overview, runs
from pulmoscan.report.study import Study

NOTEBOOK = Path(__file__).resolve().parents[3] / "notebooks/own_data.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
SOURCES = [(cell["cell_type"], "".join(cell["source"])) for cell in CELLS]
CODE = [source for kind, source in SOURCES if kind == "code"]
PROSE = "\n".join(source for kind, source in SOURCES if kind == "markdown")
OF_STUDY = re.compile(
    r"PulmoSCAN|published|the study|our authors|COVID|Lung_Opacity", re.IGNORECASE
)
LONG = "A finding with a name, of several words, that no table was made for"
CLASSES = sorted([LONG, "<b>", "$x$", *(f"finding {number}" for number in range(17))])
STATED = {"patient": ["p1", "p2", "p3"], "sex": ["F", "M", None], "age": [20, 50, 70]}
TABLE = [
    ("lenet5", "all", "lungs", ""),
    ("lenet5", "all", "full", ""),
    ("knn", "all", "histogram-binary", ""),
]


def of_own_data(folder: Path, **settings) -> Study:
    """A study of other data, without the tables that only compare with the study."""
    folder = small_study.write(folder / "results", **{"table": TABLE, "columns": STATED} | settings)
    for name in ("dataset_facts", "protocol", "synthesis"):
        (folder / f"tables/{name}.tsv").unlink()
    study = Study(folder, published=False)
    study.config["dataset"]["source"] = "table"
    return study


@pytest.fixture
def undrawn_figures(monkeypatch, tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"PNG")
    monkeypatch.setattr(figures, "save", lambda *_, **__: picture)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Results of twenty classes without masks, from one source that nobody names."""
    runs = [("lenet5", "all", "full", "")]
    settings = {"classes": CLASSES, "masks": False, "source": "unknown", "table": runs}
    return of_own_data(tmp_path_factory.mktemp("twenty"), **settings).folder


@pytest.fixture
def twenty(folder) -> Study:
    study = Study(folder, published=False)
    study.config["dataset"]["source"] = "table"
    return study


def run(study: Study) -> str:
    """The HTML that the cells of the notebook show, after its set-up."""
    shown: list[str] = []
    names: dict = {}
    for source in CODE[1:]:
        if source.startswith("study ="):
            names |= {"study": study, "show": lambda *parts: shown.extend(parts)}
            source = source.partition("\n")[2].replace("style(), ", "")
        exec(source, names)
    return "".join(shown)


def test_the_notebook_says_nothing_of_the_study():
    assert not OF_STUDY.search(PROSE)
    assert "published=False" in CODE[2]


def test_the_notebook_is_prose_and_calls():
    for source in CODE:
        assert len(source.splitlines()) <= 8
        assert not re.search(r"^\s*(def|class|for|if|while|with) ", source, re.MULTILINE)
    for cell in CELLS:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert CELLS[0]["metadata"]["tags"] == ["parameters"]
    headings = re.findall(r"^(##+) (.+)$", PROSE, re.MULTILINE)
    anchors = re.findall(r'^<a id="(\w+)"></a>$', PROSE, re.MULTILINE)
    assert len(anchors) == len(set(anchors)) == len(headings)


@pytest.mark.usefixtures("undrawn_figures")
@pytest.mark.parametrize(
    "settings",
    [
        {"classes": ["ill", "well"]},
        {"classes": ["ill", "well"], "masks": False, "table": TABLE[1:2], "source": "unknown"},
        {"classes": CLASSES[:8]},
        {"classes": ["ill", "well"], "shortfall": "too few images"},
    ],
    ids=["masks", "no-masks", "eight-classes", "no-run"],
)
def test_no_sentence_speaks_of_the_study_and_nothing_is_missing(tmp_path, settings):
    html = run(of_own_data(tmp_path, **settings))
    assert not OF_STUDY.search(html)
    assert html.count("<table") > 8
    assert not {"nan", "None", "NaT", "<NA>"} & set(re.findall(r"<td[^>]*>([^<]*)</td>", html))
    assert "nan" not in re.findall(r"\w+", html)
    assert ("lung" in re.sub(r"(?i)no lung masks?", "", html).lower()) == settings.get(
        "masks", True
    )


def test_the_title_is_that_of_the_data_or_of_the_user(twenty):
    assert (
        overview.title(twenty) == "<h1>Classification of 180 chest radiographs in 20 classes</h1>"
    )
    twenty.config["report"]["title"] = "Mine & others"
    assert overview.title(twenty) == "<h1>Mine &amp; others</h1>"


def test_the_first_lines_say_what_the_images_are(twenty):
    said = overview.introduction(twenty)
    assert said.startswith("<p>180 radiographs in 20 classes: $x$ (9), &lt;b&gt; (9), ")
    assert "They are of 3 patients." in said
    assert "There are no lung masks, so every network sees whole images." in said
    assert "1 run was made." in said
    assert "start from random weights" in overview.summary(twenty)


def test_images_without_masks_are_counted(tmp_path):
    study = of_own_data(tmp_path)
    study.audit.loc[:4, "useful_area"] = float("nan")
    assert "5 images have no mask." in overview.introduction(study)


def test_figures_of_twenty_classes_are_drawn(twenty, monkeypatch):
    monkeypatch.setattr(figures, "DPI", 20)
    for section in (
        *(data.random_images, data.classes, data.grey_levels, data.mean_images),
        *(runs.confusion_matrices, analysis.hardest_images),
    ):
        assert "<img" in section(twenty)
    assert len(set(figures.colours_of(CLASSES).values())) == 20


def test_sections_without_content_are_empty(twenty):
    for section in (data.masks, data.useful_area, data.sources, runs.positives):
        assert section(twenty) == ""
    for section in (analysis.source_oracle, analysis.region_differences, analysis.regions):
        assert section(twenty) == ""
    assert "lung" not in gradcam.numbers(twenty)
    assert "<th" in data.attributes(twenty)


def test_the_positive_label_has_sensitivity_and_specificity(tmp_path):
    html = runs.positives(of_own_data(tmp_path, classes=["ill", "Normal"]))
    assert "Positive: sick." in html
    assert {"sensitivity", "specificity"} <= set(re.findall(r"<th[^>]*>([^<]*)</th>", html))


def executed(*shown: str | None) -> nbformat.NotebookNode:
    """A notebook of optional sections, whose code cells displayed some HTML."""
    cells = [nbformat.v4.new_markdown_cell("# Title")]
    for number, html in enumerate(shown):
        tags = {"tags": [notebook.OPTIONAL]}
        cells.append(nbformat.v4.new_markdown_cell(f"## {number}", metadata=tags))
        data = [nbformat.v4.new_output("display_data", {"text/html": html})] if html else []
        cells.append(nbformat.v4.new_code_cell("show()", outputs=data))
    return nbformat.v4.new_notebook(cells=cells)


def test_sections_that_show_nothing_are_left_out(tmp_path):
    path = tmp_path / "report.ipynb"
    nbformat.write(executed("<p>", None, " "), path)
    notebook.leave_out_empty(path)
    assert [cell.source for cell in nbformat.read(path, 4).cells] == ["# Title", "## 0", "show()"]
    whole = path.read_bytes()
    notebook.leave_out_empty(path)
    assert path.read_bytes() == whole
