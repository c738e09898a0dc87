"""Duplicates are those that all correlations would find among images with similar hashes."""

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data import duplicates
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def smooth(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC)


def taken_again(image: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    return np.clip(image * 0.9 + 8 + noise, 0, 255).astype(np.uint8)


def images(pixels: list[np.ndarray]) -> duplicates.Images:
    names = [image.tobytes().hex() for image in pixels]
    table = pd.DataFrame({"width": 256, "height": 256, "pixel_sha256": names})
    return duplicates.described(table, pixels.__getitem__, map)


def found(pixels: list[np.ndarray]) -> pd.DataFrame:
    return duplicates.find(images(pixels))


def test_every_pair_and_its_numbers_against_all_correlations():
    # A ladder of blends, so that correlations fall on both sides of the threshold.
    images = [smooth(seed) for seed in range(40)]
    for seed, share in enumerate(np.linspace(0.02, 0.35, 40)):
        images.append(cv2.addWeighted(images[seed], 1 - share, smooth(1000 + seed), share, 0))
    pairs = found(images)
    table = np.corrcoef([duplicates.reduced(image).ravel() for image in images])
    bits = np.array(
        [
            [int(b) for b in format(int(duplicates.perceptual_hash(image)), "064b")]
            for image in images
        ]
    )
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    expected = {
        (a, b)
        for a in range(80)
        for b in range(a + 1, 80)
        if table[a, b] >= 0.98 and distance[a, b] <= 8
    }
    assert 10 < len(expected) < 40
    pairs = pairs[pairs["change"] == ""]
    assert set(zip(pairs["a"], pairs["b"], strict=True)) == expected
    assert pairs["correlation"].to_numpy() == pytest.approx(table[pairs["a"], pairs["b"]], abs=1e-9)
    assert (pairs["distance"] == distance[pairs["a"], pairs["b"]]).all()
    assert (pairs["kind"] == "near").all()


def test_equal_pixels_are_exact_and_only_the_first_is_compared_further():
    image = smooth(0)
    near = taken_again(image, 1)
    pairs = found([image, smooth(5), image, near, image])
    assert pairs[["kind", "a", "b"]].to_numpy().tolist() == [
        ["exact", 0, 2],
        ["near", 0, 3],
        ["exact", 0, 4],
    ]
    assert duplicates.groups(pairs, 5).tolist() == [0, -1, 0, 0, 0]


def test_near_pairs_are_found_across_blocks():
    images = [smooth(seed) for seed in range(300)]
    images.append(taken_again(images[3], 1))
    images.append(taken_again(images[299], 2))
    assert found(images)[["a", "b"]].to_numpy().tolist() == [[3, 300], [299, 301]]


def test_groups_join_what_is_linked_and_are_named_after_the_first_position():
    pairs = pd.DataFrame({"a": [4, 2, 6], "b": [5, 4, 8]})
    assert duplicates.groups(pairs, 10).tolist() == [-1, -1, 2, -1, 2, 2, 6, -1, 6, -1]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_the_connected_components(seed):
    random = np.random.default_rng(seed)
    count = 30 * (seed + 1)
    a, b = np.sort(random.choice(count, (count // 2, 2)), axis=1).T
    pairs = pd.DataFrame({"a": a, "b": b})[a < b]
    links = coo_array((np.ones(len(pairs)), (pairs["a"], pairs["b"])), (count, count))
    component = connected_components(links, directed=False)[1]
    _, first, sizes = np.unique(component, return_index=True, return_counts=True)
    expected = np.where(sizes[component] > 1, first[component], -1)
    assert duplicates.groups(pairs, count).tolist() == expected.tolist()


def test_a_long_chain_is_one_group():
    random = np.random.default_rng(0)
    order = random.permutation(2000)
    a, b = np.sort([order[:-1], order[1:]], axis=0)
    assert (duplicates.groups(pd.DataFrame({"a": a, "b": b}), 2000) == 0).all()


def test_no_pairs_no_groups():
    pairs = found([smooth(0), smooth(1)])
    assert len(pairs) == 0
    assert duplicates.groups(pairs, 2).tolist() == [-1, -1]


def test_an_image_of_one_level_has_no_near_duplicates():
    assert len(found([np.full((256, 256), 7, np.uint8), np.full((256, 256), 9, np.uint8)])) == 0


@pytest.mark.parametrize("seed", range(5))
def test_hash_is_the_signs_of_a_plain_cosine_transform(seed):
    """Against the sums of the definition (type II, orthonormal), written out."""
    image = cv2.resize(smooth(seed), (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    place = np.arange(32)
    basis = np.cos(np.pi * (2 * place[None] + 1) * np.arange(8)[:, None] / 64) * 0.25
    basis[0] /= np.sqrt(2)
    low = (basis @ image @ basis.T).ravel()
    expected = int("".join("01"[int(bit)] for bit in low > np.median(low)), 2)
    assert int(duplicates.perceptual_hash(smooth(seed))) == expected


def test_real_images_hold_two_pairs_and_no_other_above_the_threshold(real_data):
    """All 319,600 correlations: the hash loses no pair here."""
    files = sorted(real_data.glob("*/images/*.png"))
    images = [cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (256, 256)) for file in files]
    pairs = found(images)
    names = [file.stem for file in files]
    assert {
        (kind, frozenset((names[a], names[b])))
        for kind, a, b in pairs[["kind", "a", "b"]].itertuples(index=False)
    } == {
        ("exact", frozenset(("COVID-2419", "COVID-2420"))),
        ("near", frozenset(("COVID-1544", "COVID-658"))),
    }
    table = np.corrcoef([duplicates.reduced(image).ravel() for image in images])
    highest = np.sort(table[np.triu_indices(800, 1)])[-3:]
    assert (highest >= duplicates.LEAST_CORRELATION).tolist() == [False, True, True]
    assert highest == pytest.approx([0.958, 0.997, 1], abs=5e-4)
