"""Every file that looks like data is read, or listed with what keeps it from being read."""

import pytest
from pulmoscan.data import layout, unread

UNLIKE = "named unlike COVID-<number>.png"
ELSEWHERE = "does not lie in <class>/images or <class>/masks"
ONLY = "only PNG, JPEG, TIFF or DICOM files are read"
LISTED = {
    "COVID/images/covid_5.png": UNLIKE,
    "COVID/images/COVID_5.png": UNLIKE,
    "COVID/images/COVID (5).png": UNLIKE,
    "COVID/images/COVID5.png": UNLIKE,
    "COVID/images/COVID-5 - Copy.png": UNLIKE,
    "COVID/images/COVID-.png": UNLIKE,
    "COVID/images/COVID\u20135.png": f"{UNLIKE}: '\u2013' (U+2013) is not the dash of the keyboard",
    "COVID/images/COVID\u22125.png": f"{UNLIKE}: '\u2212' (U+2212) is not the dash of the keyboard",
    "COVID/images/COVID-5\n.png": "its name has control characters",
    "COVID/images/COVID-5\u200b.png": "its name has control characters",
    "COVID/images/COVID-\udcff.png": "its name is not valid text",
    f"COVID/images/COVID-{'9' * 240}.png": "its name is longer than 200 bytes",
    f"COVID/images/COVID-{'é' * 100}.png": "its name is longer than 200 bytes",
    "COVID/images/COVID-5.bmp": f"BMP: {ONLY}",
    "COVID/masks/COVID-5.WebP": f"WebP: {ONLY}",
    "COVID/images/covid_5.dcm": "named unlike COVID-<number>.dcm",
    "COVID/images/COVID-5": "no suffix",
    "COVID/images/COVID-5.png.bak": f"its name ends in .bak: {ONLY}",
    "COVID/images/COVID-5.png.txt": f"its name ends in .txt: {ONLY}",
    "COVID/COVID-5.png": ELSEWHERE,
    "COVID/image/COVID-5.png": ELSEWHERE,
    "Flu/images/Flu-5.png": ELSEWHERE,
    "overview.png": ELSEWHERE,
    "a/b.jpeg": ELSEWHERE,
    "COVID.zip": "an archive inside the data set: unpack it",
    "COVID.metadata.xls": unread.METADATA_REASON,
    "COVID.metadata (1).xlsx": unread.METADATA_REASON,
    "Flu.metadata.csv": unread.METADATA_REASON,
}


@pytest.mark.parametrize("path", LISTED)
def test_what_looks_like_data_is_listed(path):
    assert layout.canonical_path(path) is None
    found = unread.judge(path)
    assert found.reason == LISTED[path]
    assert found.file.isprintable()
    assert found.class_name == ("COVID" if "COVID" in path else "")


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "COVID/images/notes.txt",
        "COVID/images/Thumbs.db",
        "COVID/images/desktop.ini",
        "COVID/images/.DS_Store",
        "__MACOSX/COVID/images/._COVID-5.png",
        "COVID/images/._COVID-5.png",
        "~$COVID.metadata.xlsx",
        "labels.csv",
        "weights.h5",
    ],
)
def test_other_files_are_passed_over(path):
    assert unread.judge(path) is None


@pytest.mark.parametrize(
    ("path", "image"),
    [
        ("COVID/images/COVID-5.PNG", "COVID-5"),
        ("covid/Images/COVID-5.png", "COVID-5"),
        ("COVID/IMAGES/covid-5.png", "COVID-5"),
        ("COVID/images/COVID-5 .png", "COVID-5"),
        ("COVID/images/COVID-05.png", "COVID-05"),
        ("Normal/images/Normal-e\u0301.png", "Normal-\u00e9"),
        (f"COVID/images/COVID-{'9' * 194}.png", "COVID-" + "9" * 194),
    ],
)
def test_what_is_unambiguous_is_read(path, image):
    assert layout.canonical_path(path).stem == image
    assert unread.judge(path) is None


def test_a_file_that_is_none_is_listed_only_where_one_of_the_database_is_expected():
    assert unread.judge("COVID/images/COVID-5.png", "a FIFO, not a file").reason.startswith(
        "a FIFO"
    )
    assert unread.judge("notes", "a FIFO, not a file") is None


def test_the_summary_counts_and_is_short():
    reasons = ["a"] * 3 + ["b"] * 2000 + list("cdefg")
    assert unread.summary(reasons) == "b (2,000); a (3); c (1); d (1); others (3)"
    assert unread.files(1) == "1 file"
