"""Tables as people save them, and what is wrong with others."""

import pytest
from pulmoscan.data import text_table


@pytest.mark.parametrize(
    "content",
    [
        b"file,label\na.png,sick\nb.png,well\n",
        b"\xef\xbb\xbffile;label;;\r\na.png;sick;;\r\n;;;\r\nb.png;well;;\r\n",
        b"file\tlabel\n\n a.png \t sick\nb.png\twell",
        b'"file","label"\n"a.png","sick"\n"b.png","well"\n',
    ],
)
def test_separators_marks_and_blanks(content):
    table = text_table.parse(content)
    assert table.columns == ["file", "label"]
    assert [*table.rows.values()] == [
        {"file": "a.png", "label": "sick"},
        {"file": "b.png", "label": "well"},
    ]


def test_rows_have_the_number_of_their_line_and_missing_cells_are_empty():
    table = text_table.parse(b"file,label,age\n\na.png,sick\n")
    assert table.rows == {3: {"file": "a.png", "label": "sick", "age": ""}}


def test_a_comma_in_quotes_is_text():
    assert text_table.parse(b'a,b\n"1, 2",3\n').rows == {2: {"a": "1, 2", "b": "3"}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"PK\x03\x04", "it is a workbook: save it as CSV or TSV"),
        ("a,b".encode("utf-16"), "it is not text in UTF-8"),
        (b"\xff,b\n", "it is not text in UTF-8"),
        (b"a,,b\n1,2,3\n", "it has a column without a name"),
        (b"a,b,a\n", "it has two columns 'a'"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells, the header 2"),
        (b'a,b\n"1,2\n', "it cannot be parsed as text with commas"),
    ],
)
def test_what_is_no_such_table(content, reason):
    with pytest.raises(ValueError, match=f"^{reason}"):
        text_table.parse(content)
