"""Predictions for files, with a network whose scores are known by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import small_description
from pulmoscan.data import radiographs
from pulmoscan.prediction import predict
from pulmoscan.prediction.description import Description, Trained
from pulmoscan.prediction.files import Pair

SIZE = {"width": [64, 64], "height": [64, 64]}
TRAINED = Trained(images=3, **SIZE, formats=["PNG"], modes=["L"], black=[0.0, 0.5])


def described(**changed: object) -> Description:
    labels = {"labels": ["bright", "dark"]}
    return small_description.described(TRAINED, **labels | changed)


def scores(shown: np.ndarray) -> np.ndarray:
    """Bright where the mean grey level is above 100."""
    mean = shown.mean(axis=(1, 2)) - 100
    return np.stack([mean, -mean], axis=1) / 10


def write(path: Path, level: int, side: int = 64, mode: int = 1) -> Path:
    image = np.full((side, side), level, np.uint8)
    image[: side // 4] += np.linspace(0, 40, side).astype(np.uint8)
    cv2.imwrite(str(path), image if mode == 1 else np.repeat(image[..., None], mode, axis=2))
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{level}.png", level) for level in (40, 200, 95, 105, 150)]


def test_one_row_per_image_in_order(images: list[Path]) -> None:
    table = predict.predict([Pair(path, None) for path in images], described(), scores)
    assert list(table) == ["image", "predicted", "p_bright", "p_dark", "defect", "warnings"]
    assert list(table["image"]) == [str(path) for path in images]
    assert list(table["predicted"]) == ["dark", "bright", "bright", "bright", "bright"]
    # 40, and 20 more on average in a quarter: a mean of 45, scores of -5.5 and 5.5.
    assert table["p_bright"][0] == pytest.approx(1 / (1 + np.exp(11)), rel=0.02)
    assert (table["p_bright"] + table["p_dark"]).to_numpy() == pytest.approx(1)
    assert not table["defect"].any()
    assert not table["warnings"].any()


def test_every_batch_is_full_so_that_numbers_do_not_depend_on_how_many_images_there_are(
    images: list[Path],
) -> None:
    sizes = []

    def counted(shown: np.ndarray) -> np.ndarray:
        sizes.append(shown.shape)
        return scores(shown)

    predict.predict([Pair(path, None) for path in images], described(), counted)
    predict.predict([Pair(images[0], None)], described(batch_size=1), counted)
    assert sizes == [(4, 16, 16), (4, 16, 16), (2, 16, 16)]


def test_what_a_network_does_not_see_needs_a_mask(images: list[Path], tmp_path: Path) -> None:
    lungs = described(pixels={"region": "lungs"})
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    table = predict.predict(
        [Pair(images[1], None), Pair(images[1], tmp_path / "mask.png")], lungs, scores
    )
    assert list(table["defect"]) == ["no mask", ""]
    assert list(table["predicted"]) == ["", "dark"]  # a quarter of the image at 200
    assert table["p_dark"].isna().tolist() == [True, False]


def test_a_file_that_is_no_image_has_a_defect_and_no_prediction(
    images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no image")
    table = predict.predict(
        [Pair(tmp_path / "text.png", None), Pair(images[0], None)], described(), scores
    )
    assert table["defect"].tolist() == [
        "unreadable image: not a PNG, JPEG, TIFF or DICOM file",
        "",
    ]
    assert table["predicted"].tolist() == ["", "dark"]


def test_images_unlike_those_of_training_are_told(images: list[Path], tmp_path: Path) -> None:
    large = write(tmp_path / "large.png", 90, side=128)
    colour = write(tmp_path / "colour.png", 90, mode=3)
    black = write(tmp_path / "black.png", 0)
    pairs = [Pair(path, None) for path in (large, colour, black)]
    told = predict.predict(pairs, described(), scores)["warnings"]
    assert told[0] == "width 128, trained on 64; height 128, trained on 64"
    assert told[1] == "mode RGB, trained on L"
    assert told[2] == "75.8% black, trained on 0.0% to 50.0%"


def test_images_that_the_network_has_seen_are_told(images: list[Path]) -> None:
    image, mask = np.zeros((2, 32, 32), np.uint8)
    digests = [
        radiographs.read(path.read_bytes(), None, image, mask).pixel_sha256[:16]
        for path in images[:2]
    ]
    seen = described(seen={"train": digests[:1], "validation": digests[1:]})
    told = predict.predict([Pair(path, None) for path in images[:3]], seen, scores)["warnings"]
    assert told.tolist() == ["one of the training images", "one of the validation images", ""]


def test_no_image_gives_an_empty_table() -> None:
    assert predict.predict([], described(), scores).empty
