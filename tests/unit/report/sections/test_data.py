"""Sections about the data set, on their tables."""

import re

import pandas as pd
import pytest
from pulmoscan.report.sections import data
from pulmoscan.report.study import Study


def cells(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


@pytest.fixture
def changed(study):
    """The study, whose tables a test may change."""
    return Study(study.folder)


def test_facts_are_those_of_some_kinds(study):
    assert cells(data.facts(study, "images"))[:2] == ["images", "all"]
    assert data.facts(study, "class-count") == ""
    assert "not measured: no such run" in data.resampling(study)


def test_channels_of_grey_files_are_not_compared(changed):
    rows = [("COVID", "L", "False", 4), ("COVID", "RGB", "True", 3), ("COVID", "RGB", "False", 2)]
    columns = ["class", "mode", "equal_channels", "images"]
    changed._tables["modes"] = pd.DataFrame(rows, columns=columns)
    shown = cells(data.files(changed))[4:]  # after the fact
    assert [shown[i : i + 4] for i in range(0, 12, 4)] == [
        ["COVID", "L", "–", "4"],
        ["COVID", "RGB", "yes", "3"],
        ["COVID", "RGB", "no", "2"],
    ]


def test_figures_are_saved_under_their_names(study):
    for section in (
        *(data.random_images, data.masks, data.useful_area, data.classes, data.sources),
        *(data.grey_levels, data.mean_images),
    ):
        assert "<img" in section(study)
    assert {path.stem for path in study.figures.iterdir()} >= {
        *("random_images", "masks", "useful_area", "classes", "sources", "class_by_source"),
        *("images_with_histograms", "histograms", "mean_images"),
    }


def test_data_without_errors_say_so(study):
    html = data.defects(study)
    assert "The metadata agree with the images." in html
    assert (
        "Images with defects and files that were not read, which are not used further. None."
        in html
    )
    assert "Images, masks or classes that look wrong and are used all the same. None." in html


def test_what_looks_wrong_is_listed(changed):
    warning = ("COVID", "", "most images look inverted")
    changed._tables["warnings"] = pd.DataFrame([warning], columns=["class", "image", "warning"])
    assert cells(data.defects(changed))[-3:] == ["COVID", "–", "most images look inverted"]


@pytest.mark.parametrize("rows", [20, 21])
def test_a_long_table_of_errors_is_folded(changed, rows):
    columns = ["class", "image", "error", "value", "expected"]
    error = ("NA", "NA-1", "wrong SIZE", "", "299*299")
    changed._tables["metadata_errors"] = pd.DataFrame([error] * rows, columns=columns)
    html = data.defects(changed)
    assert cells(html)[:3] == ["NA", "wrong SIZE", str(rows)]
    assert cells(html)[3:8] == ["NA", "NA-1", "wrong SIZE", "–", "299*299"]
    assert ("the first 20 of 21</summary>" in html) == (rows == 21)
    assert html.count("NA-1") == 20


def test_statistics_of_grey_levels_have_one_decimal(study):
    assert cells(data.intensity(study))[:4] == [
        "COVID",
        "full",
        "9",
        cells(data.intensity(study))[3],
    ]
    assert re.fullmatch(r"\d+\.\d", cells(data.intensity(study))[3])


def test_images_asked_for_and_got(study, in_folds, without_runs):
    html = data.resampling(study)
    assert cells(html)[:9] == ["balanced", "COVID", "COVID", "2", "2", "3", "3", "4", "4"]
    assert "split" not in re.findall(r"<th[^>]*>([^<]*)</th>", html)
    assert cells(data.resampling(in_folds))[0] == "grouped"
    assert {"cv-1", "cv-2"} <= set(cells(data.resampling(in_folds)))
    short = data.resampling(without_runs)
    assert cells(short)[3:5] == ["2", "0"]
    assert short.count("too few images") == 1
