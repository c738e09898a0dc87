"""Sections that put published tables beside the runs."""

import re

import pytest
from pulmoscan.report.sections import published
from pulmoscan.report.study import Study


@pytest.fixture
def changed(study):
    """The study, whose tables a test may change."""
    return Study(study.folder)


def test_the_source_oracle_is_that_of_the_samplings_in_the_table(changed):
    oracle = changed.table("source_oracle")
    rows = [oracle.assign(sampling=name) for name in ("balanced", "binary", "large")]
    changed._tables["source_oracle"] = type(oracle)(
        [row for part in rows for row in part.to_dict("records")]
    )
    html = published.compared(changed, "synthesis")
    assert "test images: balanced 50.0 % [20.0, 80.0]</p>" in html
    binary = published.compared(changed, "histogram_binary")
    assert "test images: binary 50.0 % [20.0, 80.0]</p>" in binary


def test_a_table_none_of_whose_runs_is_in_the_run_table_has_an_oracle(study):
    assert set(study.table("more_images")["split"]) == {""}
    html = published.compared(study, "more_images")
    assert "test images: balanced 50.0 % [20.0, 80.0]</p>" in html


def test_an_oracle_without_images_is_not_mentioned(changed):
    changed._tables["source_oracle"] = changed.table("source_oracle").assign(accuracy=float("nan"))
    assert "Source oracle" not in published.compared(changed, "synthesis")


def test_of_several_splits_the_oracle_names_each(in_folds):
    html = published.compared(in_folds, "synthesis")
    for name in ("grouped", "cv-1", "cv-2"):
        assert f"{name}: balanced 50.0 % [20.0, 80.0]" in html


def test_the_best_published_figure_has_its_interval(study):
    html = published.synthesis(study)
    assert "The best of them, 91 %, has the interval 89.0 % to 92.8 %" in html
    assert "<figure" in html


def test_without_runs_published_figures_remain(without_runs):
    for name in ("synthesis", "dataset_size", "histogram_binary"):
        html = published.compared(without_runs, name)
        assert "None of these runs was made" in html
    assert "<figure" not in published.synthesis(without_runs)
    assert "<figure" in published.dataset_size(without_runs)
    assert published.beside(without_runs, "region") == ""
    assert published.trained(without_runs, "region") == ""


def test_what_was_trained_is_that_of_the_runs_of_the_table(study):
    html = published.trained(study, "region")
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html)[:3] == ["lenet5", "all", "full"]
    assert html.count("3 epochs at 0.001, cached") == 1


def test_runs_of_a_table_are_a_figure_with_its_caption(study):
    assert "Validation accuracy by what a network is shown" in published.beside(study, "region")
    assert (study.figures / "region_val_accuracy.svg").is_file()


def test_matrices_are_those_published_and_of_the_first_seed(study, in_folds):
    made = study.made_for("histogram_binary")
    matrices = published._binary_matrices(study, made)
    assert list(matrices) == ["published/lenet1d-tuned", "reproduced/knn"]
    expected = study.by_training("confusion")[("grouped", "knn", "all", "histogram-binary", 0)]
    assert matrices["reproduced/knn"].equals(expected)
    several = published._binary_matrices(in_folds, in_folds.made_for("histogram_binary"))
    assert list(several)[1:] == [f"reproduced/{name}: knn" for name in ("grouped", "cv-1", "cv-2")]
