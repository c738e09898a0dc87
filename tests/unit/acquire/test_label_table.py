"""A table of images as a data set: what is taken of it, and one line for each thing wrong."""

from pathlib import Path

import pytest
from pulmoscan.acquire import label_table, listing
from pulmoscan.data import unread

ROWS = """file,label,mask,patient,age,site
images/a.png,COVID-19,masks/a.png,p1,50,A
images/b.PNG,No Finding,,p2,,B
images/c.png,No Finding,masks/c.png,p2,31,B
images/d.png,unclear,,p3,20,A
"""
COLUMNS = {"image": "file", "class": "label", "source": "site"}
CLASSES = {"COVID-19": "COVID", "No Finding": "Normal", "unclear": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images/a.png", "images/b.PNG", "images/c.png", "images/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    for name in ("masks/a.png", "masks/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "labels.csv").write_text(ROWS)
    return tmp_path


def read(folder: Path, rows: str | None = None, **settings) -> listing.Listing:
    if rows is not None:
        (folder / "labels.csv").write_text(rows)
    given = {"path": str(folder / "labels.csv"), "columns": COLUMNS, "classes": CLASSES}
    return label_table.listing(given | settings)


def test_images_are_called_as_the_table_calls_them(folder):
    found = read(folder)
    assert [image.name for image in found.images] == [
        "images/a.png",
        "images/b.PNG",
        "images/c.png",
    ]
    assert [image.class_name for image in found.images] == ["COVID", "Normal", "Normal"]
    assert [image.mask and image.mask.name for image in found.images] == ["a.png", None, "c.png"]
    assert found.images[0].columns == {"source": "A", "patient": "p1", "age": "50"}
    assert found.left_out == {"unclear": 1}
    assert found.classes == ["COVID", "Normal"]
    assert found.without_mask == 1


def test_masks_that_are_not_asked_for_are_not_read(folder):
    assert read(folder, masks="none").without_mask == 3


def test_the_files_keep_their_suffix_in_lower_case(folder):
    found = listing.database(read(folder))
    assert [str(file.path) for file in found.files] == [
        "COVID/images/images_a.png",
        "COVID/masks/images_a.png",
        "Normal/images/images_b.png",
        "Normal/images/images_c.png",
        "Normal/masks/images_c.png",
    ]
    assert b"".join(found.files[1].chunks()) == b"masks/a.png"
    assert next((row.name, str(row.file)) for row in found.images) == (
        "images/a.png",
        "COVID/images/images_a.png",
    )


def test_what_the_table_names_and_is_not_there_is_listed(folder):
    (folder / "images/a.png").unlink()
    (folder / "masks/c.png").unlink()
    found = read(folder)
    assert [image.name for image in found.images] == ["images/b.PNG", "images/c.png"]
    assert found.without_mask == 2
    assert found.unread == [
        unread.UnreadFile("images/a.png", "COVID", label_table.NOT_THERE),
        unread.UnreadFile("masks/c.png", "Normal", f"mask {label_table.NOT_THERE}"),
    ]


def test_an_image_without_a_class_is_listed(folder):
    found = read(folder, ROWS.replace("images/a.png,COVID-19", "images/a.png,"), classes=None)
    assert found.unread == [unread.UnreadFile("images/a.png", "", label_table.NO_CLASS)]


def test_without_a_column_of_classes_images_have_none(folder):
    rows = "file\nimages/a.png\nimages/b.PNG\n"
    found = read(folder, rows, columns={"image": "file"}, classes=None)
    assert [image.class_name for image in found.images] == ["", ""]


def test_paths_may_be_relative_to_another_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables") / "t.tsv"
    elsewhere.write_text(ROWS.replace(",", "\t"))
    found = read(folder, path=str(elsewhere), root=str(folder))
    assert next(image.file for image in found.images) == folder / "images/a.png"


def test_further_columns_do_not_take_the_names_of_roles(folder):
    rows = "file,label,image,class\nimages/a.png,COVID-19,x,y\nimages/b.PNG,No Finding,x,y\n"
    found = read(folder, rows, columns={"image": "file", "class": "label"}, classes=None)
    assert found.images[0].columns == {"source": "", "image_given": "x", "class_given": "y"}


def test_the_digest_follows_contents_and_cells(folder, tmp_path):
    cache = tmp_path / "results/digests.json"
    first = listing.digest(read(folder), cache)
    assert listing.digest(read(folder), cache) == first
    reordered = "\n".join([ROWS.splitlines()[0], *reversed(ROWS.splitlines()[1:])]) + "\n"
    assert listing.digest(read(folder, reordered), cache) == first
    assert listing.digest(read(folder, ROWS.replace("p1,50", "p1,51")), cache) != first
    (folder / "masks/a.png").write_bytes(b"another")
    assert listing.digest(read(folder, ROWS), cache) != first


BOTH = {"image": "file", "class": "label"}
WRONG = [
    (ROWS, {"columns": {"image": "fil"}}, r"columns.image: .*labels.csv has no column 'fil': did"),
    (ROWS, {"columns": {"image": "fil"}}, r"'file'\? Its columns are file, label, mask, patient"),
    ("label\nx\n", {"columns": {}}, "columns.image: name the column of .* that holds the files"),
    (
        ROWS,
        {"columns": BOTH | {"mask": "file"}},
        "one column is named for two of image, class, mask",
    ),
    (ROWS, {"classes": ["COVID-19", "Flu"]}, "dataset.classes names 'Flu', a class of no image"),
    (ROWS, {"classes": {"COVID-19": "C"}}, r"what becomes of 'No Finding' \(2\), 'unclear' \(1\)"),
    (
        ROWS + "images/a.png,COVID-19\n",
        {},
        "line 6: .* images/a.png is listed twice, first in line 2",
    ),
    (ROWS.replace("images/a.png", "../a.png"), {}, "line 2: ../a.png lies outside of .*: write"),
    (ROWS.replace("images/a.png", "/etc/passwd"), {}, "line 2: /etc/passwd lies outside of"),
    (ROWS.replace("masks/a.png", "../a.png"), {}, "line 2: ../a.png lies outside of"),
    (ROWS.replace("images/a.png", r"C:\x\a.png"), {}, "is a path of Windows"),
    (ROWS.replace("images/a.png", ""), {}, "line 2: it names no image"),
    (ROWS.replace("images/a.png", "x" * 300), {}, "is longer than 200 bytes"),
    ("file,label\n", {}, "has no row below its header"),
    (
        "file\nx.png\n",
        {"columns": {"image": "file"}},
        "holds no image that is read: x.png: listed in",
    ),
]


@pytest.mark.parametrize(("rows", "settings", "line"), WRONG)
def test_wrong_tables(folder, rows, settings, line):
    with pytest.raises(ValueError, match=line) as raised:
        read(folder, rows, **settings)
    assert "\n" not in str(raised.value)


def test_two_images_that_would_have_one_file(folder):
    (folder / "images_a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"images/a.png and images_a.png would have one file name"):
        read(folder, ROWS + "images_a.png,COVID-19,,,,\n")
