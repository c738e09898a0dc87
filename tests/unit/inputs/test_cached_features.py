"""Features of a frozen backbone for the images that samplings need."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cv2 import resize
from pulmoscan.backends import backend

backend.configure(threads=2)

import features  # noqa: E402
import keras  # noqa: E402
import weights  # noqa: E402
from pulmoscan.networks import backbones  # noqa: E402

MOBILENET = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 32}
POOLED = MOBILENET | {"head": ["average_pooling"]}
FLAT = MOBILENET | {"head": ["flatten"]}
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
    random_weights("MobileNet", 0.25, folder / "w.weights.h5")
    return folder


def random_weights(backbone: str, alpha: float, path: Path) -> None:
    """Write weights with which a backbone's outputs are neither vanishing nor huge."""
    line = ["--backbone", backbone, "--arguments", json.dumps({"alpha": alpha})]
    weights.main([*line, "--source", "none", "--output", str(path)])


def run(
    data: Path,
    output: Path,
    *samplings: str,
    network: dict = POOLED,
    unfreeze: str = "0",
    more: tuple[str, ...] = (),
) -> None:
    line = ["--network", json.dumps(network), "--weights", str(data / "w.weights.h5")]
    line += ["--images", str(data / "images.npy"), "--masks", str(data / "masks.npy")]
    line += ["--pixels", '{"region": "outside"}', "--unfreeze", unfreeze, "--batch-size", "4"]
    line += ["--samplings", *(str(data / f"{name}.parquet") for name in samplings)]
    line += ["--output", str(output), "--rows", str(output.with_suffix(".rows.npy"))]
    features.main([*line, "--description", str(output.with_suffix(".json")), *more])


def described(output: Path) -> dict:
    return json.loads(output.with_suffix(".json").read_text())


def shown(data: Path, rows: np.ndarray) -> np.ndarray:
    """What MobileNet takes of the images of some rows, by hand."""
    images, masks = np.load(data / "images.npy"), np.load(data / "masks.npy")
    outside = np.stack([resize(images[row] * (1 - masks[row]), (32, 32)) for row in rows])
    return np.repeat(outside[..., None].astype("float32"), 3, axis=-1) / 127.5 - 1


@pytest.fixture(scope="module")
def mobilenet(data: Path) -> keras.Model:
    model = backbones.build("MobileNet", {"alpha": 0.25}, 32)
    model.load_weights(data / "w.weights.h5")
    return model


def test_features_are_those_of_the_backbone_by_hand(
    data: Path, tmp_path: Path, mobilenet: keras.Model, capsys: pytest.CaptureFixture
) -> None:
    run(data, tmp_path / "f.npy", "a", "b", "empty")
    found = np.load(tmp_path / "f.npy", mmap_mode="r", allow_pickle=False)
    rows = np.load(tmp_path / "f.rows.npy", allow_pickle=False)
    assert list(rows) == [4, 7, 9, 11, 20, 25]
    assert rows.dtype == np.int64
    assert (found.shape, found.dtype) == ((6, 256), np.float32)
    assert "6 of 6 images" in capsys.readouterr().err
    maps = keras.ops.convert_to_numpy(mobilenet(shown(data, rows), training=False))
    assert found.std() > 0.1
    np.testing.assert_allclose(found, maps.mean(axis=(1, 2)), atol=1e-5)
    assert described(tmp_path / "f.npy") == {
        "tensors": [{"layer": "pooled", "shape": [256]}],
        "first_trained": None,
        "bytes": 6 * 256 * 4,
        "bytes_per_image": 256 * 4,
        "dtype": "float32",
        "kept": True,
        "sha256": sha256(np.ascontiguousarray(found)).hexdigest(),
    }


@pytest.mark.parametrize(
    ("network", "unfreeze", "layer", "first"),
    [
        (FLAT, "0", "conv_pw_13_relu", None),
        (POOLED, "19", "conv_pw_10_relu", "conv_dw_11"),
        (FLAT, "half", "conv_pw_6_relu", "conv_dw_7"),
    ],
)
def test_a_cut_is_the_output_of_its_layer_flattened(
    data: Path,
    tmp_path: Path,
    mobilenet: keras.Model,
    network: dict,
    unfreeze: str,
    layer: str,
    first: str | None,
) -> None:
    run(data, tmp_path / "f.npy", "a", network=network, unfreeze=unfreeze)
    part = keras.Model(mobilenet.input, mobilenet.get_layer(layer).output)
    maps = keras.ops.convert_to_numpy(part(shown(data, np.array([4, 7, 9, 11, 20]))))
    found = np.load(tmp_path / "f.npy")
    assert found.std() > 0.1
    np.testing.assert_allclose(found, maps.reshape(5, -1), atol=1e-4)
    assert described(tmp_path / "f.npy")["tensors"] == [
        {"layer": layer, "shape": list(maps.shape[1:])}
    ]
    assert described(tmp_path / "f.npy")["first_trained"] == first


