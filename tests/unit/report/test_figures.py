"""The report's figures and tables: what they show, how they are saved, and that text is escaped."""

import re
from html import unescape

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data.layout import CLASSES
from pulmoscan.explain import panels
from pulmoscan.report import dataset_figures, figures, page, result_figures, tables
from scipy.stats import binomtest

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


def test_a_name_with_dollar_signs_is_shown_as_it_is(tmp_path):
    name = "a$\\frac{$b"
    figure, _ = figures.empty(1)
    figure.suptitle(name)
    figures.save(figure, tmp_path, "name")
    assert name in (tmp_path / "name.svg").read_text()
    panels.Panel([name]).draw(
        tmp_path / "panel.png", *[np.zeros((4, 4), np.uint8)] * 4, [0.5], name, name
    )


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
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["published", "reproduced"]
    assert axis.get_yticklabels()[0].get_text() == "mobilenet, unfreeze 0, lungs"


def test_nothing_published_is_not_in_the_legend():
    axis = result_figures.beside_published(compared(published=NAN)).axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["reproduced"]


def test_three_protocols_in_a_row():
    axis = result_figures.protocol(protocols().head(1)).axes[0]
    points = [container.lines[0].get_xdata().tolist() for container in axis.containers]
    assert points == [[0.8], [0.7], [0.85]]
    ends = axis.containers[2].lines[2][0].get_segments()[0][:, 0]
    assert ends.tolist() == pytest.approx([0.82, 0.88])


def test_dataset_size_reads_the_size_from_the_variant():
    table = pd.concat([compared(variant="lungs-4000"), compared(variant="lungs-1000").head(1)])
    table = table.assign(model="lenet5", published=["0.67", None, "0.55"])
    other = compared(variant="lungs").head(1)  # a run of one's own that names no size
    axis = result_figures.dataset_size(pd.concat([table, other])).axes[0]
    published, reproduced = (container.lines[0].get_xydata() for container in axis.containers)
    assert published.tolist() == [[1000, 0.55], [4000, 0.67]]
    assert reproduced.tolist() == [[1000, 0.774], [4000, 0.774]]


def test_dataset_size_without_a_run_shows_the_published_curve():
    table = compared(variant="lungs-4000").tail(1)
    axis = result_figures.dataset_size(table).axes[0]
    assert [container.get_label() for container in axis.containers] == ["published, vgg16"]


def test_regions_have_a_colour_a_network_and_a_point_a_seed():
    table = pd.DataFrame(
        [
            ("m", "0", sampling, kind, seed, 0.8, 0.7, 0.9)
            for sampling in ("balanced", "large")
            for seed in (0, 1)
            for kind in ("lungs", "full")
        ],
        columns=[
            *("model", "unfreeze", "sampling", "pixels", "seed"),
            *("test_accuracy", "test_low", "test_high"),
        ],
    )
    axis = result_figures.regions(table).axes[0]
    assert len(axis.containers) == 4
    assert len({container.lines[0].get_color() for container in axis.containers}) == 2
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["m, unfreeze 0, sampling balanced", "m, unfreeze 0, sampling large"]


def test_training_curves_one_row_a_run():
    history = pd.DataFrame(
        {"epoch": [1, 2], "accuracy": [0.5, 0.6], "loss": [1, 0.9]}
        | {"val_accuracy": [0.4, 0.5], "val_loss": [1.1, 1]}
    )
    figure = result_figures.training_curves({"a": history, "b": history})
    assert len(figure.axes) == 4
    assert figure.axes[2].lines[1].get_ydata().tolist() == [0.4, 0.5]


def test_stage_changes_lie_between_epochs():
    history = pd.DataFrame({"epoch": [1, 2, 3, 4, 5], "stage": [1, 1, 2, 2, 3]})
    assert result_figures.stage_changes(history) == [2.5, 4.5]
    assert result_figures.stage_changes(history.assign(stage=1)) == []
    assert result_figures.stage_changes(history.drop(columns="stage")) == []
    measures = dict.fromkeys(("accuracy", "val_accuracy", "loss", "val_loss"), 0.5)
    figure = result_figures.training_curves({"run": history.assign(**measures)})
    marks = [line.get_xdata()[0] for line in figure.axes[1].lines if line.get_linestyle() == ":"]
    assert marks == [2.5, 4.5]


def test_published_counts_are_a_confusion_table():
    rows = pd.DataFrame(
        [("TP", "764"), ("FN", "43"), ("FP", "279"), ("TN", "528"), ("test_accuracy", "0.801")],
        columns=["metric", "published"],
    )
    table = result_figures.published_matrix(rows).set_index(["label", "predicted"])["images"]
    assert table["sick", "sick"] == 764
    assert table["sick", "normal"] == 43
    assert table["normal", "sick"] == 279
    assert table["normal", "normal"] == 528
    assert len(result_figures.published_matrix(rows.iloc[1:])) == 0


