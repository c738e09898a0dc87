"""What the metadata say about each image, and each way in which they can be wrong."""

import numpy as np
import pandas as pd
import pytest
import small_database as small
from pulmoscan.data import collections, metadata, raw_table, workbook

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
SPELLINGS = {
    "https://sirm.org/category/senza-categoria/covid-19/": "SIRM",
    "https://www.sirm.org/category/senza-categoria/covid-19/": "SIRM",
    "https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png": (
        "covid-19-image-repository"
    ),
    "https://eurorad.org": "EURORAD",
    "https://www.eurorad.org/case/16624": "EURORAD",
    "https://github.com/armiro/COVID-CXNet": "COVID-CXNet",
    "https://github.com/ieee8023/covid-chestxray-dataset": "covid-chestxray-dataset",
    "https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/#1590858128006-9e640421-6711": "BIMCV",
    "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data": "RSNA",
    "http://kaggle.com/competitions/rsna-pneumonia-detection-challenge": "RSNA",
    "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia": "chest-xray-pneumonia",
    "  kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia ": "chest-xray-pneumonia",
    "https://github.com/agchung/Figure1-COVID-chestxray-dataset": (
        "github.com/agchung/figure1-covid-chestxray-dataset"
    ),
    "https://radiopaedia.org/cases/covid-19": "radiopaedia.org",
    "https://eurorad.org.example.com/": "eurorad.org.example.com",
    "": "unknown",
    "see the paper": "unknown",
    "http://[": "unknown",
}


@pytest.mark.parametrize("url", SPELLINGS)
def test_source_of_a_url(url):
    assert collections.from_url(url) == SPELLINGS[url]


def images(*names: str) -> pd.DataFrame:
    table = pd.DataFrame({"image": list(names)})
    return table.assign(
        **{"class": [name.rpartition("-")[0] for name in names], "width": 299, "height": 299}
    )


def check_all(images: pd.DataFrame, contents: dict[str, bytes | None]) -> tuple:
    """Check images against the workbooks of the classes."""
    files = {
        name: content and raw_table.RawMetadata(f"{name}.metadata.xlsx", content)
        for name, content in contents.items()
    }
    return metadata.check(images, files)


def check(*rows: tuple[object, ...], header: tuple[str, ...] = small.HEADER) -> tuple:
    """Check two COVID images against one workbook; return their sources and the errors."""
    contents = dict.fromkeys(CLASSES, small.workbook([small.HEADER]))
    contents["COVID"] = small.workbook([header, *rows])
    source, errors = check_all(images("COVID-1", "COVID-2"), contents)
    assert list(errors.columns) == ["class", "image", "error", "value", "expected"]
    assert (errors["class"] == "COVID").all()
    return source.tolist(), errors.drop(columns="class").to_numpy().tolist()


