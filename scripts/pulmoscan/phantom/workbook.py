"""The sources of the database, their spellings, and metadata workbooks without timestamps."""

import io
import re
import zipfile
from collections.abc import Iterable
from datetime import datetime

import openpyxl

_COLUMNS = ("FILE NAME", "FORMAT", "SIZE", "URL")
_SIZE = "256*256"  # what the real metadata say about every image, although images have 299 pixels
_DATE = datetime(2020, 1, 1)

# Images of each class by source, in the real database of 21,165 images.
SOURCE_COUNTS = {
    "COVID": {
        "BIMCV": 2474,
        "COVID-CXNet": 400,
        "EURORAD": 258,
        "covid-19-image-repository": 183,
        "covid-chestxray-dataset": 182,
        "SIRM": 119,
    },
    "Lung_Opacity": {"RSNA": 6012},
    "Normal": {"RSNA": 8851, "chest-xray-pneumonia": 1341},
    "Viral Pneumonia": {"chest-xray-pneumonia": 1345},
}
# The first spelling is the usual one in the database's metadata.
SOURCE_URLS = {
    "BIMCV": (
        "https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/#1590858128006-9e640421-6711",
        "https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/",
    ),
    "COVID-CXNet": ("https://github.com/armiro/COVID-CXNet",),
    "EURORAD": ("https://eurorad.org", "https://www.eurorad.org/"),
    "covid-19-image-repository": (
        "https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png",
    ),
    "covid-chestxray-dataset": (
        "https://github.com/ieee8023/covid-chestxray-dataset",
        "https://github.com/ieee8023/covid-chestxray-dataset/",
    ),
    "SIRM": ("https://sirm.org/category/senza-categoria/covid-19/",),
    "RSNA": (
        "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data",
        "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data ",
    ),
    "chest-xray-pneumonia": (
        "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia",
        "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
    ),
}


def workbook(rows: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes of a metadata workbook with ``rows`` of (image as spelt there, URL).

    openpyxl writes the current time into the document's properties and into the archive; both are
    replaced by a fixed date, so that equal rows give equal bytes.
    """
    book = openpyxl.Workbook()
    book.properties.created = _DATE
    book.active.append(_COLUMNS)
    for image, url in rows:
        book.active.append((image, "PNG", _SIZE, url))
    written, timeless = io.BytesIO(), io.BytesIO()
    book.save(written)
    modified = rf"\g<1>{_DATE.isoformat()}Z".encode()
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(timeless, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", modified, content)
            entry = zipfile.ZipInfo(name, _DATE.timetuple()[:6])
            target.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return timeless.getvalue()
