"""A run table is read as editors and spreadsheets save it; what cannot be read has a line."""

import os
from pathlib import Path

import pytest
from pulmoscan.config import run_file

HEADER = "model\tunfreeze\tvariant\ttables\n"
RUNS = [["grouped", "vgg16", "0", "lungs", "synthesis"], ["grouped", "vgg19", "all", "full", ""]]


def read(folder: Path, content: str | bytes) -> list[list[str]]:
    path = folder / "runs.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return run_file.read(path, "grouped").to_numpy().tolist()


@pytest.mark.parametrize(
    "content",
    [
        "model\tunfreeze\tvariant\ttables\t\t\nvgg16\t0\tlungs\tsynthesis\t\t\nvgg19\tall\tfull\t\t\t\n",
        "model\tunfreeze\tvariant\ttables\nvgg16\t0\tlungs\tsynthesis\t\t\nvgg19\tall\tfull\n",
        f"\n{HEADER}\nvgg16\t0\tlungs\tsynthesis\n\t\t\t\nvgg19\tall\tfull\t\n\n",
        f"{HEADER}vgg16\t0\tlungs\tsynthesis\nvgg19\tall\tfull\t\n".replace("\n", "\r\n"),
        f"{HEADER}vgg16\t0\tlungs\tsynthesis\nvgg19\tall\tfull\t\n".replace("\n", "\r"),
        f"\ufeff{HEADER}vgg16 \t 0\t\u00a0lungs\tsynthesis\nvgg19\tall\tfull\t ",
        f'{HEADER}"vgg16"\t"0"\tlungs\t"synthesis"\n"vgg19"\tall\tfull\t""\n',
    ],
)
def test_what_spreadsheets_save_is_read(tmp_path, content):
    assert read(tmp_path, content) == RUNS


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((HEADER + "vgg16\t0\tlungs\t\n").encode("utf-16"), "but UTF-16: save it as UTF-8"),
        (HEADER.encode() + b"vgg16\t0\tl\xe4\t\n", "another encoding in line 2: save it as UTF-8"),
        (b"PK\x03\x04" + bytes(30), "is a workbook: save it as text separated by tabs"),
        (b"\xd0\xcf\x11\xe0" + bytes(30), "is a workbook: save it as text separated by tabs"),
        (HEADER.replace("\t", ";"), "has semicolons instead of tabs"),
        (HEADER.replace("\t", ","), "has commas instead of tabs"),
        (
            '"model";"unfreeze";"variant";"tables"\nvgg16;0;lungs;\n',
            "has semicolons instead of tabs",
        ),
        ("model\tunfreeze\t\tvariant\ttables\n", "has a column without a name"),
        (HEADER + "\n\n\t\t\n", "has no run below its header"),
        ("\n\t\t\n \n", "is empty: expected a table of tab-separated text"),
        (HEADER + "\nvgg16\t0\tlungs\t\tx\n", "line 3 has 5 cells, its header 4"),
        (HEADER + "\n\nvgg16\tx\tlungs\t\n", "line 4: unfreeze is 'x'"),
        (HEADER + "vgg16\t9999999\tlungs\t\n", "line 2: unfreeze is '9999999'"),
        (HEADER + 'a\t0\t"b\n"\t\n\na\t0\tb\t\n', "line 5: the run b/a/unfreeze-0 appears twice"),
        (HEADER + "x" * 200_000, "is not a table of tab-separated text: field larger than"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path, content, expected):
    with pytest.raises(ValueError, match=r"runs\.tsv") as error:
        read(tmp_path, content)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "pipe"), (tmp_path, "folder"), ("/dev/zero", "device")):
        with pytest.raises(OSError, match=f"run table {path}: it is a {kind}, not a file"):
            run_file.read(path, "grouped")
