"""What an image shows: regions, enhancement, size and histograms."""

import cv2
import numpy as np
import pytest
from pulmoscan.inputs import pixels


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    masks = (rng.random((3, 32, 32)) < 0.4).astype(np.uint8)
    return images, masks


def test_regions_are_the_published_bitwise_and(batch):
    images, masks = batch
    lungs = pixels.apply(images, masks, {"region": "lungs"})
    outside = pixels.apply(images, masks, {"region": "outside"})
    for image, mask, inner, outer in zip(images, masks, lungs, outside, strict=True):
        np.testing.assert_array_equal(inner, cv2.bitwise_and(image, mask * 255))
        np.testing.assert_array_equal(outer, cv2.bitwise_and(image, (1 - mask) * 255))
    np.testing.assert_array_equal(lungs + outside, images)
    np.testing.assert_array_equal(pixels.apply(images, masks, {"region": "full"}), images)


def test_steps_follow_the_mask_and_their_order(batch):
    images, masks = batch
    settings = {"region": "lungs", "enhance": ["equalize", "blur"]}
    expected = cv2.GaussianBlur(cv2.equalizeHist(images[1] * masks[1]), (5, 5), 0)
    np.testing.assert_array_equal(pixels.apply(images, masks, settings)[1], expected)
    settings = {"region": "lungs", "enhance": ["blur", "equalize"]}
    expected = cv2.equalizeHist(cv2.GaussianBlur(images[1] * masks[1], (5, 5), 0))
    np.testing.assert_array_equal(pixels.apply(images, masks, settings)[1], expected)


def test_the_packed_arrays_are_never_changed(batch, tmp_path):
    images, masks = batch
    np.save(tmp_path / "images.npy", images)
    packed = np.load(tmp_path / "images.npy", mmap_mode="r")
    for region in pixels.REGIONS:
        pixels.apply(packed, masks, {"region": region, "enhance": ["equalize", "blur"]}, 16)
    np.testing.assert_array_equal(packed, images)


def test_resizing_is_bilinear_and_last(batch):
    images, masks = batch
    settings = {"region": "outside", "enhance": ["blur"]}
    shown = pixels.apply(images, masks, settings, 20)
    assert shown.shape == (3, 20, 20)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[2], cv2.resize(pixels.apply(*batch, settings)[2], (20, 20)))
    assert pixels.apply(images, masks, settings, 32).shape == (3, 32, 32)


@pytest.mark.parametrize("settings", [{"region": "lungs"}, {"region": "full", "enhance": ["blur"]}])
def test_a_batch_is_its_images_one_by_one(batch, settings):
    images, masks = batch
    together = pixels.apply(images, masks, settings, 24)
    for index in range(3):
        one = slice(index, index + 1)
        np.testing.assert_array_equal(
            together[one], pixels.apply(images[one], masks[one], settings, 24)
        )


def test_histograms_leave_the_zeros_out_and_are_scaled(batch):
    images, masks = batch
    settings = {"region": "lungs", "reduce": "histogram"}
    histograms = pixels.apply(images, masks, settings, 256)
    assert histograms.shape == (3, 256)
    assert histograms.dtype == np.float32
    for image, mask, histogram in zip(images, masks, histograms, strict=True):
        values = image[mask == 1]
        counts, _ = np.histogram(values[values > 0], bins=np.arange(257))
        expected = (counts - counts.min()) / (counts.max() - counts.min())
        np.testing.assert_allclose(histogram, expected, rtol=1e-6)
    assert histograms[:, 0].max() == 0


def test_a_black_image_has_an_empty_histogram():
    black = np.zeros((1, 8, 8), np.uint8)
    settings = {"region": "lungs", "reduce": "histogram"}
    np.testing.assert_array_equal(pixels.apply(black, black, settings), np.zeros((1, 256)))


def test_an_empty_batch_stays_empty():
    none = np.zeros((0, 8, 8), np.uint8)
    assert pixels.apply(none, none, {"region": "lungs"}, 4).shape == (0, 4, 4)
    assert pixels.apply(none, none, {"region": "full", "reduce": "histogram"}).shape == (0, 256)


def test_rows_are_read_a_batch_at_a_time(batch, monkeypatch):
    images, masks = batch
    rows = np.array([2, 0, 1, 2, 0])
    settings = {"region": "lungs", "reduce": "histogram"}
    monkeypatch.setattr(pixels, "BATCH", 2)
    sizes = []
    apply = pixels.apply
    monkeypatch.setattr(pixels, "apply", lambda i, m, s: sizes.append(len(i)) or apply(i, m, s))
    found = pixels.apply_to_rows(images, masks, rows, settings)
    np.testing.assert_array_equal(found, apply(images[rows], masks[rows], settings))
    assert sizes == [2, 2, 1]
    assert pixels.apply_to_rows(images, masks, rows[:0], settings).shape == (0, 256)


def test_masks_of_another_shape_are_refused(batch):
    images, masks = batch
    with pytest.raises(ValueError, match="masks of shape"):
        pixels.apply(images, masks[:2], {"region": "lungs"})
