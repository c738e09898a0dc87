"""A prediction packs as training did: the same arrays, and so the same numbers, to the last bit."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pandas as pd
import pytest
import small_database as small
import small_description
import small_images as make
from pulmoscan.data.options import Options
from pulmoscan.prediction import description, predict
from pulmoscan.prediction.files import Pair

LOSSLESS = "1.2.840.10008.1.2.4.70"


def pixels(seed: int) -> np.ndarray:
    return cv2.resize(small.radiograph(seed), (64, 48), interpolation=cv2.INTER_CUBIC)


def deep(seed: int) -> np.ndarray:
    return pixels(seed).astype(np.uint16) * 16 + np.uint16(seed)


def dicom(seed: int) -> bytes:
    """With a window, without one, and inverted, in turn."""
    frame = imagecodecs.jpeg8_encode(deep(seed), lossless=True)
    changes = [
        {"WindowCenter": 1800 + 100 * seed, "WindowWidth": 2500},
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ][seed % 3]
    return make.compressed(deep(seed), LOSSLESS, frame, bits=12, **changes)


DATA_SETS = {
    "JPEG": (lambda seed: make.jpeg(pixels(seed), seed % 4 + 1), Options()),
    "16 bits": (lambda seed: small.encoded(deep(seed)), Options(shape="crop")),
    "TIFF by percentiles": (
        lambda seed: make.tiff(deep(seed), tags={262: seed % 2}),
        Options(depth="window", window=(2, 98), shape="pad"),
    ),
    "DICOM": (dicom, Options(shape="pad")),
    "DICOM, all bits": (dicom, Options(depth="full")),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_numbers_are_those_of_the_packed_arrays(name: str, tmp_path: Path) -> None:
    file_of, options = DATA_SETS[name]
    raw = small.write(tmp_path / "raw")
    pairs = []
    for seed, image in enumerate(sorted(raw.glob("*/images/*.png"))):
        mask = image.parents[1] / "masks" / image.name
        mask.write_bytes(small.encoded(cv2.resize(small.mask(), (64, 48), interpolation=0)))
        image.write_bytes(file_of(seed))
        pairs.append(Pair(image, mask))
    given = ("--options", json.dumps(asdict(options)))
    results = small.packed(raw, tmp_path / "results", 32, options=given)
    decoded = pd.read_parquet(results / "packed/decoded.parquet")
    assert (decoded["defects"] == "").all()
    rows = decoded.set_index("image").index.get_indexer([pair.image.stem for pair in pairs])
    images, masks = (np.load(results / f"packed/{part}.npy")[rows] for part in ("images", "masks"))
    shown = []

    def scores(batch: np.ndarray) -> np.ndarray:
        shown.append(batch)
        return np.zeros((len(batch), 2), np.float32)

    described = small_description.described(
        description.Trained(1, [1, 2], [1, 2], ["PNG"], ["L"], [0.0, 1.0]),
        pixels={"region": "lungs"},
        packing=options,
        bits=description.bits_in_use(decoded),
        input_size=32,
    )
    table = predict.predict(pairs, described, scores)
    assert list(table["defect"]) == [""] * len(pairs)
    seen = np.concatenate(shown)[: len(pairs)]
    assert np.array_equal(seen, images * masks)
    assert set(decoded["format"]) == {"PNG" if name == "16 bits" else name.split()[0].strip(",")}
