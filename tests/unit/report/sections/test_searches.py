"""Sections about the searches, on their trials."""

import re

from pulmoscan.report.sections import searches


def test_a_search_that_was_made_has_its_trials(study):
    html = searches.searches(study)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    assert cells[:7] == ["lenet5-tuned", "lungs", "1", "2", "3.0", "50.0 %", "dense_1 64"]
    assert "lenet5-tuned: the best 1 of 1 trials" in html
    assert "was not run" not in html


def test_a_search_that_was_not_made_says_why(without_runs):
    html = searches.searches(without_runs)
    assert html == (
        '<p class="report-note">The search of lenet5-tuned was not run: too few images.</p>'
    )


def test_settings_have_their_published_value(study):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", searches.tuned_heads(study))
    assert cells[cells.index("lenet5-tuned") : cells.index("lenet5-tuned") + 6] == [
        "lenet5-tuned",
        "all",
        "lungs",
        "dense 1",
        "128",
        "64",
    ]


def test_a_search_has_nothing_to_say_where_no_model_is_tuned(in_folds):
    assert searches.searches(in_folds) == ""
