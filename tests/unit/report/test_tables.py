"""Published beside reproduced: figures of runs, settings of searches, facts about the data."""

import re
from html import unescape

import pandas as pd
from pulmoscan.report import tables

NAN = float("nan")
INJECTED = "<script>alert('x')</script> & co"
SAMPLINGS = {"lungs": "balanced"}


def compared(**changes):
    """Rows of a table of ``compare``: one run, one not."""
    run = {
        **{"split": "grouped", "model": "mobilenet", "unfreeze": "0", "variant": "lungs"},
        **{"metric": "val_accuracy", "published": "0.83"},
        **{"published_low": 0.803, "published_high": 0.854, "n": 1, "folds": 1},
        **{"reproduced": 0.774, "sd": NAN, "low": 0.71, "high": 0.83, "difference": -0.056},
        **{"status": "run", "reason": "", "note": "", "asked": NAN, "got": NAN, "searched_on": ""},
    } | changes
    other = run | {"model": "vgg16", "n": 0, "folds": 0, "status": "not_run"}
    other["reason"] = run["reason"] or "left out by run_filter"
    for column in ("reproduced", "low", "high", "difference"):
        other[column] = NAN
    return pd.DataFrame([run, other])


def shown(rows):
    return tables.compared(rows, SAMPLINGS)


def cells(html):
    return [unescape(cell) for cell in re.findall(r"<td[^>]*>([^<]*)</td>", html)]


def headings(html):
    return re.findall(r"<th[^>]*>([^<]*)</th>", html)


def test_compared_rows_show_intervals_and_points():
    html = shown(compared())
    assert "83.0 % [80.3, 85.4]" in html
    assert "77.4 % [71.0, 83.0]" in html
    assert "-5.6" in cells(html)
    assert "1 of 2 rows without a run (1 left out by run_filter)" in html


def test_no_run_at_all_says_so_and_folds_the_published_rows():
    html = shown(compared(status="not_run", reason="not in the run table"))
    assert html.index("None of these runs was made") < html.index("<details")
    assert "Reproduced" not in html
    assert cells(html).count("not in the run table") == 2


def test_only_accuracies_of_90_percent_are_marked():
    assert 'class="data row0 col3 high"' in shown(compared(published="0.91"))
    recall = compared(published="0.91", metric="test_recall/COVID")
    assert " high" not in shown(recall)


def test_counts_and_bounds_keep_their_form():
    count = shown(compared(published="764", reproduced=700.0, difference=-64.0, metric="TP"))
    assert {"-64.0", "764 [80.3, 85.4]"} <= set(cells(count))
    assert "< 60.0 %" in cells(shown(compared(published="<0.60", published_low=NAN)))


def test_a_metric_is_told_in_words_and_its_class_as_it_is_spelled():
    html = shown(compared(metric="test_recall/Lung_Opacity"))
    assert "Test recall/Lung_Opacity." in html


def test_a_long_note_of_many_rows_is_told_once():
    text = "read off the chart, which has no figures at its points"
    rows = pd.concat([compared(note=text).head(1)] * 3, ignore_index=True)
    html = shown(rows)
    assert html.count(text) == 1
    assert cells(html).count("(a)") == 3
    assert shown(rows.head(2)).count(text) == 2


def test_notes_are_composed_from_the_columns():
    html = shown(compared(note="read off a chart", asked=1345, got=1342).head(1))
    assert cells(html)[-1] == (
        "read off a chart; sampling 'balanced' got 1,342 of the 1,345 images asked for"
    )
    assert "Note" not in headings(shown(compared().head(1)))


def test_a_split_is_shown_only_where_there_are_several():
    assert "Split" not in headings(shown(compared()))
    # A row that is not in the run table has no split.
    unknown = compared(split="").tail(1)
    assert "Split" not in headings(shown(pd.concat([compared(), unknown])))
    html = shown(pd.concat([compared(), compared(split="cv")]))
    assert headings(html).count("Split") == 2
    assert cells(html)[:2] == ["grouped", "mobilenet"]