URL = "https://eurorad.org"
ONE = ("COVID-1", "PNG", "299*299", URL)
TWO = ("COVID-2", "PNG", "299*299", URL)
EVERY_SOURCE = "one of " + ", ".join(collections.SOURCES)
ROWS = {
    "right": ([ONE, TWO], []),
    "wrong size": (
        [ONE, ("COVID-2", "PNG", "256*256", URL)],
        [["COVID-2", "wrong SIZE", "256*256", "299*299"]],
    ),
    "no size": (
        [ONE, ("COVID-2", "PNG", None, URL)],
        [["COVID-2", "wrong SIZE", "", "299*299"]],
    ),
    "other signs": ([ONE, ("covid-2.PNG", "png", " 299 X 299 ", f" {URL}/ ")], []),
    "wrong format": (
        [ONE, ("COVID-2", "JPG", "299*299", URL)],
        [["COVID-2", "wrong FORMAT", "JPG", "PNG"]],
    ),
    "no image": (
        [ONE, TWO, ("COVID-3", "PNG", "299*299", URL)],
        [["COVID-3", "row without image", "COVID-3", ""]],
    ),
    "no name": ([ONE, TWO, ("scan", "PNG", 1, URL)], [["scan", "row without image", "scan", ""]]),
    "a number": ([ONE, TWO, (17, "PNG", 1, URL)], [["17", "row without image", "17", ""]]),
    "another class": (
        [ONE, TWO, ("NORMAL-1", "PNG", "299*299", URL)],
        [["Normal-1", "row without image", "NORMAL-1", ""]],
    ),
    "twice": ([ONE, TWO, TWO], [["COVID-2", "duplicate row", URL, ""]]),
    "empty row": ([ONE, (None, None, None, None), TWO], []),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_error_of_a_row_is_listed_and_nothing_else(name):
    rows, expected = ROWS[name]
    assert check(*rows) == (["EURORAD", "EURORAD"], expected)


def test_an_image_without_row_has_an_unknown_source():
    expected = [["COVID-2", "image without row", "", ""]]
    assert check(ONE) == (["EURORAD", "unknown"], expected)


def test_the_first_of_two_rows_counts():
    again = ("COVID-2", "PNG", "299*299", "https://sirm.org")
    assert check(ONE, TWO, again)[0] == ["EURORAD", "EURORAD"]


def test_an_unknown_url_keeps_its_host_and_is_an_error():
    url = "https://radiopaedia.org/cases/1"
    source, errors = check(ONE, ("COVID-2", "PNG", "299*299", url))
    assert source == ["EURORAD", "radiopaedia.org"]
    assert errors == [["COVID-2", "unknown source", url, EVERY_SOURCE]]


def test_header_in_any_case_and_order_with_more_columns():
    header = ("Url", "note", "file_name", "SIZE", "Format")
    rows = [(URL, "a", "COVID-1", "299*299", "PNG"), (URL, "b", "COVID-2", "299*299", "PNG")]
    assert check(*rows, header=header) == (["EURORAD", "EURORAD"], [])


def test_a_missing_column_is_one_error():
    rows = [row[:3] for row in (ONE, TWO)]
    assert check(*rows, header=small.HEADER[:3]) == (
        ["unknown", "unknown"],
        [["", "no column", "", "URL"]],
    )


def test_a_sheet_without_names_is_damaged():
    source, errors = check(("a", "b"), header=("left", "right"))
    assert source == ["unknown", "unknown"]
    assert errors == [["", "damaged metadata file", "no column FILE NAME", "COVID.metadata.xlsx"]]


def test_a_missing_file_is_one_error_and_not_one_per_image():
    contents = dict.fromkeys(CLASSES, small.workbook([small.HEADER])) | {"Normal": None}
    source, errors = check_all(images("Normal-1", "Normal-2"), contents)
    assert source.tolist() == ["unknown", "unknown"]
    assert errors.to_numpy().tolist() == [
        ["Normal", "", "no metadata file", "", "Normal.metadata.xlsx"]
    ]


def test_size_of_an_unreadable_image_is_not_compared():
    table = images("COVID-1").assign(width=0, height=0)
    contents = dict.fromkeys(CLASSES, small.workbook([small.HEADER, ONE]))
    errors = check_all(table, contents)[1]
    assert "wrong SIZE" not in set(errors["error"])


def test_a_damaged_file_is_one_error_whatever_is_wrong_with_it():
    file = small.workbook([small.HEADER, ONE, TWO])
    random = np.random.default_rng(0)
    damaged = 0
    for content in [b"", b"PK", b"not a workbook", *(file[:end] for end in range(50, 900, 50))]:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            workbook.read_rows(content, metadata.NEEDED)
    for _ in range(60):
        mutated = bytearray(file)
        for place in random.integers(0, len(file), 8):
            mutated[place] = random.integers(0, 256)
        contents = dict.fromkeys(CLASSES, small.workbook([small.HEADER]))
        errors = check_all(images("COVID-1"), contents | {"COVID": bytes(mutated)})[1]
        damaged += "damaged metadata file" in set(errors["error"])
        assert not errors["value"].str.contains("\n").any()
    assert damaged > 10


def test_real_metadata_have_every_size_wrong_and_nothing_else(real_data):
    names = {
        "COVID": "COVID",
        "Lung_Opacity": "Lung_Opacity",
        "Normal": "Normal",
        "Viral Pneumonia": "Viral_Pneumonia",
    }
    stems = [file.stem for name in names.values() for file in (real_data / name).glob("images/*")]
    table = images(*(stem.replace("NORMAL", "Normal") for stem in stems))
    contents = {
        name: (real_data / f"{spelled}.metadata.xlsx").read_bytes()
        for name, spelled in names.items()
    }
    source, errors = check_all(table, contents)
    assert len(errors) == 800
    assert set(errors["image"]) == set(table["image"])
    assert set(errors["error"]) == {"wrong SIZE"}
    assert set(errors["value"]) == {"256*256"}
    assert set(errors["expected"]) == {"299*299"}
    assert source.value_counts().to_dict() == {
        "RSNA": 373,
        "chest-xray-pneumonia": 227,
        "BIMCV": 141,
        "COVID-CXNet": 25,
        "EURORAD": 13,
        "covid-chestxray-dataset": 9,
        "covid-19-image-repository": 8,
        "SIRM": 4,
    }