def test_tensors_that_cross_a_cut_are_stored_side_by_side(data: Path, tmp_path: Path) -> None:
    network = {"backbone": "MobileNetV2", "arguments": {"alpha": 0.35}, "input_size": 32}
    random_weights("MobileNetV2", 0.35, tmp_path / "w.weights.h5")
    backbone = backbones.build("MobileNetV2", {"alpha": 0.35}, 32)
    backbone.load_weights(tmp_path / "w.weights.h5")
    network["head"] = ["average_pooling"]
    line = ("--weights", str(tmp_path / "w.weights.h5"))
    run(data, tmp_path / "f.npy", "a", network=network, unfreeze="17", more=line)
    tensors = described(tmp_path / "f.npy")["tensors"]
    assert len(tensors) == 2
    part = keras.Model(
        backbone.input, [backbone.get_layer(tensor["layer"]).output for tensor in tensors]
    )
    outputs = part(shown(data, np.array([4, 7, 9, 11, 20])))
    by_hand = [keras.ops.convert_to_numpy(value).reshape(5, -1) for value in outputs]
    np.testing.assert_allclose(np.load(tmp_path / "f.npy"), np.hstack(by_hand), atol=1e-4)


def test_float16_on_request(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "f.npy", "a")
    run(data, tmp_path / "h.npy", "a", more=("--dtype", "float16"))
    single, half = np.load(tmp_path / "f.npy"), np.load(tmp_path / "h.npy")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, single.astype(np.float16))
    assert described(tmp_path / "h.npy")["bytes"] == described(tmp_path / "f.npy")["bytes"] // 2


def test_values_too_large_for_float16(data: Path, tmp_path: Path, mobilenet: keras.Model) -> None:
    backbone = keras.models.clone_model(mobilenet)
    backbone.set_weights(mobilenet.get_weights())
    last = backbone.get_layer("conv_pw_13")  # the cut comes after it, as its normalisation trains
    last.set_weights([last.get_weights()[0] * 1e8])
    backbone.save_weights(tmp_path / "w.weights.h5")
    more = ("--dtype", "float16", "--weights", str(tmp_path / "w.weights.h5"))
    with pytest.raises(ValueError, match="some features are not finite in float16: choose float32"):
        run(data, tmp_path / "f.npy", "a", unfreeze="2", more=more)
    assert not (tmp_path / "f.npy").exists()


def test_above_the_limit_nothing_is_computed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("an image was read")

    size = 5 * 2 * 2 * 128 * 4
    monkeypatch.setattr(keras.Model, "predict_on_batch", fail)
    limit = ("--limit-gb", str((size - 1) / 1e9))
    run(data, tmp_path / "f.npy", "a", unfreeze="19", more=limit)
    values = np.load(tmp_path / "f.npy", allow_pickle=False)
    assert values.shape == (0, 2 * 2 * 128)
    found = described(tmp_path / "f.npy")
    assert (found["bytes"], found["kept"]) == (size, False)
    assert "for 5 images, above the limit" in capsys.readouterr().out
    monkeypatch.undo()
    run(data, tmp_path / "f.npy", "a", unfreeze="19", more=("--limit-gb", str(size / 1e9)))
    assert described(tmp_path / "f.npy")["kept"]


def test_no_room_on_the_disk(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(path: Path) -> SimpleNamespace:
        assert path == tmp_path
        return SimpleNamespace(free=1000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    message = r"the file of features needs 0 MB, 0 MB are free$"
    with pytest.raises(OSError, match=message):
        run(data, tmp_path / "new" / "f.npy", "a")
    assert not list(tmp_path.iterdir())


def test_a_network_that_trains_as_a_whole_has_nothing_to_keep(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "f.npy", "a", unfreeze="all")
    described = json.loads((tmp_path / "f.json").read_text())
    assert (described["kept"], described["tensors"], described["bytes"]) == (False, [], 0)
    assert np.load(tmp_path / "f.npy").shape == (0, 0)
    assert not len(np.load(tmp_path / "f.rows.npy"))


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