def test_folds_show_mean_and_deviation_over_trainings():
    folds = compared(n=10, folds=5, sd=0.021).head(1)
    html = shown(folds)
    assert "77.4 % ± 2.1 % [71.0, 83.0] over 10 trainings in 5 folds" in cells(html)
    assert not {"Seeds", "SD"} & set(headings(html))
    both = shown(pd.concat([folds, compared(n=3, sd=0.01).head(1)]))
    assert {"Seeds", "SD"} <= set(headings(both))
    assert cells(both)[-2:] == ["3", "1.0 %"]
    one_seed = shown(compared(n=5, folds=5, low=NAN).head(1))
    assert "77.4 % over 5 trainings in 5 folds" in cells(one_seed)


def test_text_of_the_data_is_escaped():
    assert "<script>" not in shown(compared(note=INJECTED, model=INJECTED, split=INJECTED))
    assert "<script>" not in shown(compared(status="not_run", reason=INJECTED))
    assert "<script>" not in shown(compared(metric=f"test_recall/{INJECTED}"))


def test_the_same_table_is_the_same_html():
    assert shown(compared()) == shown(compared())


def test_settings_are_shown_as_numbers_and_text():
    rows = pd.DataFrame(
        [
            ("vgg16-tuned", "best/learning_rate", "0.001", "0.0010", "run", "", ""),
            ("lenet5-tuned", "best/activation", "relu", "tanh", "run", "", ""),
            ("vgg16-tuned", "best/dense_1", "128", NAN, "not_run", "no search found", INJECTED),
            ("vgg16-tuned", "best/dense_2", "", "32.0", "run", "", "not in the study"),
        ],
        columns=["model", "metric", "published", "reproduced", "status", "reason", "note"],
    ).assign(unfreeze="0", variant="lungs", split="grouped", asked=NAN, got=NAN, searched_on="")
    html = tables.settings(rows, SAMPLINGS)
    assert "<script>" not in html
    found = cells(html)
    assert [found[i : i + 7] for i in range(0, 28, 7)] == [
        ["vgg16-tuned", "0", "lungs", "learning rate", "0.001", "0.001", ""],
        [
            *("vgg16-tuned", "0", "lungs", "dense 1", "128", "–"),
            f"no search found; {INJECTED}",
        ],
        ["vgg16-tuned", "0", "lungs", "dense 2", "–", "32", "not in the study"],
        ["lenet5-tuned", "0", "lungs", "activation", "relu", "tanh", ""],
    ]


def test_a_setting_found_on_another_variant_says_which():
    rows = compared(metric="best/dense_1", reproduced=64.0, searched_on="lungs-1000").head(1)
    assert cells(tables.settings(rows, SAMPLINGS))[-1] == "searched on lungs-1000"


def facts(*row, reason=""):
    columns = ["fact", "class_or_set", "published", "reproduced", "status", "note"]
    return tables.facts(pd.DataFrame([row], columns=columns).assign(reason=reason))


def test_bounds_of_facts_are_written_as_the_measured_share():
    html = facts("source-share/RSNA", "all", ">0.70", 0.458, "measured", "")
    assert cells(html) == ["source share: RSNA", "all", "> 70.0 %", "45.8 %"]


def test_facts_are_written_as_their_kind():
    assert cells(facts("images", "all", "21165", 240, "measured", ""))[2:] == ["21,165", "240"]
    intensity = facts("intensity-sd/mean", "all", "54.5", 50.25, "measured", "whole images")
    assert cells(intensity) == [
        "intensity: mean of the images' standard deviations",
        *("all", "54.5", "50.2", "whole images"),
    ]


def test_a_fact_that_was_not_measured_says_why():
    html = facts("large-total", "all", "12193", NAN, "not_measured", "", reason="no such run")
    assert cells(html)[-2:] == ["–", "not measured: no such run"]
    assert "<script>" not in facts("images", INJECTED, "<0.6", 3, "measured", INJECTED)
