"""Figures of the runs: published beside reproduced values, curves, confusion matrices."""

import pandas as pd
import pytest
from pulmoscan.report import result_figures

NAN = float("nan")


def compared(**changes):
    """A row of a table of ``compare`` that was run, with changes."""
    run = {
        **{"split": "grouped", "model": "mobilenet", "unfreeze": "0", "variant": "lungs"},
        **{"published": "0.83", "published_low": 0.803, "published_high": 0.854},
        **{"reproduced": 0.774, "low": 0.71, "high": 0.83, "status": "run"},
    }
    return pd.DataFrame([run | changes])


def not_run(**changes):
    """A row that was not run."""
    empty = dict.fromkeys(("reproduced", "low", "high"), NAN)
    return compared(**empty, status="not_run", **changes)


def names(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


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
    axis = result_figures.confusion_matrices({"lungs/m/unfreeze-0": table}).axes[0]
    assert axis.get_title(loc="left") == "lungs\nm\nunfreeze-0"
    assert [text.get_text() for text in axis.texts] == ["5", "1", "2", "4"]


def test_published_and_reproduced_points():
    axis = result_figures.beside_published(compared()).axes[0]
    points = [container.lines[0].get_xdata().tolist() for container in axis.containers]
    assert points == [[0.83], [0.774]]
    assert legend(axis) == ["published", "reproduced"]
    assert names(axis) == ["mobilenet, unfreeze 0, lungs"]


def test_rows_that_were_not_run_are_not_drawn():
    table = pd.concat([compared(), not_run(model="vgg16")])
    assert names(result_figures.beside_published(table).axes[0]) == ["mobilenet, unfreeze 0, lungs"]


def test_names_have_their_split_where_there_are_several():
    table = pd.concat([compared(), compared(split="cv")])
    assert names(result_figures.beside_published(table).axes[0]) == [
        "cv: mobilenet, unfreeze 0, lungs",
        "grouped: mobilenet, unfreeze 0, lungs",
    ]


def test_nothing_published_is_not_in_the_legend():
    axis = result_figures.beside_published(compared(published=NAN)).axes[0]
    assert legend(axis) == ["reproduced"]


def test_three_protocols_in_a_row():
    recommended = {"recommended": 0.85, "recommended_low": 0.82, "recommended_high": 0.88}
    pair = compared(published="0.8", reproduced=0.7, recommended_model="staged", **recommended)
    axis = result_figures.protocol(pair).axes[0]
    assert names(axis) == ["staged, unfreeze 0, lungs"]
    points = [container.lines[0].get_xdata().tolist() for container in axis.containers]
    assert points == [[0.8], [0.7], [0.85]]
    ends = axis.containers[2].lines[2][0].get_segments()[0][:, 0]
    assert ends.tolist() == pytest.approx([0.82, 0.88])


def test_dataset_size_reads_the_size_from_the_variant():
    table = pd.concat(
        [
            compared(variant="lungs-4000", published="0.67"),
            not_run(variant="lungs-4000", published=""),
            compared(variant="lungs-1000", published="0.55"),
            compared(variant="lungs"),  # a run of the user's own that names no size
        ]
    )
    axis = result_figures.dataset_size(table).axes[0]
    published, reproduced = (container.lines[0].get_xydata() for container in axis.containers)
    assert published.tolist() == [[1000, 0.55], [4000, 0.67]]
    assert reproduced.tolist() == [[1000, 0.774], [4000, 0.774]]


def test_dataset_size_without_a_run_shows_the_published_curve():
    # Not in the run table: without a split.
    table = pd.concat([not_run(variant="lungs-4000", split=""), compared(variant="lungs")])
    axis = result_figures.dataset_size(table).axes[0]
    assert [container.get_label() for container in axis.containers] == ["published, mobilenet"]


def test_dataset_size_has_one_line_per_split():
    table = pd.concat([compared(variant="x-10"), compared(variant="x-10", split="cv")])
    assert set(legend(result_figures.dataset_size(table).axes[0])) == {
        *("published, grouped: mobilenet", "reproduced, grouped: mobilenet"),
        *("published, cv: mobilenet", "reproduced, cv: mobilenet"),
    }


def test_regions_have_one_colour_per_network_and_one_point_per_seed():
    table = pd.DataFrame(
        [
            ("grouped", "m", "0", sampling, kind, seed, 0.8, 0.7, 0.9)
            for sampling in ("balanced", "large")
            for seed in (0, 1)
            for kind in ("lungs", "full")
        ],
        columns=[
            *("split_name", "model", "unfreeze", "sampling", "pixels", "seed"),
            *("test_accuracy", "test_low", "test_high"),
        ],
    )
    axis = result_figures.regions(table).axes[0]
    assert len(axis.containers) == 4
    assert len({container.lines[0].get_color() for container in axis.containers}) == 2
    assert legend(axis) == ["m, unfreeze 0, sampling balanced", "m, unfreeze 0, sampling large"]


def test_training_curves_have_one_row_per_run():
    history = pd.DataFrame(
        {"epoch": [1, 2], "stage": 1, "accuracy": [0.5, 0.6], "loss": [1, 0.9]}
        | {"val_accuracy": [0.4, 0.5], "val_loss": [1.1, 1]}
    )
    figure = result_figures.training_curves({"a": history, "b": history})
    assert len(figure.axes) == 4
    assert figure.axes[2].lines[1].get_ydata().tolist() == [0.4, 0.5]


def test_stage_changes_lie_between_epochs():
    history = pd.DataFrame({"epoch": [1, 2, 3, 4, 5], "stage": [1, 1, 2, 2, 3]})
    assert result_figures.stage_changes(history) == [2.5, 4.5]
    assert result_figures.stage_changes(history.assign(stage=1)) == []
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
