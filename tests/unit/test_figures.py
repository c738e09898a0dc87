"""The report's figures and tables: what they show, how they are saved, and that text is escaped."""

import re

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan import dataset_figures, figures, page, result_figures
from pulmoscan.database import CLASSES

NAN = float("nan")
INJECTED = "<script>alert('x')</script> & co"


def compared(**changes):
    """Rows of a table of ``compare``: one run, one not."""
    run = {
        "model": "mobilenet",
        "unfreeze": "0",
        "variant": "lungs",
        "metric": "val_accuracy",
        "published": "0.83",
        "published_low": 0.803,
        "published_high": 0.854,
        "n": 1,
        "reproduced": 0.774,
        "sd": NAN,
        "low": 0.71,
        "high": 0.83,
        "difference": -0.056,
        "status": "run",
        "note": NAN,
    } | changes
    other = run | {"model": "vgg16", "n": 0, "status": "not run: left out by run_filter"}
    for column in ("reproduced", "low", "high", "difference"):
        other[column] = NAN
    return pd.DataFrame([run, other])


def cells(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_save_writes_both_files_the_same_every_time(tmp_path):
    table = pd.DataFrame({"class": CLASSES, "images": [4, 3, 2, 1]})
    for folder in ("a", "b"):
        figure = dataset_figures.counts(table, "class", "Classes")
        assert (
            figures.save(figure, tmp_path / folder, "classes") == tmp_path / folder / "classes.png"
        )
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"classes.png", "classes.svg"}
    for name in ("classes.png", "classes.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pictures_are_saved_as_png_only(tmp_path):
    image = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    figure = figures.pictures([[image, image.astype(float) * NAN]], ["Normal"], heads=("a", "b"))
    path = figures.save(figure, tmp_path, "images", pixels=True)
    assert [file.name for file in tmp_path.iterdir()] == ["images.png"]
    assert cv2.imread(str(path)).std() > 10


def test_nothing_is_left_when_saving_fails(tmp_path, monkeypatch):
    figure = dataset_figures.counts(pd.DataFrame({"c": ["a"], "images": [1]}), "c", "")
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        figures.save(figure, tmp_path, "broken")
    assert not list(tmp_path.iterdir())


def test_shares_are_those_of_the_counts():
    table = pd.DataFrame({"class": CLASSES, "images": [3616, 6012, 10192, 1345]})
    axis = dataset_figures.counts(table, "class", "").axes[0]
    written = {text.get_text() for text in axis.texts}
    assert written == {"3,616 (17.1%)", "6,012 (28.4%)", "10,192 (48.2%)", "1,345 (6.4%)"}


def test_class_histograms_are_means_of_shares():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 50, (8, 2, 256))
    classes = pd.Series(list(CLASSES) * 2)
    axis = dataset_figures.histograms(levels, classes).axes[1]
    expected = (levels[[0, 4], 1] / levels[[0, 4], 1].sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), expected)


def test_classes_that_the_data_lack_are_not_drawn():
    levels = np.ones((1, 2, 256))
    figure = dataset_figures.histograms(levels, pd.Series(["Normal"]))
    assert [line.get_label() for line in figure.axes[0].lines] == ["Normal"]
    images = pd.DataFrame({"class": ["Normal", "Normal"], "useful_area": [0.2, 0.3]})
    assert (
        "mean 25.0%" in dataset_figures.useful_area(images).axes[0].get_legend_handles_labels()[1]
    )


def test_confusion_matrix_shows_the_test_counts():
    table = pd.DataFrame(
        [
            ("validation", "a", "a", 9),
            ("test", "a", "a", 5),
            ("test", "a", "b", 1),
            ("test", "b", "a", 2),
            ("test", "b", "b", 4),
        ],
        columns=["split", "label", "predicted", "images"],
    )
    axis = result_figures.confusion_matrices({"run": table}).axes[0]
    assert [text.get_text() for text in axis.texts] == ["5", "1", "2", "4"]


def test_published_and_reproduced_points():
    axis = result_figures.beside_published(compared()).axes[0]
    points = [container.lines[0].get_xdata().tolist() for container in axis.containers]
    assert points == [[0.83], [0.774]]
    assert axis.get_yticklabels()[0].get_text() == "mobilenet, unfreeze 0, lungs"


def test_dataset_size_reads_the_size_from_the_variant():
    table = compared(variant="lungs-4000").assign(published=["0.67", None])
    axis = result_figures.dataset_size(table).axes[0]
    assert axis.lines[0].get_xydata().tolist() == [[4000, 0.67]]


def test_training_curves_one_row_a_run():
    history = pd.DataFrame(
        {"epoch": [1, 2], "accuracy": [0.5, 0.6], "loss": [1, 0.9]}
        | {"val_accuracy": [0.4, 0.5], "val_loss": [1.1, 1]}
    )
    figure = result_figures.training_curves({"a": history, "b": history})
    assert len(figure.axes) == 4
    assert figure.axes[2].lines[1].get_ydata().tolist() == [0.4, 0.5]


def test_text_of_the_data_is_escaped_in_tables():
    data = pd.DataFrame({INJECTED: [INJECTED], "n": [1234.0]})
    for html in (page.table(data, {"n": page.count}), page.table(data, {INJECTED: page.escaped})):
        assert "<script>" not in html
        assert html.count("&lt;script&gt;") == 2
    assert "1,234" in page.table(data, {"n": page.count})
    assert "<script>" not in page.compared(compared(note=INJECTED, model=INJECTED))
    assert "<script>" not in page.compared(compared(status=f"not run: {INJECTED}"))
    facts = pd.DataFrame([("class-count", INJECTED, "<0.6", 3, "measured", INJECTED)])
    facts.columns = ["fact", "class_or_set", "published", "reproduced", "status", "note"]
    assert "<script>" not in page.facts(facts)
    assert "<script>" not in page.folded(INJECTED, "")


def test_compared_rows_show_intervals_and_points():
    html = page.compared(compared())
    assert "83.0 % [80.3, 85.4]" in html
    assert "77.4 % [71.0, 83.0]" in html
    assert "-5.6" in cells(html)
    assert "1 of 2 published figures without a run (1 left out by run_filter)" in html


def test_no_run_at_all_says_so_and_folds_the_published_rows():
    html = page.compared(compared(status="not run: not in the run table"))
    assert html.index("None of these runs was made") < html.index("<details")
    assert "Reproduced" not in html


def test_only_accuracies_of_90_percent_are_marked():
    assert 'class="data row0 col3 high number"' in page.compared(compared(published="0.91"))
    recall = compared(published="0.91", metric="test_recall/COVID")
    assert " high " not in page.compared(recall)


def test_counts_and_bounds_keep_their_form():
    count = page.compared(
        compared(published="764", reproduced=700.0, difference=-64.0, metric="TP")
    )
    assert {"-64.0"} <= set(cells(count))
    assert "764 [" in count
    assert "&lt;0.60" in page.compared(compared(published="<0.60", published_low=NAN))


def test_the_same_table_is_the_same_html():
    assert page.compared(compared()) == page.compared(compared())
