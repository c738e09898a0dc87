"""The packed arrays hold the study's pixels, or zeros and the reason why not."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pack
import pandas as pd
import pytest
import small_database as small
from pulmoscan.data import images, png, radiographs
from pulmoscan.data import pack as packing

IMAGE = "COVID/images/COVID-2.png"
MASK = "COVID/masks/COVID-2.png"


def opened(results: Path) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    folder = results / "packed"
    images, masks = (
        np.load(folder / name, mmap_mode="r", allow_pickle=False)
        for name in ("images.npy", "masks.npy")
    )
    return images, masks, pd.read_parquet(folder / "decoded.parquet")


def read(image: bytes, mask: bytes | None = None, size: int = 64) -> radiographs.Radiograph:
    filled = np.full((2, size, size), 77, np.uint8)  # what was there before does not show
    return radiographs.read(image, small.encoded(small.mask()) if mask is None else mask, *filled)


def test_real_pixels_are_those_of_imread_and_resize(real_data, tmp_path):
    raw = small.canonical_copy(real_data, tmp_path / "raw")
    images, masks, decoded = opened(small.packed(raw, tmp_path / "results"))
    assert images.shape == masks.shape == (800, 256, 256)
    assert images.dtype == masks.dtype == np.uint8
    for row, (name, class_name) in enumerate(zip(decoded["image"], decoded["class"], strict=True)):
        grey = cv2.imread(str(raw / class_name / "images" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        mask = cv2.imread(str(raw / class_name / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        shown = cv2.resize(grey, (256, 256))
        assert np.array_equal(images[row], shown)
        assert np.array_equal(cv2.bitwise_and(shown, mask), images[row] * masks[row])
        assert decoded["pixel_sha256"][row] == hashlib.sha256(grey.tobytes()).hexdigest()
        assert decoded["mean"][row] == pytest.approx(grey.mean(), abs=1e-9)
        assert decoded["sd"][row] == pytest.approx(grey.std(), abs=1e-9)
    colour = decoded[decoded["mode"] == "RGB"]
    assert len(colour) == 28
    assert set(colour["class"]) == {"Viral Pneumonia"}
    assert colour["equal_channels"].all()
    assert (decoded["defects"] == "").all()
    assert decoded["mask_binary"].all()
    assert (decoded[["width", "height"]] == 299).all(axis=None)
    assert (decoded[["mask_width", "mask_height"]] == 256).all(axis=None)


def test_rows_are_sorted_by_class_then_number(tmp_path):
    raw = small.write(tmp_path / "raw")
    images, masks, decoded = opened(small.packed(raw, tmp_path / "results", size=32))
    assert decoded["image"].tolist() == [
        f"{name}-{number}"
        for name in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
        for number in (2, 10)
    ]
    assert images.shape == masks.shape == (8, 32, 32)
    assert np.array_equal(images[1], cv2.resize(small.radiograph(2), (32, 32)))
    file = (raw / IMAGE).read_bytes()
    assert decoded["sha256"][0] == hashlib.sha256(file).hexdigest()


def test_threads_do_not_change_a_byte(tmp_path):
    raw = small.write(tmp_path / "raw")
    one, many = (small.packed(raw, tmp_path / str(n), threads=n) for n in (1, 4))
    for name in ("images.npy", "masks.npy", "decoded.parquet"):
        assert (one / "packed" / name).read_bytes() == (many / "packed" / name).read_bytes()


@pytest.mark.parametrize(("block", "written"), [(3, 1000), (2, 10**9), (100, 64 * 64)])
def test_blocks_and_short_writes_change_nothing(block, written, tmp_path, monkeypatch):
    raw = small.write(tmp_path / "raw")
    whole = small.packed(raw, tmp_path / "whole", size=64)
    write = os.pwrite
    monkeypatch.setattr(packing, "BLOCK", block)
    monkeypatch.setattr(packing, "SYNCED", 1)
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:written], at))
    blocks = small.packed(raw, tmp_path / "blocks", size=64)
    for name in ("images.npy", "masks.npy", "decoded.parquet"):
        assert (whole / "packed" / name).read_bytes() == (blocks / "packed" / name).read_bytes()


def palette_image() -> bytes:
    colours = np.random.default_rng(0).integers(0, 256, 48, dtype=np.uint8).tobytes()
    rows = b"".join(b"\0" + bytes((x + y) % 16 for x in range(20)) for y in range(20))
    return small.png(20, 20, 8, 3, rows, colours)


def grey_with_alpha() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 40), dtype=np.uint8)
    return small.png(20, 20, 8, 4, b"".join(b"\0" + row.tobytes() for row in pixels))


RANDOM = np.random.default_rng(2)
OTHER_MODES = {
    "RGB": small.encoded(RANDOM.integers(0, 256, (20, 20, 3), dtype=np.uint8)),
    "RGBA": small.encoded(RANDOM.integers(0, 256, (20, 20, 4), dtype=np.uint8)),
    "L16": small.encoded(RANDOM.integers(0, 65536, (20, 20), dtype=np.uint16)),
    "RGB16": small.encoded(RANDOM.integers(0, 65536, (20, 20, 3), dtype=np.uint16)),
    "P": palette_image(),
    "LA": grey_with_alpha(),
}


@pytest.mark.parametrize("mode", OTHER_MODES)
def test_other_modes_become_what_imread_makes_of_them(mode, tmp_path):
    (tmp_path / "image.png").write_bytes(OTHER_MODES[mode])
    grey = cv2.imread(str(tmp_path / "image.png"), cv2.IMREAD_GRAYSCALE)
    pair = read(OTHER_MODES[mode], size=20)
    assert (pair.mode, pair.width, pair.height) == (mode, 20, 20)
    assert np.array_equal(pair.image, grey)
    assert not pair.equal_channels
    assert pair.defects == []


def test_three_equal_channels_are_the_grey_image_at_every_level():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colour = small.encoded(np.dstack([levels] * 3))
    pair = read(colour, size=16)
    assert pair.equal_channels
    assert np.array_equal(pair.image, levels)
    assert np.array_equal(cv2.imdecode(np.frombuffer(colour, np.uint8), 0), levels)
    assert pair.pixel_sha256 == read(small.encoded(levels), size=16).pixel_sha256


def test_one_channel_that_differs_in_one_pixel_is_seen():
    colour = np.dstack([small.radiograph(0)] * 3)
    colour[7, 9, 2] ^= 1
    assert not read(small.encoded(colour)).equal_channels


def test_mask_of_the_image_size_is_resized_to_its_nearest_pixels():
    mask = small.mask(small.SIDE)
    pair = read(small.encoded(small.radiograph(0)), small.encoded(mask), size=80)
    assert np.array_equal(pair.mask, np.kron(mask // 255, np.ones((2, 2), np.uint8)))
    assert pair.defects == []


def test_a_mask_with_soft_edges_counts_above_127_and_is_recorded_but_not_a_defect():
    mask = cv2.GaussianBlur(small.mask(), (15, 15), 0)
    pair = read(small.encoded(small.radiograph(0)), small.encoded(mask), size=256)
    assert np.array_equal(pair.mask, (mask > 127).astype(np.uint8))
    assert not pair.mask_binary
    assert pair.mask_form == "grey levels: above 127 is lung"
    assert pair.defects == []


GOOD = small.encoded(small.radiograph(1))
SHORT = small.png(40, 40, 8, 0, b"\0" * 41 * 20)  # whole chunks, but half of the rows
NOT_AN_IMAGE = "unreadable image: not a PNG, JPEG, TIFF or DICOM file"
DEFECTS = {
    "empty": (IMAGE, b"", "unreadable image: the file is empty"),
    "web page": (
        IMAGE,
        b"<html>not found</html>",
        f"{NOT_AN_IMAGE} but a web page",
    ),
    "GIF": (IMAGE, b"GIF89a" + bytes(50), f"{NOT_AN_IMAGE} but GIF"),
    "text": (IMAGE, b"radiograph", NOT_AN_IMAGE),
    "cut off": (IMAGE, GOOD[: len(GOOD) // 2], "unreadable image: the file is cut off"),
    "no end": (IMAGE, GOOD[:-12], "unreadable image: the file is cut off"),
    "half the rows": (IMAGE, SHORT, "unreadable image: its pixels cannot be decoded"),
    "bomb": (
        IMAGE,
        small.png(100_000, 100_000, 8, 0, b"\0"),
        "unreadable image: 100000x100000 pixels are more than 67,108,864",
    ),
    "no pixels": (IMAGE, small.png(0, 40, 8, 0, b""), "unreadable image: the PNG header"),
    "constant": (IMAGE, small.encoded(np.full((40, 40), 9, np.uint8)), "image has one grey level"),
    "mask cut off": (MASK, small.encoded(small.mask())[:-20], "unreadable mask: the file is cut"),
    "no mask": (MASK, None, "no mask"),
    "mask size": (MASK, small.encoded(small.mask(100)[:60]), "mask is 100x60, the image 40x40"),
    "black": (MASK, small.encoded(np.zeros((256, 256), np.uint8)), "mask is all black"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_named_and_leaves_the_other_images_alone(name, tmp_path, capfd):
    path, content, reason = DEFECTS[name]
    raw = small.write(tmp_path / "raw", {path: content})
    images, masks, decoded = opened(small.packed(raw, tmp_path / "results"))
    assert decoded["image"][decoded["defects"] != ""].tolist() == ["COVID-2"]
    assert decoded["defects"][0].startswith(reason)
    assert images[1:].any(axis=(1, 2)).all()
    assert masks[1:].any(axis=(1, 2)).all()
    if reason.startswith("unreadable image"):
        assert not images[0].any()
        assert decoded.loc[0, ["width", "mode", "pixel_sha256"]].tolist() == [0, "", ""]
        assert np.isnan(decoded["mean"][0])
    if path == MASK:
        assert not masks[0].any()


def test_two_defects_of_one_image_are_both_named(tmp_path):
    raw = small.write(tmp_path / "raw", {IMAGE: GOOD[:-1], MASK: None})
    decoded = opened(small.packed(raw, tmp_path / "results"))[2]
    assert decoded["defects"][0] == "unreadable image: the file is cut off; no mask"


@pytest.mark.parametrize("levels", [(0, 255), (0, 1, 255), (0, 254, 255), (0, 254), (0,), (255,)])
def test_a_binary_mask_holds_0_and_255_only(levels):
    mask = np.resize(np.array(levels, np.uint8), (256, 256))
    pair = read(small.encoded(small.radiograph(0)), small.encoded(mask))
    assert pair.mask_binary == ({*levels} <= {0, 255})


def test_wide_image_needs_a_mask_of_its_own_size():
    wide = small.radiograph(0)[:30]
    assert read(small.encoded(wide)).defects[0].startswith("mask is 256x256, the image 40x30")
    assert read(small.encoded(wide), small.encoded(small.mask(40)[5:35])).defects == []


@pytest.mark.parametrize("colour", [False, True])
def test_a_damaged_file_is_a_defect_or_the_same_pixels(colour):
    pixels = small.radiograph(3)
    file = small.encoded(np.dstack([pixels] * 3) if colour else pixels)
    random = np.random.default_rng(int(colour))
    found = 0
    for _ in range(250):
        damaged = bytearray(file)
        for place in random.integers(0, len(file), random.integers(1, 4)):
            damaged[place] = random.integers(0, 256)
        if random.random() < 0.2:
            start, end = sorted(random.integers(0, len(file), 2))
            del damaged[start:end]
        pair = read(bytes(damaged), size=small.SIDE)
        found += bool(pair.defects)
        if not pair.defects:
            assert np.array_equal(pair.image, pixels)
    assert found > 200


def test_a_file_cut_anywhere_is_a_defect():
    for length in range(len(GOOD)):
        with pytest.raises(ValueError, match=r"cut off|not a PNG|empty"):
            png.checked(GOOD[:length])


@pytest.mark.parametrize("kind", [b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"bKGD", b"pHYs", b"sBIT"])
def test_odd_chunks_beside_the_pixels_change_nothing_and_are_quiet(kind, capfd):
    odd = GOOD[:33] + small.chunk(kind, b"odd\0\0" + b"\xff" * 40) + GOOD[33:]
    assert png.checked(odd)[1] == GOOD
    assert png.checked(GOOD)[1] is GOOD
    pair = read(odd, odd)
    assert pair.pixel_sha256 == read(GOOD).pixel_sha256
    assert capfd.readouterr().err == ""


def test_an_image_in_the_folder_of_another_class_is_a_defect(tmp_path):
    raw = small.write(tmp_path / "raw")
    for part in ("images", "masks"):
        (raw / "Normal" / part / "Normal-2.png").rename(raw / "COVID" / part / "Normal-2.png")
    decoded = opened(small.packed(raw, tmp_path / "results"))[2]
    assert decoded.loc[
        decoded["defects"] != "", ["image", "class", "defects"]
    ].to_numpy().tolist() == [["Normal-2", "COVID", "named Normal, lies in COVID"]]


def test_bytes_after_the_end_do_not_matter():
    assert read(GOOD + b"appended").pixel_sha256 == read(GOOD).pixel_sha256


def left_over(results: Path) -> list[Path]:
    return [path for path in results.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [GOOD, None])
def test_a_file_changed_after_the_download_stops_and_leaves_nothing(content, tmp_path):
    raw = small.write(tmp_path / "raw")
    small.list_files(raw, raw.with_suffix(".tsv"))
    if content is None:
        (raw / IMAGE).unlink()
    else:
        (raw / IMAGE).write_bytes(content + b" ")
    with pytest.raises(
        (ValueError, OSError), match=r"COVID-2\.png.*remove .*raw\.tsv and run the download again"
    ):
        pack.main(small.pack_arguments(raw, tmp_path / "results"))
    assert left_over(tmp_path / "results") == []


def test_a_disk_that_fails_later_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    raw = small.write(tmp_path / "raw")
    monkeypatch.setattr(packing, "SYNCED", 1)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^cannot write to .*packed: Input/output error$"):
        small.packed(raw, tmp_path / "results")
    assert left_over(tmp_path / "results") == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, repository):
    raw = small.write(tmp_path / "raw")
    small.list_files(raw, raw.with_suffix(".tsv"))
    arguments = small.pack_arguments(raw, tmp_path / "results")
    finished = subprocess.run(
        [sys.executable, repository / "scripts/pack.py", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("pack: cannot write to ")
    assert finished.stderr.count("\n") == 1
    assert left_over(tmp_path / "results") == []


@pytest.mark.parametrize(("large", "at_once"), [(100, 1), (10**6, 4)])
def test_large_images_are_decoded_one_at_a_time(large, at_once, monkeypatch):
    everyone = threading.Barrier(at_once)
    decoding, most = [], []
    decode = images._decoded

    def watched(*arguments):
        decoding.append(1)
        most.append(len(decoding))
        everyone.wait(timeout=5)  # all that may decode at once are here
        decoding.pop()
        return decode(*arguments)

    monkeypatch.setattr(images, "LARGE", large)
    monkeypatch.setattr(images, "_decoded", watched)
    with ThreadPoolExecutor(4) as pool:
        pairs = list(pool.map(lambda _: read(GOOD), range(4)))
    assert all(pair.defects == [] for pair in pairs)
    assert max(most) == at_once
