"""What is told of a trained network, and how its probabilities are read."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_description
from pulmoscan.prediction import description

DECODED = pd.DataFrame(
    {
        "width": [299, 299, 300, 1024],
        "height": [299, 280, 299, 768],
        "format": ["PNG", "DICOM", "PNG", "PNG"],
        "mode": ["L", "RGB", "L", "P"],
        "pixel_sha256": [digit * 64 for digit in "abcd"],
    }
)
SAMPLING = pd.DataFrame(
    {"row": [2, 0, 1, 3], "split": ["train", "train", "validation", "test"], "label": list("xyxy")}
)


def described(**changed: object) -> description.Description:
    images = np.zeros((4, 10, 10), np.uint8)
    images[0, :4] = 9
    images[2, :9] = 9
    trained, seen = description.trained_on(SAMPLING, DECODED, images)
    return small_description.described(trained, **{"seen": seen} | changed)


def test_training_images_alone_say_what_others_should_be_like() -> None:
    trained = described().trained
    assert trained == description.Trained(
        images=2,
        width=[299, 300],
        height=[299, 299],
        formats=["PNG"],
        modes=["L"],
        black=[0.1, 0.6],
    )


def test_images_that_a_network_has_seen_are_known_by_their_pixels() -> None:
    assert described().seen == {"train": ["a" * 16, "c" * 16], "validation": ["b" * 16]}


def test_the_bits_in_use_are_those_of_the_files_that_they_scale() -> None:
    scale = ["", "bits in use: 0 to 4095", "window of the file: 1 to 9"]
    decoded = pd.DataFrame({"scale": scale, "bits": [8, 12, 14]})
    assert description.bits_in_use(decoded) == 12
    assert description.bits_in_use(decoded[:1]) == 16


def test_the_answer_is_the_most_probable_label_the_first_among_equals() -> None:
    probabilities = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    assert described().answer(probabilities) == ["x", "y", "x"]


def test_a_threshold_says_what_is_positive_from_its_own_value_on() -> None:
    binary = described(labels=["normal", "sick"], threshold=0.3, positive="sick")
    probabilities = np.array([[0.71, 0.29], [0.7, 0.3], [0.1, 0.9]])
    assert binary.answer(probabilities) == ["normal", "sick", "sick"]
    first = described(labels=["COVID", "well"], threshold=0.3, positive="COVID")
    assert first.answer(probabilities[:, ::-1]) == ["well", "COVID", "COVID"]


def test_a_description_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"a network")
    written = described(digests={"model": hashlib.sha256(b"a network").hexdigest()})
    (tmp_path / "model.json").write_text(json.dumps(written.as_json()))
    assert description.read(model) == written


def test_a_description_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"a network")
    for name in (".", "/", "..", str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=r"no file '.*': name the model\.keras of"):
            description.read(Path(name))
    with pytest.raises(FileNotFoundError, match=r"no model\.json beside .*model\.keras"):
        description.read(model)
    written = tmp_path / "model.json"
    for content in ("{}", '{"trained": {}}', json.dumps({"trained": {"images": 3}}), "[]"):
        written.write_text(content)
        with pytest.raises(ValueError, match=r"model\.json does not describe a network"):
            description.read(model)
    written.write_text("{")
    with pytest.raises(ValueError, match=r"model\.json is damaged"):
        description.read(model)
    written.write_text(json.dumps(described().as_json()))
    with pytest.raises(ValueError, match=r"model\.json describes another network than"):
        description.read(model)
