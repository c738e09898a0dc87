"""Tables come back as they were written; damaged and missing ones are named."""

import json

import pandas as pd
import pytest
from pulmoscan.storage import tables

FRAME = pd.DataFrame({"image": ["a", "NA", "1"], "row": [0, 1, 2], "share": [0.1, None, 1e-9]})


@pytest.mark.parametrize("name", ["t.parquet", "t.tsv"])
def test_a_table_that_is_read_is_the_one_that_was_written(name, tmp_path):
    tables.write(tmp_path / "new" / name, FRAME)
    found = tables.read(tmp_path / "new" / name, "the audit", text=["image"])
    pd.testing.assert_frame_equal(found, FRAME, check_exact=True)


def test_parquet_keeps_missing_text(tmp_path):
    frame = pd.DataFrame({"image": ["a", None], "row": [0, 1]})
    tables.write(tmp_path / "t.parquet", frame)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "t.parquet", "the audit"), frame)


def test_text_in_a_tsv_stays_text_and_empty_text_stays_empty(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("name\treason\tnumber\nNaN\t\t\n007\tnull\t3\n")
    table = tables.read(path, "the audit", text=["name", "reason"])
    assert table["name"].tolist() == ["NaN", "007"]
    assert table["reason"].tolist() == ["", "null"]
    assert table["number"].isna().tolist() == [True, False]
    assert table["number"][1] == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.parquet", b"", "t.parquet is damaged (.*): remove it and run the audit again"),
        ("t.parquet", b"x" * 100, "t.parquet is damaged"),
        ("t.tsv", b"", "t.tsv is damaged (No columns to parse from file): remove it and run"),
        ("t.tsv", b"\xff\xfe\0f", "t.tsv is damaged"),
        ("t.tsv", b"image\n1\t2\n", "t.tsv is damaged (some lines have more fields than the"),
        ("t.tsv", b"image\trow\n1\t2\n1\t2\t3\n", "t.tsv is damaged"),
        (
            "t.tsv",
            b"picture\trow\n1\t2\n",
            "t.tsv is damaged (it has no column 'image'): remove it and run",
        ),
    ],
)
def test_a_damaged_table_is_one_line(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    pattern = reason.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=pattern) as error:
        tables.read(tmp_path / name, "the audit", text=["image"])
    assert "\n" not in str(error.value)


def test_json_is_read_as_it_was_written(tmp_path):
    value = {"hyperparameters": {"dense_1": 64, "activation": "NA"}, "trials": [1.5, None]}
    (tmp_path / "best.json").write_text(json.dumps(value))
    assert tables.read_json(tmp_path / "best.json", "tune") == value


@pytest.mark.parametrize("content", [b"", b'{"trials": ', b"\xff\xfe\0f", b"\0" * 9])
def test_damaged_json_is_one_line(content, tmp_path):
    path = tmp_path / "best.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path} is damaged .*: remove it and run tune again$"):
        tables.read_json(path, "tune")


def test_missing_json_is_one_line(tmp_path):
    path = tmp_path / "best.json"
    with pytest.raises(OSError, match=f"^cannot read {path}: No such file .*; run tune again$"):
        tables.read_json(path, "tune")


@pytest.mark.parametrize("name", ["t.parquet", "t.tsv"])
def test_a_missing_table_is_one_line(name, tmp_path):
    with pytest.raises(OSError, match=f"^cannot read {tmp_path}/{name}: No such file .*; run the"):
        tables.read(tmp_path / name, "the audit")
