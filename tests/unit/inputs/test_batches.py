"""Batches: what a training sees depends on its seed and epoch alone."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pulmoscan.backends import backend
from pulmoscan.inputs import augmentation

backend.configure(threads=2)

from pulmoscan.inputs import batches, pixels  # noqa: E402
from pulmoscan.storage.arrays import NpyFile, append, begin  # noqa: E402

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 16, 16), dtype=np.uint8)
MASKS = RANDOM.integers(0, 2, (20, 16, 16), dtype=np.uint8)
LUNGS = {"region": "lungs"}
ROWS = np.array([3, 1, 17, 8, 12, 5, 9])
LABELS = np.array([0, 1, 0, 1, 1, 0, 0])
ALL = {"translation": 0.1, "rotation": 10, "zoom": 0.15, "intensity": 0.1, "flip": True}


def source(size: int = 16) -> batches.Pixels:
    return batches.Pixels(IMAGES, MASKS, LUNGS, size)


def test_batches_hold_the_pixels_of_their_rows() -> None:
    found = batches.Batches(source(8), ROWS, LABELS, batch_size=3)
    assert len(found) == 3
    x = np.concatenate([found[index][0] for index in range(3)])
    labels = np.concatenate([found[index][1] for index in range(3)])
    assert x.shape == (7, 8, 8, 1)
    assert x.dtype == np.float32
    expected = [cv2.resize(IMAGES[row] * MASKS[row], (8, 8)) for row in ROWS]
    np.testing.assert_array_equal(x[..., 0], expected)
    np.testing.assert_array_equal(labels, LABELS)


def test_kept_pixels_are_the_same_and_bounded() -> None:
    kept = source().keep(ROWS)
    assert kept.kept.shape == (7, 16, 16)
    np.testing.assert_array_equal(kept.read(ROWS), source().read(ROWS))
    assert source().keep(ROWS, limit=7 * 256 - 1).kept is None


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def rows(seed: int, epoch: int) -> list[int]:
        found = batches.Batches(source(), ROWS, LABELS, 3, seed=seed, epoch=epoch)
        pairs = dict(zip(ROWS, LABELS, strict=True))
        assert [pairs[row] for row in found.rows] == list(found.labels)
        return list(found.rows)

    assert rows(0, 4) == rows(0, 4)
    assert sorted(rows(0, 4)) == sorted(ROWS)
    assert len({tuple(rows(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) > 4


def test_features_by_row() -> None:
    values = RANDOM.normal(size=(4, 3)).astype("float32")
    features = batches.Features(
        values, np.array([2, 5, 7, 11]), [{"layer": "pooled", "shape": [3]}]
    )
    np.testing.assert_array_equal(features.read(np.array([7, 2])), values[[2, 0]])
    found = batches.Batches(features, np.array([11, 2]), np.array([1, 0]), 2)
    np.testing.assert_array_equal(found[0][0], values[[3, 0]])
    with pytest.raises(ValueError, match=r"no features of 2 images \(row 1 first\)"):
        features.read(np.array([1, 2, 40]))


TENSORS = [{"layer": "a", "shape": [2, 2, 3]}, {"layer": "b", "shape": [5]}]

DESCRIBED = {"tensors": TENSORS, "bytes": 0, "dtype": "float32", "kept": True, "sha256": ""}


def write_features(folder: Path, values: np.ndarray, rows: list[int]) -> Path:
    path = folder / "lungs.npy"
    np.save(path, values)
    np.save(folder / "lungs.rows.npy", np.array(rows))
    (folder / "lungs.json").write_text(json.dumps(DESCRIBED | {"dtype": str(values.dtype)}))
    return path


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_of_a_file_have_the_shapes_of_their_tensors(tmp_path: Path, dtype: str) -> None:
    maps, series = RANDOM.normal(size=(4, 2, 2, 3)), RANDOM.normal(size=(4, 5))
    values = np.hstack([maps.reshape(4, -1), series]).astype(dtype)
    features = batches.Features.open(write_features(tmp_path, values, [2, 5, 7, 11]))
    found, labels = batches.Batches(features, np.array([11, 5, 2]), np.array([1, 0, 1]), 2)[0]
    np.testing.assert_array_equal(found[0], maps.astype(dtype)[[3, 1]])
    np.testing.assert_array_equal(found[1], series.astype(dtype)[[3, 1]])
    assert [array.dtype for array in found] == [np.float32, np.float32]
    np.testing.assert_array_equal(labels, [1, 0])


def test_features_that_do_not_belong_together(tmp_path: Path) -> None:
    path = write_features(tmp_path, np.zeros((4, 17), "float32"), [1, 2, 3, 4])
    batches.Features.open(path).check(TENSORS)
    other = [TENSORS[0], {"layer": "b", "shape": [4]}]
    with pytest.raises(ValueError, match=r"output of a \(2, 2, 3\), b \(5,\), but .* b \(4,\)"):
        batches.Features.open(path).check(other)
    path = write_features(tmp_path, np.zeros((4, 17), "float32"), [1, 2, 3])
    with pytest.raises(ValueError, match=r"shape \(4, 17\), but .* of shape \(3, 17\)"):
        batches.Features.open(path)


def resident() -> float:
    """The memory of this process in MiB, mapped files included."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory in use is read from /proc")
@pytest.mark.parametrize("kind", ["features", "pixels"])
def test_memory_is_bounded_by_the_batch(tmp_path: Path, kind: str) -> None:
    number = 1000  # 200 MB of features, 66 MB of images and of masks
    rows = RANDOM.permutation(number)
    if kind == "features":
        path = tmp_path / "lungs.npy"
        with path.open("wb") as file:
            begin(file, np.float32, (number, 50_000))
            for _ in range(number):
                append(file, np.ones(50_000, np.float32))
        np.save(tmp_path / "lungs.rows.npy", np.arange(number))
        described = DESCRIBED | {"tensors": [{"layer": "a", "shape": [50_000]}]}
        (tmp_path / "lungs.json").write_text(json.dumps(described))
        opened = batches.Features.open(path)
    else:
        for name in ("images", "masks"):
            with (tmp_path / name).open("wb") as file:
                begin(file, np.uint8, (number, 256, 256))
                for _ in range(number):
                    append(file, np.ones((256, 256), np.uint8))
        images, masks = (NpyFile(tmp_path / name, "x") for name in ("images", "masks"))
        opened = batches.Pixels(images, masks, LUNGS, 256)
    found = batches.Batches(opened, rows, np.zeros(number), 16)
    before = resident()
    for index in range(len(found)):
        found[index]
        assert resident() - before < 40


def test_histograms_are_batches_too() -> None:
    histogram = {"region": "lungs", "reduce": "histogram"}
    found = batches.Batches(batches.Pixels(IMAGES, MASKS, histogram, 16), ROWS, LABELS, 7)[0][0]
    assert (found.shape, found.dtype) == ((7, 256, 1), np.float32)
    np.testing.assert_array_equal(
        found[..., 0], pixels.apply(IMAGES[ROWS], MASKS[ROWS], histogram, 16)
    )


def test_augmented_batches_depend_on_seed_and_epoch() -> None:
    batch = batches.Batches(source(), ROWS, LABELS, 7, seed=7, epoch=2, augment=ALL)
    expected = augmentation.augment(source().read(batch.rows), ALL, 7, 2, batch.rows)
    np.testing.assert_array_equal(batch[0][0][..., 0], expected)
