"""Which images are explained, and what is recorded of their maps."""

import numpy as np
from pulmoscan.explain import scores
from pulmoscan.explain.gradcam import Explanations
from small_sampling import LABELS, sampling_table


def test_test_images_are_drawn_from_every_class():
    table = sampling_table()
    three = scores.choose(table, {"per_class": 3, "seed": 0, "images": []})
    assert three["class"].value_counts().to_dict() == dict.fromkeys(LABELS, 3)
    assert set(three["split"]) == {"test"}
    assert three["row"].is_monotonic_increasing
    shuffled = scores.choose(table.sample(frac=1, random_state=1), {"per_class": 3, "seed": 0})
    assert shuffled["image"].tolist() == three["image"].tolist()
    five = scores.choose(table, {"per_class": 5, "seed": 0})
    assert set(three["image"]) < set(five["image"])
    other = scores.choose(table, {"per_class": 3, "seed": 1})
    assert set(three["image"]) != set(other["image"])


def test_named_images_come_in_any_spelling_but_not_from_training():
    named = ["NORMAL-11", "Viral_Pneumonia-25", "COVID-1", "COVID-4000"]
    chosen = scores.choose(sampling_table(), {"per_class": 0, "seed": 0, "images": named})
    assert chosen["image"].tolist() == ["Normal-11", "Viral Pneumonia-25"]


def test_images_of_ones_own_are_named_as_they_are_called():
    table = sampling_table().replace({"image": {"Normal-11": "site 1/NORMAL-11.png"}})
    named = ["site 1/NORMAL-11.png", "another"]
    settings = {"per_class": 0, "seed": 0, "images": named}
    assert scores.choose(table, settings)["image"].tolist() == named[:1]
    assert scores.left_out(table, settings).endswith("its sampling lacks another")


def test_energy_inside_is_the_share_of_the_maps_sum():
    maps = np.zeros((3, 4, 4), np.float32)
    maps[0, 0, 0], maps[0, 3, 3], maps[1] = 1.0, 0.25, 0.5
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[:, :2] = 1
    np.testing.assert_allclose(scores.energy_inside(maps, masks), [0.8, 0.5, np.nan])


def test_a_row_of_scores_says_what_its_map_shows():
    chosen = sampling_table().iloc[[20, 55]].reset_index(drop=True)  # COVID, Lung_Opacity
    cams = np.zeros((2, 4, 4), np.float32)
    cams[:, 0], masks = 1, np.zeros((2, 4, 4), np.uint8)
    masks[:, :, 0] = 1
    probabilities = np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.3, 0.4, 0.1]], np.float32)
    explained = Explanations(cams, probabilities, np.array([0, 1]))
    table = scores.table(chosen, LABELS, explained, cams, masks)
    assert table["target"].tolist() == ["COVID", "Lung_Opacity"]
    assert table["predicted"].tolist() == ["COVID", "Normal"]
    assert table["correct"].tolist() == [True, False]
    assert scores.labels_of(table) == LABELS
    np.testing.assert_array_equal(table[[f"p_{label}" for label in LABELS]], probabilities)
    assert table["energy_in_lungs"].tolist() == table["lung_area"].tolist() == [0.25, 0.25]
    unmasked = scores.table(chosen, LABELS, explained, cams, 0 * masks)
    assert unmasked[["energy_in_lungs", "lung_area"]].isna().all(axis=None)


def test_named_images_that_cannot_be_explained_are_told():
    named = ["NORMAL-11", "Viral_Pneumonia-25", "COVID-1", "COVID-4000"]
    settings = {"per_class": 0, "seed": 0, "images": named}
    assert scores.left_out(sampling_table(), settings) == (
        "not explained, of explain.images: it trains on COVID-1; its sampling lacks COVID-4000"
    )
    assert scores.left_out(sampling_table(), settings | {"images": named[:2]}) == ""
