"""A data set that is broken stops a stage in one line, or what is wrong is listed and left out."""

import os
import shutil
import subprocess
import sys
import zipfile

import audit
import download
import mutants
import numpy as np
import pack
import pandas as pd
import pytest
import small_database as small
import split
from data_stages import FULL, download_arguments, left, split_arguments, table, with_images
from PIL import Image
from pulmoscan.acquire import local
from pulmoscan.data import raw_table
from pulmoscan.phantom import database
from refusals import refusal
from tiny_database import contents, read_folder, write_folder


def test_files_that_are_not_read_are_defects_and_stop_the_audit_where_defects_do(tmp_path, capsys):
    source = with_images(tmp_path / "source", FULL)
    for number, name in ((3, "COVID-3.bmp"), (4, "covid_4.png"), (5, "COVID-5\n.png")):
        image = source / f"COVID/images/COVID-{number}.png"
        image.rename(image.with_name(name))
    mask = source / "Normal/masks/Normal-1.png"
    mask.rename(source / "COVID/masks/Normal-1.png")
    (source / "COVID.metadata.xls").write_bytes(b"old")
    results = tmp_path / "results"
    download.main(download_arguments(source, results))
    pack.main(small.pack_arguments(results / "raw", results))
    audit.main(small.audit_arguments(results / "raw", results))
    assert table(results, "defects").to_numpy().tolist() == [
        ["Normal-1", "Normal", "no mask"],
        [
            "COVID/images/COVID-3.bmp",
            "COVID",
            "not read: BMP: only PNG, JPEG, TIFF or DICOM files are read",
        ],
        ["COVID/images/COVID-5\\n.png", "COVID", "not read: its name has control characters"],
        ["COVID/images/covid_4.png", "COVID", "not read: named unlike COVID-<number>.png"],
        ["COVID-3", "COVID", "mask without image"],
        ["COVID-4", "COVID", "mask without image"],
        ["COVID-5", "COVID", "mask without image"],
        ["Normal-1", "COVID", "mask without image: named Normal, lies in COVID"],
    ]
    errors = table(results, "metadata_errors")
    assert errors["error"].tolist() == ["no metadata file"] * 4 + ["metadata file not read"]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("4 files not read: ")
    assert any(
        line.startswith("warning: 29 images in 4 classes; 1 defective; 3 files not")
        for line in said
    )
    with pytest.raises(ValueError, match="7 images or files are defective: Normal-1"):
        audit.main(small.audit_arguments(results / "raw", results, on_defect="fail"))


