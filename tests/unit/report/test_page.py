"""The HTML of the page: numbers, tables, notes, and that text is escaped."""

import re

import pandas as pd
import pytest
from IPython import display
from pulmoscan.report import page

NAN = float("nan")
INJECTED = "<script>alert('x')</script> & co"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (page.share(0.7744), "77.4 %"),
        (page.share(0.91, 0), "91 %"),
        (page.decimal(1234.56), "1,234.6"),
        (page.decimal(0.99912, 4), "0.9991"),
        (page.count(21165), "21,165"),
        (page.plain(0.001), "0.001"),
        (page.plain(64.0), "64"),
        (page.percent(0.774, 0.71, 0.83, 0.021), "77.4 ± 2.1 [71.0, 83.0]"),
        (page.percent(0.025, -0.16, 0.21, sign="+"), "+2.5 [-16.0, +21.0]"),
        (page.percent(0.5, NAN, NAN), "50.0"),
        (page.with_interval("77.4 %", 0.71, 0.83), "77.4 % [71.0, 83.0]"),
        (page.with_interval("77.4 %", NAN, NAN), "77.4 %"),
    ],
)
def test_numbers(written, text):
    assert written == text


@pytest.mark.parametrize("written", [page.share, page.decimal, page.count, page.plain])
def test_no_number_is_a_dash(written):
    assert written(NAN) == "–"
    data = pd.DataFrame({"a": [1.0, NAN]})
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page.table(data, {"a": written}))[1] == "–"


def test_missing_counts_are_dashes():
    data = pd.DataFrame({"a": pd.array([3, None], dtype="Int64")})
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page.table(data, {"a": page.count})) == ["3", "–"]


def test_text_of_the_data_is_escaped_in_tables():
    data = pd.DataFrame({INJECTED: [INJECTED], "n": [1234.0]})
    for html in (page.table(data, {"n": page.count}), page.table(data, {INJECTED: page.escaped})):
        assert "<script>" not in html
        assert html.count("&lt;script&gt;") == 2
    assert "1,234" in page.table(data, {"n": page.count})
    assert "<script>" not in page.table(data, names={"n": INJECTED})
    assert "<script>" not in page.folded(INJECTED, "")


def test_numbers_are_aligned_to_the_right_with_their_headings():
    html = page.table(pd.DataFrame({"name": ["a"], "n": [1]}), {"n": page.count})
    rule = re.search(r"(#T_\w+) \.col1 \{([^}]*)\}", html)
    assert "text-align: right" in rule[2]
    assert ".col0 {" not in html
    assert re.search(r'<th[^>]* class="[^"]*col1"', html)
    assert re.search(r'<td[^>]* class="data row0 col1"', html)


def test_cells_have_classes_and_sentences_may_break():
    data = pd.DataFrame({"a": [1, 2], "note": ["x", "y"]}, index=[7, 9])
    marks = pd.DataFrame("", index=data.index, columns=data.columns)
    marks.loc[9, "a"] = "high"
    html = page.table(data, {"a": page.count}, classes=marks, wide=["note", "absent"])
    assert 'class="data row1 col0 high"' in html
    assert html.count('col1 wide"') == 2


def test_headings_are_renamed_and_a_caption_is_above():
    html = page.table(pd.DataFrame({"a": [1]}), caption="<i>One</i>", names={"a": "first"})
    assert html.startswith('<p class="report-caption"><i>One</i></p><div class="report-table">')
    assert ">first</th>" in html
    assert "report-caption" not in page.table(pd.DataFrame({"a": [1]}))


def test_the_same_table_is_the_same_html():
    data = pd.DataFrame({"a": [1.5]})
    assert page.table(data, {"a": page.share}) == page.table(data.copy(), {"a": page.share})
    assert page.table(data) != page.table(data + 1)


def test_empty_text_is_a_dash_where_asked_for():
    data = pd.DataFrame({"a": ["", "x"], "n": [0.0, NAN]})
    assert page.dashed(data)["a"].tolist() == ["–", "x"]
    assert page.dashed(data)["n"].tolist()[0] == 0


def test_a_picture_is_embedded_with_its_escaped_caption(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"PNG")
    html = page.figure(path, INJECTED)
    assert 'src="data:image/png;base64,UE5H"' in html
    assert "<script>" not in html


def test_all_parts_are_shown_at_once(monkeypatch):
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    page.show("<p>a</p>", page.note("b"), "")
    assert shown[0].data == '<p>a</p><p class="report-note">b</p>'


def test_every_class_of_the_package_has_a_style():
    used = {"table", "caption", "figure", "note", "wrong", "synthetic", "more", "contents"}
    assert {f".report-{name}" for name in used} <= set(re.findall(r"\.report-\w+", page.style()))
    assert page.style().startswith("<style>")
