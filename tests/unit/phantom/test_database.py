"""The synthetic database: its layout, its planted defects and nothing else, its classes."""

import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pandas as pd
import pytest
from pulmoscan.data import collections, duplicates
from pulmoscan.data.layout import CLASSES, canonical_class, canonical_image, canonical_path
from pulmoscan.phantom import database, workbook
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COUNT = 24
SEED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    database.write_database(folder, COUNT, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def images(folder):
    """Every image as grey levels, in the order of classes and numbers."""
    paths = [image_path(folder, f"{c}-{n}") for c in CLASSES for n in range(1, COUNT + 1)]
    return {path.stem: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths}


@pytest.fixture(scope="module")
def masks(folder):
    return {
        path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in sorted(folder.glob("*/masks/*.png"))
    }


@pytest.fixture(scope="module")
def rows(folder):
    """The metadata of each class as lists of rows, header included."""
    return {
        name: list(openpyxl.load_workbook(folder / f"{name}.metadata.xlsx").active.values)
        for name in CLASSES
    }


def image_path(folder, name):
    return folder / name.rpartition("-")[0] / "images" / f"{name}.png"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def correlations(images):
    """The correlation of every pair of images at 256 pixels, and their names."""
    pixels = np.stack([cv2.resize(image, (256, 256)).ravel() for image in images.values()])
    return np.corrcoef(pixels.astype(np.float32)), list(images)


def test_layout_is_that_of_the_database(folder):
    files = set(tree(folder))
    assert files == {str(canonical_path(file)) for file in files}
    assert len(files) == len(CLASSES) * (2 * COUNT + 1)


def test_images_and_masks_have_the_format_of_the_database(images, masks):
    assert {(image.shape, str(image.dtype)) for image in images.values()} == {((299, 299), "uint8")}
    assert {mask.shape for mask in masks.values()} == {(256, 256, 3)}
    assert set(images) == set(masks)
    for mask in masks.values():
        assert set(np.unique(mask)) == {0, 255}
        assert (mask == mask[..., :1]).all()


def test_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        database.write_database(tmp_path / name, 12, size=64, seed=3)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_metadata_hold_no_time_of_writing(folder):
    with zipfile.ZipFile(folder / "COVID.metadata.xlsx") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2020, 1, 1, 0, 0, 0)}
    properties = openpyxl.load_workbook(folder / "COVID.metadata.xlsx").properties
    assert properties.modified.year == properties.created.year == 2020