def protocols():
    """Rows of ``protocol.tsv``: one pair of runs made, one not."""
    made = {
        **{"model": "mobilenet", "unfreeze": "19", "variant": "lungs", "metric": "val_accuracy"},
        **{"recommended_model": "mobilenet-warm", "published": "0.8"},
        **{"published_low": 0.772, "published_high": 0.825},
        **{"n": 3, "reproduced": 0.7, "sd": 0.02, "low": 0.67, "high": 0.73},
        **{"recommended_n": 3, "recommended": 0.85, "recommended_sd": 0.01},
        **{"recommended_low": 0.82, "recommended_high": 0.88},
        **{"pairs": 3, "images": 860, "difference": 0.15, "difference_sd": NAN},
        **{"difference_low": 0.12, "difference_high": 0.18, "status": "run", "note": NAN},
    }
    absent = made | {"model": "vgg16", "status": "not run: vgg16: left out by run_filter"}
    return pd.DataFrame([made, absent])


def test_protocols_show_their_spread_and_the_interval_of_the_difference():
    html = tables.protocol(protocols())
    assert {
        *("80.0 [77.2, 82.5]", "70.0 ± 2.0 [67.0, 73.0]", "85.0 ± 1.0 [82.0, 88.0]"),
        *("+15.0 [+12.0, +18.0]", "mobilenet-warm"),
    } <= set(cells(html))
    assert "Seeds: 3." in html
    assert "1 of 2 pairs without both runs" in html
    assert "vgg16: left out by run_filter" in html
    none = tables.protocol(protocols().tail(1))
    assert none.index("None of these pairs of runs was made.") < none.index("<details")
    assert "<script>" not in tables.protocol(protocols().assign(note=INJECTED, status="run"))


def test_settings_are_shown_as_numbers_and_text():
    rows = pd.DataFrame(
        [
            ("vgg16-tuned", "best/learning_rate", "0.001", "0.0010", "run", NAN),
            ("lenet5-tuned", "best/activation", "relu", "tanh", "run", NAN),
            ("vgg16-tuned", "best/dense_1", "128", NAN, "not run: no search found", INJECTED),
            ("vgg16-tuned", "best/dense_2", NAN, "32.0", "run", "not in the study"),
        ],
        columns=["model", "metric", "published", "reproduced", "status", "note"],
    ).assign(unfreeze="0", variant="lungs")
    html = tables.settings(rows)
    assert "<script>" not in html
    shown = [unescape(cell) for cell in cells(html)]
    assert [shown[i : i + 7] for i in range(0, 28, 7)] == [
        ["vgg16-tuned", "0", "lungs", "learning rate", "0.001", "0.001", ""],
        [
            *("vgg16-tuned", "0", "lungs", "dense 1", "128", "–"),
            f"no search found; {INJECTED}",
        ],
        ["vgg16-tuned", "0", "lungs", "dense 2", "–", "32", "not in the study"],
        ["lenet5-tuned", "0", "lungs", "activation", "relu", "tanh", ""],
    ]


def trainings():
    """Rows of ``runs.tsv``: a network with two seeds and a classifier."""
    network = {
        **{"model": "mobilenet", "unfreeze": "19", "variant": "lungs", "seed": 0},
        **{"val_accuracy": 0.7, "test_accuracy": 0.75, "test_accuracy_common": 0.75},
        **{"n_train": 3444, "n_validation": 100, "n_test": 200, "epochs": 9, "seconds": 10.0},
        **{"trained_layers": 7, "first_trained": "conv_dw_11", "trainable_parameters": 1200},
        **{"parameters": 5000, "cached_bytes": 812e6, "stages": "9 epochs at 0.001, cached"},
    }
    names = ("epochs", "trained_layers", "first_trained", "trainable_parameters", "parameters")
    classifier = network | dict.fromkeys((*names, "cached_bytes", "stages"), NAN)
    classifier |= {"model": "knn", "unfreeze": "all", "test_accuracy_common": NAN}
    second = network | {"seed": 1, "val_accuracy": 0.9, "test_accuracy": 0.85, "epochs": 11}
    return pd.DataFrame([network, second, classifier])


def test_what_was_trained_is_told_once_a_run():
    html = tables.trained(trainings())
    assert cells(html) == [
        *("mobilenet", "19", "lungs", "7", "conv_dw_11", "1,200 of 5,000", "812.0 MB"),
        "9 epochs at 0.001, cached",
        *("knn", "all", "lungs", "–", "–", "–", "–", "–"),
    ]
    assert "No network was trained" in tables.trained(trainings().tail(1))


