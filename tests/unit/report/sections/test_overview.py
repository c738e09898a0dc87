"""The beginning and the end of the page."""

import re
from pathlib import PurePosixPath

import pytest
from pulmoscan.report.sections import overview
from pulmoscan.report.study import Study
from pulmoscan.results.verification import State


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


def verified(study, **states):
    """The study with what became of its results."""
    other = Study(study.folder)
    other.__dict__["verified"] = {PurePosixPath(name): State(s) for name, s in states.items()}
    return other


def test_the_last_page_says_whether_the_results_match(study):
    html = overview.provenance(verified(study, a="matches", b="matches", c="not recorded"))
    assert "All 2 results that this report was made from match the digests recorded" in html
    assert "1 file without a recorded digest" in html
    assert "No digests of the results were recorded" in overview.provenance(study)


@pytest.mark.parametrize("state", ["changed", "missing", "unreadable"])
def test_a_result_that_does_not_match_is_named_and_told_on_the_first_line(study, state):
    wrong = verified(study, a="matches", b=state)
    assert overview.WRONG in overview.title(wrong)
    html = overview.provenance(wrong)
    assert f"{overview.WRONG} 1 of 2 results." in html
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html)[:2] == ["b", state]
    for fine in (study, verified(study, a="matches")):
        assert overview.WRONG not in overview.title(fine) + overview.provenance(fine)
