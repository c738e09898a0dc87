"""What YAML makes of a configuration file is what stands in it."""

import os

import pytest
import yaml
from pulmoscan.config import spelled


def said(tmp_path, text: str | bytes) -> list[str]:
    """Return what is said of a file, without its name."""
    file = tmp_path / "mine.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [line.removeprefix(str(file)) for line in spelled.problems(file)]


@pytest.mark.parametrize(
    "number", ["010", "-017", "0x1F", "0b11", "1_000", "1:30", "190:20:30", "1_0.5", "1:30.5"]
)
def test_a_number_that_is_not_what_it_looks_like(tmp_path, number):
    value = yaml.safe_load(number)
    assert said(tmp_path, f"a: 1\nb: [{{c: {number}}}]\n") == [
        f", line 2: YAML reads {number} as {value}: write {value}, or put it in quotes where it is "
        "text"
    ]
    assert said(tmp_path, f"a: '{number}'\n") == []
    assert said(tmp_path, f"a: !!str {number}\n") == []


@pytest.mark.parametrize(
    "text",
    ["0", "10", "-3", "+3", "0.5", ".5", "5.", "1.0e-3", "1.5e+10", ".inf", "1e3", "08", "1.2.3"],
)
def test_a_number_that_everyone_reads_as_the_same(tmp_path, text):
    assert said(tmp_path, f"a: {text}\n") == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        *(("no", "a truth"), ("On", "a truth"), ("true", "a truth"), ("16", "a number")),
        *(("1.5", "a number"), ("2024-01-01", "a date"), ("null", "null"), ("~", "null")),
        ("010", "a number"),
    ],
)
def test_a_name_that_is_no_text_to_yaml(tmp_path, key, kind):
    expected = f", line 1: YAML reads the key {key} as {kind}: put it in quotes"
    assert said(tmp_path, f"{key}: 3\n") == [expected]
    assert said(tmp_path, f"'{key}': 3\n") == []


def test_a_date(tmp_path):
    expected = ", line 1: YAML reads 2024-01-01 as a date: put it in quotes"
    assert said(tmp_path, "a: 2024-01-01\n") == [expected]


def test_a_number_beyond_sense_is_not_computed(tmp_path):
    expected = ", line 1: a number of 9,999 digits is none that the workflow can use"
    assert said(tmp_path, f"a: {'1' * 9999}\n") == [expected]


def test_words_for_truths_are_right_where_a_truth_is(tmp_path):
    assert said(tmp_path, "a: yes\nb: off\n") == []


def test_anchors_and_merged_mappings_are_right(tmp_path):
    assert said(tmp_path, "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n") == []
    assert said(tmp_path, "a: &a [*a]\n") == []


@pytest.mark.parametrize("head", [b"\xff\xfe", b"\xfe\xff"])
def test_another_encoding_is_named(tmp_path, head):
    content = head + "seeds: [0]\n".encode("utf-16-le" if head[0] == 0xFF else "utf-16-be")
    expected = ": it is not text in UTF-8 but UTF-16: save it as UTF-8"
    assert said(tmp_path, content) == [expected]


def test_a_letter_of_another_encoding_has_its_line(tmp_path):
    expected = ": it is not text in UTF-8 but another encoding in line 2: save it as UTF-8"
    assert said(tmp_path, "a: 1\nb: ä\n".encode("latin-1")) == [expected]


def test_marks_and_line_ends_of_windows_are_right(tmp_path):
    assert said(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {b: 3\n", ", line 2: it is not YAML: did not find expected ',' or '}'"),
        ("a:\n\tb: 3\n", ", line 2: it is not YAML: found character that cannot start any token"),
        (
            "a: 1\x01\n",
            ": it is not YAML: unacceptable character #x0001: control characters are not allowed",
        ),
        ("- a\n", ": it holds no mapping of keys to values"),
        ("", ": it holds no mapping of keys to values"),
        ("a: 1\n---\nb: 2\n", ", line 2: it is not YAML: but found another document"),
    ],
)
def test_what_is_no_configuration(tmp_path, text, expected):
    (line,) = said(tmp_path, text)
    assert line.startswith(expected)
    assert ("tabs" in line) == ("\t" in text)


def test_json_may_be_indented_with_tabs(tmp_path):
    assert said(tmp_path, '{\n\t"seeds": [0]\n}\n') == []


def test_a_key_twice(tmp_path):
    expected = ", line 3: duplicate key 'a' in one mapping: put its settings in one place"
    assert said(tmp_path, "a: 1\nb: 2\na: 3\n") == [expected]
    assert len(said(tmp_path, '{"a": 1, "b": {"c": 1, "c": 2}}')) == 1


def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path / "pipe", "a pipe"),
        (tmp_path, "a folder"),
        ("/dev/zero", "a de"),
    ):
        (line,) = spelled.problems(path)
        assert line.startswith(f"{path}: it is {kind}")
    (line,) = spelled.problems(tmp_path / "none")
    assert line.endswith(": No such file or directory")