def test_a_tenth_of_the_images_damaged_is_listed_precisely(tmp_path, repository):
    database.write_database(tmp_path / "raw", 20, 64, 0)
    paths = sorted((tmp_path / "raw").glob("*/*/*.png"))
    random = np.random.default_rng(0)
    damaged = set()
    for path in random.choice(np.array(paths), len(paths) // 10, replace=False):
        path.write_bytes(mutants.flipped(random, path.read_bytes()))
        with pytest.raises((OSError, SyntaxError)), Image.open(path) as image:
            image.verify()
        damaged.add((path.stem, path.parent.name.removesuffix("s")))
    assert len(damaged) == 16
    results = small.audited(tmp_path / "raw", tmp_path / "results")
    defects = table(results, "defects")
    listed = defects["defect"].str.extract(r"^unreadable (image|mask): ")[0]
    assert set(zip(defects["image"], listed, strict=True)) == damaged
    assert len(defects) == len(damaged)
    split.main(split_arguments(results, tmp_path / "split.parquet"))
    kept = pd.read_parquet(tmp_path / "split.parquet")["image"]
    assert len(kept) == 80 - defects["image"].nunique()
    assert not set(kept) & set(defects["image"])

    shutil.rmtree(results / "audit")
    shutil.rmtree(results / "tables")
    arguments = small.audit_arguments(tmp_path / "raw", results, on_defect="fail")
    stopped = subprocess.run(
        [sys.executable, repository / "scripts/audit.py", *arguments],
        capture_output=True,
        text=True,
    )
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    *listing, line = stopped.stderr.splitlines()
    assert line.startswith(f"audit: {defects['image'].nunique()} images or files are defective: ")
    assert listing[0] == "image\tclass\tdefect"
    assert len(listing) == 1 + len(damaged)
    assert not (results / "audit").exists()
    assert not (results / "tables").exists()


def formulas(values: bool) -> bytes:
    """A workbook whose names are formulas, saved with or without their values."""
    cell = '<c r="A{0}" t="str"><f>"Normal-"&amp;{1}</f>{2}</c>'
    rows = [
        f'<row r="{row}">'
        + cell.format(row, number, f"<v>Normal-{number}</v>" if values else "")
        + "".join(
            f'<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
            for column, text in (("B", "PNG"), ("C", "40*40"), ("D", small.URLS["Normal"]))
        )
        + "</row>"
        for row, number in ((2, 2), (3, 10))
    ]
    return mutants.sheet_with(small.workbook([small.HEADER]), "".join(rows).encode())


def test_metadata_broken_in_four_ways_are_listed_and_the_audit_continues(tmp_path):
    more = ("note", "FILE NAME", "checked", "URL")
    row = (None, "Viral Pneumonia-2", True, small.URLS["Viral Pneumonia"])
    changes = {
        "COVID.metadata.xlsx": "FILE NAME,FORMAT\nCOVID-2,PNG\n".encode("utf-16"),
        "Lung_Opacity.metadata.xlsx": small.workbook([]),
        "Normal.metadata.xlsx": formulas(values=False),
        "Viral Pneumonia.metadata.xlsx": small.workbook([more, row]),
    }
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    errors = table(results, "metadata_errors")
    said = errors["value"].where(errors["error"] != "no column", errors["expected"])
    errors = errors[["class", "image", "error"]].assign(said=said)
    assert errors.to_numpy().tolist() == [
        [
            "COVID",
            "",
            "damaged metadata file",
            "text such as CSV, not an .xlsx workbook: save it as .xlsx",
        ],
        ["Lung_Opacity", "", "damaged metadata file", "no column FILE NAME"],
        ["Normal", "", "row without image", ""],
        ["Normal", "", "row without image", ""],
        ["Normal", "Normal-2", "image without row", ""],
        ["Normal", "Normal-10", "image without row", ""],
        ["Viral Pneumonia", "", "no column", "FORMAT"],
        ["Viral Pneumonia", "", "no column", "SIZE"],
        ["Viral Pneumonia", "Viral Pneumonia-10", "image without row", ""],
    ]
    sources = table(results, "sources").set_index("source")["images"].to_dict()
    assert sources == {"unknown": 7, "chest-xray-pneumonia": 1}
    assert len(table(results, "defects")) == 0


def test_the_saved_values_of_formulas_are_read(tmp_path):
    changes = {"Normal.metadata.xlsx": formulas(values=True)}
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    assert len(table(results, "metadata_errors")) == 0


@pytest.mark.parametrize("packed", [True, False])
def test_a_class_folder_without_images_is_named_by_the_download(packed, tmp_path):
    source = with_images(tmp_path / "source", FULL | {"Normal": 0})
    if packed:
        shutil.make_archive(str(tmp_path / "source"), "zip", source)
        source = tmp_path / "source.zip"
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert "holds no images of Normal: expected Normal/images/Normal-<number>.png" in sentence
    assert left(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("images", "parts"), [(1, "1 train, 0 validation, 0 test"), (2, "2 train, 0 validation, 0")]
)
def test_a_class_of_one_or_two_images_is_audited_and_refused_by_the_split(images, parts, tmp_path):
    raw = with_images(tmp_path / "raw", FULL | {"Normal": images})
    results = small.audited(raw, tmp_path / "results", size=32)
    assert table(results, "classes")["images"].tolist() == [8, 8, images, 8, 24 + images]
    _, sentence = refusal(split.main, split_arguments(results, tmp_path / "split.parquet"))
    assert sentence.startswith(
        f"class Normal has {images} image{'s' * (images > 1)} without defects, which gives {parts}"
    )
    assert not (tmp_path / "split.parquet").exists()


def test_a_class_whose_images_are_all_defective_stops_the_split(tmp_path):
    raw = with_images(tmp_path / "raw", FULL)
    for path in (raw / "Normal/masks").glob("*.png"):
        path.unlink()
    results = small.audited(raw, tmp_path / "results", size=32)
    _, sentence = refusal(split.main, split_arguments(results, tmp_path / "split.parquet"))
    assert sentence.startswith("class Normal has no image without defects (Normal-1: no mask)")
    assert not (tmp_path / "split.parquet").exists()


@pytest.mark.parametrize("packed", [True, False])
def test_a_huge_file_is_refused_before_it_is_copied(packed, tmp_path):
    source = write_folder(tmp_path / "copy", contents())
    path = source / "Normal/images/Normal-1.png"
    os.truncate(path, (64 << 20) + 1)  # takes no disk space
    if packed:
        with zipfile.ZipFile(tmp_path / "copy.zip", "w", zipfile.ZIP_STORED) as file:
            for member in source.rglob("*.*"):
                file.write(member, member.relative_to(source))
        source = tmp_path / "copy.zip"
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert "Normal/images/Normal-1.png" in sentence
    assert "67,108,865 bytes" in sentence
    assert left(tmp_path / "results") == []


@pytest.mark.parametrize("time", [-(10**9), 0, 2**32 + 10])
def test_the_times_of_files_do_not_matter(time, tmp_path):
    source = write_folder(tmp_path / "copy", contents())
    cache = tmp_path / "digest.json"
    digest = local.content_digest(source, cache)
    for path in source.rglob("*"):
        os.utime(path, (time, time))
    assert local.content_digest(source, cache) == digest
    (source / "COVID/images/COVID-1.png").write_bytes(b"COVID images X")  # as many bytes
    os.utime(source / "COVID/images/COVID-1.png", (time - 1, time - 1))  # and older
    assert local.content_digest(source, cache) != digest


def test_names_that_are_not_valid_text_are_skipped_or_escaped(tmp_path):
    source = tmp_path / os.fsdecode(b"copy-\xff")
    write_folder(source, contents())
    for name in (b"COVID-\xff.png", b"COVID-3\n4.png"):
        (source / "COVID/images" / os.fsdecode(name)).write_bytes(b"x")
    cache = tmp_path / "digest.json"
    _, sentence = refusal(local.content_digest, source, cache)
    assert sentence is None
    _, sentence = refusal(download.main, download_arguments(source, tmp_path / "results"))
    assert sentence is None
    assert read_folder(tmp_path / "results/raw") == contents()
    listed = raw_table.read(tmp_path / "results/raw.tsv")
    assert {str(file.path) for file in listed} == set(contents())
    assert "copy-\\udcff/COVID" in (tmp_path / "results/raw.tsv").read_text()


@pytest.mark.parametrize("content", [b"\xff\xfe\0f", b"a\tb\n\0\n", b"file\tbytes\n", b""])
def test_a_damaged_table_of_files_is_named_by_the_packing(content, tmp_path):
    with_images(tmp_path / "raw", FULL)
    (tmp_path / "raw.tsv").write_bytes(content)
    _, sentence = refusal(pack.main, small.pack_arguments(tmp_path / "raw", tmp_path / "results"))
    assert "run the download again" in sentence
    assert left(tmp_path / "results") == []
