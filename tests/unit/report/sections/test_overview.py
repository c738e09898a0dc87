"""The beginning and the end of the page."""

import re

import pytest
from pulmoscan.report.sections import overview
from pulmoscan.report.study import Study


@pytest.fixture
def changed(study):
    """The study with a configuration that a test may change."""
    other = Study(study.folder)
    other.config["dataset"]["source"] = "kaggle"
    other.config["weights"]["source"] = "imagenet"
    return other


def test_only_synthetic_images_are_said_to_be_so(study, changed):
    assert overview.title(study).startswith('<p class="report-synthetic">The images of this report')
    assert overview.title(changed) == "<h1>PulmoSCAN: the study re-run</h1>"


def test_only_random_weights_are_said_to_be_so(study, changed):
    assert "random weights" in overview.summary(study)
    assert "random weights" not in overview.summary(changed)


def test_the_summary_counts_images_and_trainings(study, in_folds):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", overview.summary(study))
    assert cells == ["phantom", "18", "18", "grouped", "none", "10", "0, 1"]
    assert ">grouped, cv<" in overview.summary(in_folds)


def test_faults_speak_of_these_data(study):
    html = overview.faults(study)
    assert html.count("<li>") == 10
    means = study.audit.groupby("class")["mean"].mean()
    assert f"COVID {means['COVID']:.1f} whole, {means['COVID']:.1f} inside the lungs" in html
    assert "in these data 0 of 1 sources give one class only" in html
    assert "In these data: 0 pairs in 0 groups" in html


def test_provenance_lists_what_and_how_long(study):
    html = overview.provenance(study)
    assert ">abc<" in html
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    assert cells[-5:] == ["pack", "–", "1.0", "1.0", "–"]
