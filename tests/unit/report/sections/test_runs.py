"""Sections about all runs, on what the runs gave."""

import re

import pytest
from pulmoscan.report.sections import runs
from pulmoscan.report.study import Study


def cells(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_accuracies_are_those_of_runs_and_of_each_training(study):
    html = runs.accuracies(study)
    assert "Seeds: 2." in html
    assert "Each of the 10 trainings</summary>" in html
    assert "not made" not in html


def test_runs_that_were_not_made_are_listed_with_reasons(without_runs):
    html = runs.accuracies(without_runs)
    assert cells(html)[-1] == "too few images"
    assert cells(html).count("too few images") == 10
    assert "<details" not in html


def test_one_seed_is_not_listed_again(in_folds):
    html = runs.accuracies(in_folds)
    assert "<details" not in html
    assert {"grouped", "cv"} <= set(cells(html))


def test_curves_are_those_of_networks_with_the_first_seed(study):
    parts = runs.of_first_seed(study, "history")
    assert list(parts) == [
        *("lungs/lenet5/unfreeze-all", "full/lenet5/unfreeze-all"),
        *("lungs/staged/unfreeze-all", "lungs/lenet5-tuned/unfreeze-all"),
    ]
    assert "The first" not in runs.training_curves(study)


def test_a_figure_of_many_runs_has_the_first_ones(study, monkeypatch):
    monkeypatch.setattr(runs, "MANY", 2)
    assert "training begins. The first 2 of 4 runs.<" in runs.training_curves(study)
    assert "share of the label. The first 2 of 5 runs.<" in runs.confusion_matrices(study)


def test_every_run_has_its_test_set_class_by_class(study):
    html = runs.per_class(study)
    assert html.count("<details") == 5
    assert "Test set class by class: histogram-binary/knn/unfreeze-all</summary>" in html
    first = study.by_training("per_class")[("grouped", "lenet5", "all", "lungs", 0)]
    recall = first[(first["split"] == "test") & (first["label"] == "COVID")]["recall"].item()
    assert cells(html)[0] == "COVID"
    assert cells(html)[2] == f"{100 * recall:.1f} %"


def test_protocols_on_validation_and_test_images(study):
    html = runs.protocol(study)
    assert html.count("<figure") == 2
    assert [f"Accuracy on the {name} images</h4>" in html for name in ("validation", "test")]


def test_without_runs_every_section_says_so_or_is_empty(without_runs):
    for section in (runs.training_curves, runs.confusion_matrices, runs.per_class):
        assert section(without_runs) == ""
    assert "No run was made" in runs.trained(without_runs)
    assert runs.protocol(without_runs).count("None of these pairs of runs was made.") == 2


def test_without_a_staged_model_there_is_no_protocol(in_folds):
    assert "No selected run has a recommended protocol" in runs.protocol(in_folds)


@pytest.mark.parametrize("empty", ["stages"])
def test_networks_without_stages_have_a_dash(study, empty):
    other = Study(study.folder)
    other._gathered[empty] = other.gathered(empty).iloc[:0]
    assert "epochs at" in runs.trained(study)
    assert "epochs at" not in runs.trained(other)
