"""Features of a frozen backbone for the images that samplings need."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pulmoscan import backend

backend.configure(threads=2)

import features  # noqa: E402
import keras  # noqa: E402
from pulmoscan import backbones  # noqa: E402

NETWORK = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 32}
SIZE = 48


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed arrays of 30 images, two overlapping samplings, random weights."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    np.save(folder / "images.npy", random.integers(0, 256, (30, SIZE, SIZE), dtype=np.uint8))
    np.save(folder / "masks.npy", random.integers(0, 2, (30, SIZE, SIZE), dtype=np.uint8))
    pd.DataFrame({"row": [9, 4, 20, 11, 7]}).to_parquet(folder / "a.parquet")
    pd.DataFrame({"row": [4, 25, 7]}).to_parquet(folder / "b.parquet")
    pd.DataFrame({"row": np.array([], int)}).to_parquet(folder / "empty.parquet")
    backbones.build("MobileNet", {"alpha": 0.25}, 224).save_weights(folder / "w.weights.h5")
    return folder


def run(data: Path, output: Path, *samplings: str, batch: int = 4) -> None:
    line = ["--network", json.dumps(NETWORK), "--weights", str(data / "w.weights.h5")]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    line += ["--pixels", '{"region": "outside"}', "--batch-size", str(batch)]
    line += ["--samplings", *(str(data / f"{name}.parquet") for name in samplings)]
    features.main([*line, "--output", str(output), "--rows", f"{output}.rows.npy"])


def test_features_are_those_of_the_backbone_by_hand(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run(data, tmp_path / "f.npy", "a", "b", "empty")
    found = np.load(tmp_path / "f.npy", mmap_mode="r", allow_pickle=False)
    rows = np.load(tmp_path / "f.npy.rows.npy", allow_pickle=False)
    assert list(rows) == [4, 7, 9, 11, 20, 25]
    assert rows.dtype == np.int64
    assert (found.shape, found.dtype) == ((6, 256), np.float32)
    assert "6 of 6 images" in capsys.readouterr().out

    from cv2 import resize

    images, masks = np.load(data / "images.npy"), np.load(data / "masks.npy")
    shown = np.stack([resize(images[row] * (1 - masks[row]), (32, 32)) for row in rows])
    model = backbones.build("MobileNet", {"alpha": 0.25}, 32)
    model.load_weights(data / "w.weights.h5")
    scaled = np.repeat(shown[..., None].astype("float32"), 3, axis=-1) / 127.5 - 1
    by_hand = keras.ops.convert_to_numpy(model(scaled, training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_no_image_at_all(data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no image in .*empty\.parquet: the data do not fill them"
    ):
        run(data, tmp_path / "f.npy", "empty")
    assert not list(tmp_path.iterdir())


def test_broken_pass_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(keras.Model, "predict_on_batch", fail)
    with pytest.raises(RuntimeError):
        run(data, tmp_path / "f.npy", "a")
    assert not list(tmp_path.iterdir())
