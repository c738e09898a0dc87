"""Analyses of all predictions: any table is shown under its caption."""

import re

import pandas as pd
import pytest
from pulmoscan.report import captions, page
from pulmoscan.report.sections import analysis
from pulmoscan.report.study import Study


def cells(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


@pytest.fixture
def changed(study):
    """The study, whose tables a test may change."""
    return Study(study.folder)


def test_the_hardest_images_are_counted_and_drawn(study):
    rows = study.table("hardest_images")
    wrong = 1 - study.gathered("predictions").groupby("image")["correct"].mean()
    html = analysis.hardest_images(study)
    assert f"Of {len(wrong)} validation or test images, {(wrong == 1).sum()} " in html
    assert f"and {(wrong > 0).sum()} by at least one." in html
    assert len(rows) == 2 * len(wrong)  # of two labels, that of its class and sick or normal
    assert html.count("<figure") == 1
    assert cells(html)[1] == rows["image"][0]


def test_an_image_that_nobody_gets_wrong_is_not_listed(changed):
    rows = changed.table("hardest_images").drop_duplicates("image").head(2)
    rows = rows.assign(wrong=[4, 0], trainings=4)
    changed._tables["hardest_images"] = rows
    html = analysis.hardest_images(changed)
    assert "Of 2 validation or test images, 1 is predicted wrongly by every training that" in html
    assert len(re.findall("<tr>", html)) == 2  # with the heading
    changed._tables["hardest_images"] = rows.assign(wrong=0)
    assert "give it most often. None." in analysis.hardest_images(changed)


def test_without_runs_no_image_is_hard(without_runs):
    assert "No run was made" in analysis.hardest_images(without_runs)


def test_of_several_splits_each_is_named(in_folds):
    headings = re.findall(r"<th[^>]*>([^<]*)</th>", analysis.hardest_images(in_folds))
    assert headings[:3] == ["split", "part", "image"]


def test_differences_between_regions_are_said_drawn_and_listed(study):
    rows = study.table("region_differences")
    assert len(rows)
    html = analysis.region_differences(study)
    said = re.findall(r"<li>([^<]*)</li>", html)
    assert len(said) == min(len(rows), analysis.SAID)
    first = rows.iloc[0]
    assert said[0].startswith(f"{first['model']}, unfreeze {first['unfreeze']}: ")
    assert (
        f"{100 * first['accuracy']:.1f} % and {100 * first['accuracy_against']:.1f} % of" in said[0]
    )
    assert html.count("<figure") == 1
    headings = re.findall(r"<th[^>]*>([^<]*)</th>", html)
    assert headings[:2] == ["model", "unfrozen"]  # of one split, which is not a part of it


def test_differences_on_several_splits_name_each(changed):
    rows = changed.table("region_differences").head(1)
    both = pd.concat([rows.assign(split="grouped"), rows.assign(split="naive")])
    changed._tables["region_differences"] = both
    html = analysis.region_differences(changed)
    assert re.findall(r"<th[^>]*>([^<]*)</th>", html)[:2] == ["split", "model"]
    assert cells(html)[0] == "grouped"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.09, "outside the lungs beats the whole image by 5.0 points [+1.0, +9.0]"),
        (-0.09, -0.01, "the whole image beats outside the lungs by 5.0 points [-9.0, -1.0]"),
        (-0.01, 0.11, "no difference between outside the lungs and the whole image can be told"),
    ],
)
def test_a_difference_is_one_only_where_its_interval_leaves_zero_out(changed, low, high, said):
    rows = changed.table("region_differences").head(1)
    difference = 0.05 if high > 0 else -0.05
    changed._tables["region_differences"] = rows.assign(
        **{"region": "outside", "against": "full", "difference": difference},
        **{"low": low, "high": high},
    )
    assert f": {said}" in analysis.region_differences(changed)


def test_without_runs_nothing_is_said_of_regions(without_runs):
    assert "No network was trained on several parts" in analysis.region_differences(without_runs)


def test_any_table_needs_a_caption_alone(changed, monkeypatch):
    monkeypatch.setitem(captions.TABLES, "calibration", "How well <i>probabilities</i> are meant.")
    columns = {"model": "NA", "ece": 0.0625, "val_accuracy": 0.5, "n": 1200, "note": ""}
    changed._tables["calibration"] = pd.DataFrame([columns] * 130)
    html = analysis.table(changed, "calibration")
    assert html.startswith('<p class="report-caption">How well <i>probabilities</i> are meant.</p>')
    assert cells(html)[:5] == ["NA", "0.0625", "50.0 %", "1,200", "–"]
    assert "the next 80 of 130 rows (all are in tables/calibration.tsv)" in html
    assert len(cells(html)) == 5 * 100


def test_numbers_are_written_as_their_column_says():
    rows = pd.DataFrame({"share_wrong": [0.5], "trainings": [9], "ece": [0.01], "share": ["x"]})
    formats = analysis.formats_of(rows)
    assert formats == {"share_wrong": page.share, "trainings": page.count, "ece": page.plain}


def test_parts_that_differ_are_put_into_words(changed):
    row = {"split": "grouped", "model": "net", "unfreeze": "0", "variant": "full", "trainings": 2}
    row |= {"column": "sex", "value": "F", "label": "COVID", "images": 40, "accuracy": 0.6}
    row |= {"low": 0.5, "high": 0.7, "accuracy_rest": 0.8, "difference": -0.2}
    row |= {"difference_low": -0.3, "difference_high": -0.1}
    rows = [row, row | {"label": "all"}, row | {"value": "M", "difference_high": 0.1}]
    changed._tables["subgroups"] = pd.DataFrame(rows)
    html = analysis.subgroups(changed)
    assert "Of 2 comparisons within a label, 1 has an interval without zero" in html
    assert html.count("<li>") == 1
    assert "net/full: of 40 images of COVID with sex F, 60.0 % are recognised, of the rest" in html
    assert "80.0 %: 20.0 points fewer [-30.0, -10.0]." in html
    changed._tables["subgroups"] = pd.DataFrame(rows).assign(difference=float("nan"))
    assert "No part of the test images is large enough" in analysis.subgroups(changed)


def test_networks_on_several_kinds_of_images_are_compared(study, without_runs):
    assert "<figure" in analysis.regions(study)  # lungs and full, of one sampling
    assert analysis.regions(without_runs) == ""
