"""Sentences are those of the columns that they speak of."""

import doctest

import pandas as pd
import pytest
from pulmoscan.report import page, sentences

NAN = float("nan")
SAMPLINGS = {"lungs": "balanced"}


def published(**changes):
    """A row of a published table that has nothing to remark."""
    row = {"variant": "lungs", "note": "", "asked": NAN, "got": NAN, "searched_on": ""}
    return pd.Series(row | changes)


def protocol(**changes):
    """A row of the table of protocols that has nothing to remark."""
    row = {"recommended_model": "staged", "published_recommended": "", "differs_in": ""}
    return published(**row, difference_reason="", **changes)


def stages(*rows):
    """Stages with the columns of the gathered table, from (unfreeze, epochs, rate, cached)."""
    columns = ["stage_unfreeze", "epochs", "learning_rate", "cached"]
    return pd.DataFrame(rows, columns=columns).assign(augmented=False)


@pytest.mark.parametrize("module", [sentences, page])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_reasons_are_counted():
    reasons = ["left out by run_filter", "no search found", "left out by run_filter"]
    text = sentences.reasons(pd.DataFrame({"reason": reasons}))
    assert text == "2 left out by run_filter; 1 no search found"


def test_a_sampling_that_got_all_it_asked_for_is_not_mentioned():
    assert sentences.shortfall("balanced", 1345, 1345) == ""
    assert sentences.shortfall("balanced", NAN, NAN) == ""
    assert sentences.shortfall("balanced", pd.NA, pd.NA) == ""


def test_remarks_on_a_published_row():
    assert sentences.published_note(published(), SAMPLINGS) == ""
    row = published(note="read off a chart", asked=1345, got=1342, searched_on="lungs-1000")
    assert sentences.published_note(row, SAMPLINGS) == (
        "read off a chart; sampling 'balanced' got 1,342 of the 1,345 images asked for; "
        "searched on lungs-1000"
    )


def test_a_search_on_the_variant_of_its_row_is_not_mentioned():
    assert sentences.published_note(published(searched_on="lungs"), SAMPLINGS) == ""


def test_remarks_on_a_pair_of_protocols():
    assert sentences.protocol_note(protocol(), SAMPLINGS) == ""
    row = protocol(asked=10, got=9)
    row["published_recommended"] = "0.91"
    row["differs_in"] = "head, input_size"
    row["difference_reason"] = "the two were scored on different images"
    assert sentences.protocol_note(row, SAMPLINGS).split("; ") == [
        "no interval of the difference: the two were scored on different images",
        "the study gives 0.91 for staged itself",
        "the two also differ in head, input_size",
        "sampling 'balanced' got 9 of the 10 images asked for",
    ]


def test_remarks_on_a_fact_are_its_note_or_why_it_was_not_measured():
    row = pd.Series({"note": "whole images", "status": "measured", "reason": ""})
    assert sentences.fact_note(row) == "whole images"
    row[["status", "reason"]] = ["not_measured", "no usable image"]
    assert sentences.fact_note(row) == "not measured: no usable image"


def test_a_setting_that_was_not_found_says_why():
    row = published(status="not_run", reason="no search found", note="from the report")
    assert sentences.setting_note(row, SAMPLINGS) == "no search found; from the report"
    row["status"] = "run"
    assert sentences.setting_note(row, SAMPLINGS) == "from the report"


def test_one_stage():
    assert sentences.stages(stages(("19", 9, 0.001, True))) == "9 epochs at 0.001, cached"
    assert sentences.stages(stages(("19", 1, 0.001, False))) == "1 epoch at 0.001"


def test_of_several_stages_each_says_what_it_unfreezes():
    rows = stages(("0", 8, 0.001, True), ("half", 5, 1e-05, False))
    text = "unfreeze 0: 8 epochs at 0.001, cached; unfreeze half: 5 epochs at 0.00001"
    assert sentences.stages(rows) == text
    augmented = rows.assign(augmented=True)
    assert sentences.stages(augmented) == f"{text}; augmented, so nothing is cached"


def test_a_mean_over_folds_says_over_how_many():
    text = "77.4 % ± 2.1 % over 10 trainings in 5 folds"
    assert sentences.over_folds("77.4 % ± 2.1 %", 10, 5) == text
    assert sentences.over_folds("77.4 %", 1, 1) == "77.4 % over 1 training in 1 fold"