def test_an_image_does_not_depend_on_how_many_are_asked_for(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    database.write_database(few, 12, size=64)
    database.write_database(many, dict(zip(CLASSES, (30, 12, 14, 42), strict=True)), size=64)
    few_files, many_files = tree(few), tree(many)
    pngs = [file for file in few_files if file.endswith(".png")]
    assert len(pngs) == 4 * 12 * 2
    assert all(few_files[file] == many_files[file] for file in pngs)


def test_another_seed_gives_other_images():
    one, two = (database.draw_radiograph("Normal", 1, 64, seed).image for seed in (0, 1))
    assert (one != two).any()


def test_rgb_images_are_the_planted_ones(folder, images):
    modes = {
        name: cv2.imread(str(image_path(folder, name)), cv2.IMREAD_UNCHANGED) for name in images
    }
    rgb = {name for name, pixels in modes.items() if pixels.ndim == 3}
    assert rgb == set(database.planted(COUNT, SEED).rgb)
    assert rgb
    assert all(name.startswith("Viral Pneumonia-") for name in rgb)
    assert all((modes[name] == modes[name][..., :1]).all() for name in rgb)


def test_exact_duplicates_have_equal_pixels_in_other_files(folder, images):
    pairs = database.planted(COUNT, SEED).exact
    by_pixels = {}
    for name, image in images.items():
        by_pixels.setdefault(image.tobytes(), []).append(name)
    equal = {tuple(names) for names in by_pixels.values() if len(names) > 1}
    assert equal == set(pairs)
    for a, b in pairs:
        assert image_path(folder, a).read_bytes() != image_path(folder, b).read_bytes()


def test_only_planted_pairs_look_alike(images):
    known = database.planted(COUNT, SEED)
    correlation, names = correlations(images)
    place = {name: index for index, name in enumerate(names)}
    near = [correlation[place[a], place[b]] for a, b in known.near]
    assert all(0.99 <= value < 0.99999 for value in near)
    np.fill_diagonal(correlation, 0)
    for a, b in known.exact + known.near:
        correlation[place[a], place[b]] = correlation[place[b], place[a]] = 0
    assert correlation.max() < 0.965


def test_the_search_for_duplicates_finds_what_was_planted(images):
    known = database.planted(COUNT, SEED)
    packed = [cv2.resize(image, (256, 256)) for image in images.values()]
    contents = [image.tobytes().hex() for image in images.values()]
    stored = pd.DataFrame({"width": 299, "height": 299, "pixel_sha256": contents})
    found = duplicates.find(duplicates.described(stored, packed.__getitem__, map))
    names = list(images)
    pairs = {(names[a], names[b]) for a, b in zip(found["a"], found["b"], strict=True)}
    assert pairs == set(known.exact) | set(known.near)


@pytest.mark.parametrize("seed", range(20))
def test_the_smallest_database_has_every_defect_once(seed):
    known = database.planted(database.SMALLEST_CLASS, seed)
    assert len(known.rgb) == 1
    for pairs in (known.exact, known.near):
        assert sorted(a.rpartition("-")[0] for a, _ in pairs) == sorted(CLASSES)
    copies = [name for pair in known.exact + known.near for name in pair]
    assert len(copies) == len(set(copies))
    assert all(known.sources[a] == known.sources[b] for a, b in known.exact + known.near)


def test_metadata_errors_are_the_planted_ones(images, rows):
    known = database.planted(COUNT, SEED)
    named = [row[0] for table in rows.values() for row in table[1:]]
    assert len(named) == len(set(named))
    named = {canonical_image(name) for name in named}
    assert named - set(images) == set(known.rows_without_image)
    assert set(images) - named == set(known.images_without_row)
    assert known.rows_without_image
    assert known.images_without_row


def test_metadata_are_spelt_as_in_the_database(rows):
    for name, table in rows.items():
        assert table[0] == ("FILE NAME", "FORMAT", "SIZE", "URL")
        assert {row[1:3] for row in table[1:]} == {("PNG", "256*256")}
        spelling = "NORMAL" if name == "Normal" else name
        assert {row[0].rpartition("-")[0] for row in table[1:]} == {spelling}
        assert canonical_class(spelling) == name


def test_urls_name_the_planted_source_in_several_spellings(rows):
    known = database.planted(COUNT, SEED)
    spellings = {}
    for table in rows.values():
        for image, *_, url in table[1:]:
            spellings.setdefault(collections.from_url(url), set()).add(url)
            if canonical_image(image) in known.sources:
                assert collections.from_url(url) == known.sources[canonical_image(image)]
    assert any(len(urls) > 1 for urls in spellings.values())
    assert set(workbook.SOURCE_URLS) == set(collections.SOURCES)


def test_sources_have_the_shares_of_the_database():
    count = 400
    known = database.planted(count)
    drawn = Counter((name.rpartition("-")[0], source) for name, source in known.sources.items())
    for class_name, real in workbook.SOURCE_COUNTS.items():
        for source, images in real.items():
            share = images / sum(real.values())
            assert drawn[class_name, source] / count == pytest.approx(share, abs=0.02)


def test_lungs_are_dark_fields_of_the_usual_area(images, masks):
    lungs = {name: mask[..., 0] > 0 for name, mask in masks.items()}
    assert 0.20 < np.mean([field.mean() for field in lungs.values()]) < 0.27
    assert all(0.08 < field.mean() < 0.45 for field in lungs.values())
    for name, image in images.items():
        field = lungs[name]
        body = cv2.resize(image, (256, 256))
        near = cv2.dilate(field.view(np.uint8), np.ones((25, 25), np.uint8)).astype(bool) & ~field
        assert body[field].mean() < body[near].mean()
    # The heart takes more of the left lung, which is on the right of the image.
    halves = np.mean([(f[:, :128].mean(), f[:, 128:].mean()) for f in lungs.values()], axis=0)
    assert halves[0] > halves[1]


def test_grey_levels_are_near_those_of_real_films(real_data, images, masks):
    for class_name in CLASSES:
        real, drawn = [], []
        folder = next(p for p in real_data.iterdir() if p.name.replace("_", " ")
                      == class_name.replace("_", " "))  # fmt: skip
        for path in sorted((folder / "images").glob("*.png"))[:60]:
            mask = cv2.imread(str(folder / "masks" / path.name), cv2.IMREAD_GRAYSCALE)
            real.append(grey_levels(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), mask))
        for name, image in images.items():
            if name.startswith(f"{class_name}-"):
                drawn.append(grey_levels(image, masks[name][..., 0]))
        difference = np.mean(drawn, axis=0) - np.mean(real, axis=0)
        assert (np.abs(difference) < 25).all(), (class_name, difference)


def grey_levels(image, mask):
    """Mean and spread of the whole image, mean in the lungs."""
    image = cv2.resize(image, (256, 256))
    return image.mean(), image.std(), image[mask > 0].mean()


def test_classes_can_be_learnt_but_not_perfectly():
    features, labels = [], []
    for class_name in CLASSES:
        for number in range(1, 61):
            drawn = database.draw_radiograph(class_name, number, size=128)
            mask = cv2.resize(drawn.mask, (128, 128), interpolation=cv2.INTER_NEAREST)
            lungs = cv2.bitwise_and(drawn.image, mask)
            features.append(cv2.resize(lungs, (16, 16), interpolation=cv2.INTER_AREA).ravel())
            labels.append(class_name)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    accuracy = cross_val_score(model, np.array(features, float), labels, cv=5).mean()
    assert 0.35 < accuracy < 0.9
