"""Images with 16 bits are scaled by the bits that their data set uses."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import pandas as pd
import pytest
import small_database as small
import small_images as make
from pulmoscan.data import depth, options, radiographs
from pulmoscan.data import pack as packing
from pulmoscan.data.options import Options


@pytest.mark.parametrize(
    ("highest", "bits"), [(0, 8), (255, 8), (256, 10), (4095, 12), (4096, 14), (65535, 16)]
)
def test_the_smallest_usual_number_of_bits(highest, bits):
    assert depth.bits_in_use(highest) == bits


def test_without_16_bit_images_there_are_16():
    assert depth.of_data_set([]) == depth.of_data_set([0, 0]) == 16


def with_depth(change) -> dict[str, bytes]:
    """All images of the small database, changed."""
    names = [f"{c}/images/{c}-{n}.png" for c in small.URLS for n in (2, 10)]
    return {
        name: small.encoded(change(small.radiograph(seed))) for seed, name in enumerate(names, 1)
    }


@pytest.mark.parametrize(
    ("factor", "bits"), [(1, 8), (4, 10), (16, 12), (64, 14), (256, 16)], ids=str
)
@pytest.mark.parametrize("colour", [False, True])
def test_the_upper_8_of_the_bits_in_use_are_packed(factor, bits, colour, tmp_path):
    def change(grey: np.ndarray) -> np.ndarray:
        deep = grey.astype(np.uint16) * factor
        return np.dstack([deep] * 3) if colour else deep

    plain = small.packed(small.write(tmp_path / "plain/raw"), tmp_path / "plain", size=40)
    raw = small.write(tmp_path / "deep/raw", with_depth(change))
    deep = small.packed(raw, tmp_path / "deep", size=40)
    images = (np.load(results / "packed/images.npy") for results in (plain, deep))
    assert np.array_equal(*images)
    decoded = pd.read_parquet(deep / "packed/decoded.parquet")
    assert set(decoded["bits"]) == {bits}
    assert (decoded["defects"] == "").all()
    assert (decoded["equal_channels"] == colour).all()


def test_one_image_of_more_bits_leaves_no_other_dark_without_a_word(tmp_path):
    files = with_depth(lambda grey: grey.astype(np.uint16) * 16)
    files["COVID/images/COVID-2.png"] = small.encoded(small.radiograph(1).astype(np.uint16) * 257)
    results = small.packed(small.write(tmp_path / "raw", files), tmp_path / "results", size=40)
    defects = pd.read_parquet(results / "packed/decoded.parquet")["defects"]
    assert defects[0] == ""
    assert set(defects[1:]) == {
        "image is nearly black: no grey level is above 15 of 255 (it uses 12 of 16 bits)"
    }


def test_files_of_8_bits_are_not_scaled(tmp_path):
    files = {"COVID/images/COVID-2.png": small.encoded(small.radiograph(1).astype(np.uint16))}
    results = small.packed(small.write(tmp_path / "raw", files), tmp_path / "results", size=40)
    decoded = pd.read_parquet(results / "packed/decoded.parquet")
    assert set(decoded["bits"]) == {8}
    assert cv2.resize(small.radiograph(2), (40, 40)).tolist() == (
        np.load(results / "packed/images.npy")[1].tolist()
    )


def read(pixels: np.ndarray, **options: object) -> radiographs.Radiograph:
    arrays = np.zeros((2, 40, 40), np.uint8)
    chosen = Options(masks="optional", **options)
    return radiographs.read(small.encoded(pixels), None, *arrays, 12, chosen)


def test_depth_full_takes_all_bits_of_the_file():
    deep = small.radiograph(1).astype(np.uint16) * 256
    pair = read(deep, depth="full")
    assert (pair.bits, pair.scale, pair.defects) == (16, "all bits: 0 to 65535", [])
    assert np.array_equal(pair.image, small.radiograph(1))


@pytest.mark.parametrize("colour", [False, True])
def test_depth_window_takes_percentiles_of_each_image(colour):
    grey = small.radiograph(1).astype(np.uint16) * 3 + 4000
    grey[0, :4] = 65535  # a label, as scanners burn into an image
    pair = read(np.dstack([grey] * 3) if colour else grey, depth="window", window=(1, 99))
    low, high = (int(np.percentile(grey, share, method="inverted_cdf")) for share in (1, 99))
    assert pair.scale == f"percentiles: {low} to {high}"
    expected = np.clip((grey.astype(float) - low) / (high - low) * 255, 0, 255)
    assert np.abs(pair.image - expected).max() <= 0.5
    assert (pair.defects, pair.equal_channels) == ([], colour)


def test_files_of_8_bits_have_no_window():
    pair = read(small.radiograph(1), depth="window")
    assert (pair.scale, pair.image.tolist()) == ("", small.radiograph(1).tolist())


def test_an_image_of_two_values_has_a_window():
    flat = np.full((40, 40), 700, np.uint16)
    assert read(flat, depth="window").defects == ["image has one grey level only"]
    flat[:20] = 900
    assert read(flat, depth="window").scale == "percentiles: 700 to 900"


def test_the_settings_of_the_configuration_are_options_and_those_without_effect_are_left_out():
    dataset = {"source": "local", "depth": "auto", "window": [5, 95], "shape": "pad"}
    dataset |= {"white_masks": "whole", "masks": "none"}
    assert options.of_data_set(dataset) == Options(shape="pad", white_masks="whole", masks="none")
    assert options.of_data_set(dataset | {"depth": "window"}).window == (5, 95)
    given = Options(depth="window", window=(5, 95))
    assert options.read(json.loads(json.dumps(asdict(given)))) == given


def test_deep_images_that_come_late_are_packed_with_the_bits_that_all_use(tmp_path, monkeypatch):
    files = with_depth(lambda grey: grey.astype(np.uint16) * 16)
    first = "COVID/images/COVID-2.png"
    files[first] = small.encoded(small.radiograph(1))
    raw = small.write(tmp_path / "raw", files)
    at_once = small.packed(raw, tmp_path / "at-once", size=40)
    monkeypatch.setattr(packing, "BLOCK", 1)
    late = small.packed(raw, tmp_path / "late", size=40)
    for name in ("images.npy", "masks.npy", "decoded.parquet"):
        assert (at_once / "packed" / name).read_bytes() == (late / "packed" / name).read_bytes()
    assert list(pd.read_parquet(late / "packed/decoded.parquet")["bits"]) == [8] + [12] * 7


def test_a_dicom_file_of_fewer_bits_than_the_data_set_uses_keeps_its_own():
    deep = small.radiograph(1).astype(np.uint16) * 16
    arrays = np.zeros((2, 40, 40), np.uint8)
    pair = radiographs.read(make.dicom(deep, 12), None, *arrays, 16, Options(masks="optional"))
    assert (pair.bits, pair.scale) == (12, "bits in use: 0 to 4095")
    assert np.array_equal(pair.image, small.radiograph(1))