def test_summary_of_runs_averages_seeds():
    shown = cells(tables.summary(trainings()))
    low, high = binomtest(80, 100).proportion_ci(method="wilson")
    assert shown[3] == f"80.0 ± {100 * 0.2 / 2**0.5:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    assert shown[4].startswith("80.0 ± 7.1 [")
    assert shown[5:10] == ["75.0", "3,444/100/200", "10", "10", "2"]
    assert shown[13].startswith("70.0 [")
    assert shown[15:] == ["–", "3,444/100/200", "–", "10", "1"]
    assert "Seeds: 2." in tables.summary(trainings().head(2))


def test_a_long_note_of_many_rows_is_told_once():
    text = "read off the chart, which has no figures at its points"
    rows = pd.concat([compared(note=text).head(1)] * 3, ignore_index=True)
    html = tables.compared(rows)
    assert html.count(text) == 1
    assert cells(html).count("(a)") == 3
    few = tables.compared(rows.head(2))
    assert few.count(text) == 2


def test_text_of_the_data_is_escaped_in_tables():
    data = pd.DataFrame({INJECTED: [INJECTED], "n": [1234.0]})
    for html in (page.table(data, {"n": page.count}), page.table(data, {INJECTED: page.escaped})):
        assert "<script>" not in html
        assert html.count("&lt;script&gt;") == 2
    assert "1,234" in page.table(data, {"n": page.count})
    assert "<script>" not in tables.compared(compared(note=INJECTED, model=INJECTED))
    assert "<script>" not in tables.compared(compared(status=f"not run: {INJECTED}"))
    facts = pd.DataFrame([("class-count", INJECTED, "<0.6", 3, "measured", INJECTED)])
    facts.columns = ["fact", "class_or_set", "published", "reproduced", "status", "note"]
    assert "<script>" not in tables.facts(facts)
    assert "<script>" not in page.folded(INJECTED, "")


def test_compared_rows_show_intervals_and_points():
    html = tables.compared(compared())
    assert "83.0 % [80.3, 85.4]" in html
    assert "77.4 % [71.0, 83.0]" in html
    assert "-5.6" in cells(html)
    assert "1 of 2 rows without a run (1 left out by run_filter)" in html


def test_no_run_at_all_says_so_and_folds_the_published_rows():
    html = tables.compared(compared(status="not run: not in the run table"))
    assert html.index("None of these runs was made") < html.index("<details")
    assert "Reproduced" not in html


def test_only_accuracies_of_90_percent_are_marked():
    assert 'class="data row0 col3 high number"' in tables.compared(compared(published="0.91"))
    recall = compared(published="0.91", metric="test_recall/COVID")
    assert " high " not in tables.compared(recall)


def test_counts_and_bounds_keep_their_form():
    count = tables.compared(
        compared(published="764", reproduced=700.0, difference=-64.0, metric="TP")
    )
    assert {"-64.0"} <= set(cells(count))
    assert "764 [" in count
    assert "&lt; 60.0 %" in tables.compared(compared(published="<0.60", published_low=NAN))


def test_bounds_of_facts_are_written_as_the_measured_share():
    facts = pd.DataFrame([("source-share/RSNA", "all", ">0.70", 0.458, "measured", "")])
    facts.columns = ["fact", "class_or_set", "published", "reproduced", "status", "note"]
    assert {"&gt; 70.0 %", "45.8 %"} <= set(cells(tables.facts(facts)))


def test_a_metric_is_told_in_words_and_its_class_as_it_is_spelled():
    html = tables.compared(compared(metric="test_recall/Lung_Opacity"))
    assert "Test recall/Lung_Opacity." in html


def test_sensitivity_is_that_of_the_sick_on_test_images():
    rows = pd.DataFrame(
        {
            "model": ["knn", "mobilenet"],
            "seed": 0,
            "threshold": [0.3, NAN],
            "test_accuracy": [0.75, 0.5],
        }
    )
    binary = pd.DataFrame(
        {
            "split": ["validation", "test", "test"],
            "label": ["sick", "normal", "sick"],
            "recall": [0.1, 0.2, 0.875],
            "specificity": [0.3, 0.4, 0.625],
            "tp": [1, 2, 7],
            "fn": [1, 2, 1],
            "fp": [1, 2, 3],
            "tn": [1, 2, 5],
        }
    )
    four = binary.assign(label="COVID")
    shown = cells(tables.sensitivity(rows, [binary, four]))
    assert shown[:10] == [*("knn", "0", "0.3", "75.0 %", "87.5 %", "62.5 %"), *"7135"]
    assert shown[10:] == ["mobilenet", "0", "–", "50.0 %", *"––––––"]


def test_the_same_table_is_the_same_html():
    assert tables.compared(compared()) == tables.compared(compared())
