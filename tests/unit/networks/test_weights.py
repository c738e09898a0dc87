"""Weights from Keras' own server, from a folder, and from nowhere."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones, published_weights

backend.configure(threads=2)

import keras  # noqa: E402
import weights as script  # noqa: E402
from pulmoscan.networks import weights  # noqa: E402

ALPHA = '{"alpha": 0.25}'
FILE = "mobilenet_2_5_224_tf_no_top.h5"


def write_published(model: keras.Model, path: Path) -> None:
    """Write weights in the h5 format in which Keras publishes them."""
    with h5py.File(path, "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["keras_version"] = b"2.0"
        file.attrs["backend"] = b"tensorflow"
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{number}".encode() for number in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name.decode(), data=value)


class Server:
    """A server of one file that can cut the connection or serve other content."""

    def __init__(self, content: bytes) -> None:
        self.content, self.cut_at = content, None
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content[: outer.cut_at])

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, bytes]:
    """A small network, and its weights in the format of the published files."""
    keras.utils.set_random_seed(5)
    model = backbones.build("MobileNet", {"alpha": 0.25}, 64)
    path = tmp_path_factory.mktemp("published") / FILE
    write_published(model, path)
    return model, path.read_bytes()


@pytest.fixture
def server(
    published: tuple[keras.Model, bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server in place of Keras' own, whose file is the known one."""
    server = Server(published[1])
    monkeypatch.setattr(published_weights, "HOST", server.url)
    known = (len(server.content), sha256(server.content).hexdigest())
    monkeypatch.setitem(weights.UNCHECKED_BY_KERAS, FILE, known)
    yield server
    server.server.shutdown()
    server.server.server_close()


def imagenet(folder: Path) -> list[str]:
    """The command line that fetches MobileNet."""
    line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "imagenet"]
    line += ["--cache", str(folder / "cache"), "--record", str(folder / "r.tsv")]
    return [*line, "--output", str(folder / "mobilenet_0_25.weights.h5")]


def test_fetched_weights_are_converted_and_recorded(
    published: tuple[keras.Model, bytes], server: Server, tmp_path: Path
) -> None:
    script.main(imagenet(tmp_path))
    model = backbones.build("MobileNet", {"alpha": 0.25}, 96)
    model.load_weights(tmp_path / "mobilenet_0_25.weights.h5")
    for one, other in zip(model.get_weights(), published[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    record = pd.read_csv(tmp_path / "r.tsv", sep="\t").iloc[0]
    assert record["backbone"] == "mobilenet_0_25"
    assert record["file"] == FILE
    assert record["bytes"] == len(server.content)
    assert record["sha256"] == sha256(server.content).hexdigest()
    assert record["url"] == server.url + f"tensorflow/keras-applications/mobilenet/{FILE}"
    script.main(imagenet(tmp_path))
    assert len(server.asked) == 1  # the second time the file is there


def test_wrong_hash(server: Server, tmp_path: Path) -> None:
    server.content = server.content[:-1] + b"x"
    with pytest.raises(ValueError, match=f"{FILE} is not the file that Keras published") as error:
        script.main(imagenet(tmp_path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mobilenet_0_25.weights.h5").exists()
    assert not list((tmp_path / "cache/models").iterdir())


def test_wrong_size_of_a_file_without_known_hash(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.UNCHECKED_BY_KERAS, FILE, (17, None))
    with pytest.raises(
        ValueError, match=r"bytes and not 17: fetch it again, or set weights\.source"
    ):
        script.main(imagenet(tmp_path))
    assert not list((tmp_path / "cache/models").iterdir())


def test_a_connection_that_is_cut_and_then_one_that_is_not(server: Server, tmp_path: Path) -> None:
    server.cut_at = 5000
    with pytest.raises(ConnectionError, match=r"cannot fetch http.*set weights\.source to folder"):
        script.main(imagenet(tmp_path))
    assert not list((tmp_path / "cache/models").iterdir())
    server.cut_at = None
    script.main(imagenet(tmp_path))
    assert (tmp_path / "mobilenet_0_25.weights.h5").exists()


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(published_weights, "HOST", "http://127.0.0.1:9/")
    with pytest.raises(
        ConnectionError, match=r"cannot fetch .*refused.*folder \(your own files\) or none \(random"
    ) as error:
        script.main(imagenet(tmp_path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mobilenet_0_25.weights.h5").exists()


def test_efficientnet_equals_the_one_keras_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With published weights Keras puts one more Rescaling into the network; ours has none."""
    keras.utils.set_random_seed(1)
    source = backbones.build("EfficientNetB0", None, 64)
    for layer in source.layers:
        if type(layer).__name__ == "Normalization":
            published = np.array(backbones.DEVIATION)  # as variance: Keras divides twice
            layer.set_weights([np.array(backbones.MEAN), published, layer.get_weights()[2]])
    path = tmp_path / "efficientnetb0_notop.h5"
    write_published(source, path)
    # Keras asks for the file by its hash; this one is not the real one.
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    theirs = keras.applications.EfficientNetB0(include_top=False, input_shape=(64, 64, 3))
    line = ["--backbone", "EfficientNetB0", "--source", "folder", "--folder", str(tmp_path)]
    script.main([*line, "--output", str(tmp_path / "own.weights.h5")])
    ours = backbones.build("EfficientNetB0", None, 64)
    ours.load_weights(tmp_path / "own.weights.h5")
    assert len(theirs.layers) == len(ours.layers) + 1
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(theirs(x, training=False))
    found = keras.ops.convert_to_numpy(ours(x, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    # Saved by a user from Keras' own network, under our name: recognised by its variance.
    path.unlink()
    theirs_flat = backbones.build("EfficientNetB0", None, 64)
    theirs_flat.set_weights(theirs.get_weights())
    theirs_flat.save_weights(tmp_path / "efficientnetb0.weights.h5")
    script.main([*line, "--output", str(tmp_path / "again.weights.h5")])
    ours.load_weights(tmp_path / "again.weights.h5")
    again = keras.ops.convert_to_numpy(ours(x, training=False))
    np.testing.assert_array_equal(again, found)
    # What the workflow wrote is a weights file like any other, and is not changed twice.
    (tmp_path / "own.weights.h5").replace(tmp_path / "efficientnetb0.weights.h5")
    script.main([*line, "--output", str(tmp_path / "once_more.weights.h5")])
    ours.load_weights(tmp_path / "once_more.weights.h5")
    once_more = keras.ops.convert_to_numpy(ours(x, training=False))
    np.testing.assert_array_equal(once_more, found)


def test_random_weights_follow_the_seed(tmp_path: Path) -> None:
    def made(seed: int) -> np.ndarray:
        path = tmp_path / f"{seed}.weights.h5"
        line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "none"]
        script.main([*line, "--seed", str(seed), "--output", str(path)])
        model = backbones.build("MobileNet", {"alpha": 0.25}, 64)
        model.load_weights(path)
        return model.get_layer("conv1").get_weights()[0]

    np.testing.assert_array_equal(made(1), made(1))
    assert not np.array_equal(made(1), made(2))


def test_a_frozen_network_of_random_weights_still_tells_images_apart(tmp_path: Path) -> None:
    path = tmp_path / "random.weights.h5"
    line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "none"]
    script.main([*line, "--output", str(path)])
    model = backbones.build("MobileNet", {"alpha": 0.25}, 64)
    model.load_weights(path)
    images = np.random.default_rng(0).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)
    features = keras.ops.convert_to_numpy(model(images, training=False)).mean(axis=(1, 2))
    assert features.std(axis=0).mean() > 0.01


@pytest.mark.parametrize(
    ("backbone", "arguments"),
    [("MobileNet", "{}"), ("MobileNet", ALPHA), ("MobileNetV2", '{"alpha": 0.35}')],
)
def test_real_weights_from_a_folder(
    weights_folder: Path, tmp_path: Path, backbone: str, arguments: str
) -> None:
    line = ["--backbone", backbone, "--arguments", arguments, "--source", "folder"]
    line += ["--folder", str(weights_folder), "--record", str(tmp_path / "r.tsv")]
    script.main([*line, "--output", str(tmp_path / "w.weights.h5")])
    record = pd.read_csv(tmp_path / "r.tsv", sep="\t").iloc[0]
    path = weights_folder / record["file"]
    assert record["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "w.weights.h5").stat().st_size > 1e6


def test_weights_of_another_network_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    backbones.build("MobileNet", {"alpha": 0.5}, 64).save_weights(path)
    with pytest.raises(ValueError, match=r"does not hold weights of MobileNet .*0\.25") as error:
        weights.read("MobileNet", {"alpha": 0.25}, path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"is damaged \(it ends too early\)"):
        weights.read("MobileNet", {"alpha": 0.5}, path)


@pytest.mark.parametrize("name", [FILE, "mobilenet_0_25.weights.h5"])
def test_wrong_and_damaged_files_in_a_folder(tmp_path: Path, name: str) -> None:
    other = backbones.build("MobileNet", {"alpha": 0.5}, 64)
    path = tmp_path / name
    other.save_weights(path) if name.endswith(".weights.h5") else write_published(other, path)
    line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "folder"]
    line += ["--folder", str(tmp_path), "--output", str(tmp_path / "out/w.weights.h5")]
    for content, said in (
        (path.read_bytes(), "does not hold weights of MobileN"),
        (path.read_bytes()[:9000], "is damaged"),
        (b"not a weight file", "is not HDF5"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} {said}") as error:
            script.main(line)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("name", [FILE, "mobilenet_0_25.weights.h5"])
def test_both_formats_of_keras_are_read_under_both_names(
    tmp_path: Path, name: str, older: bool
) -> None:
    source = backbones.build("MobileNet", {"alpha": 0.25}, 96)
    path = tmp_path / "given.weights.h5"
    write_published(source, path) if older else source.save_weights(path)
    path.rename(tmp_path / name)
    line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "folder"]
    line += ["--folder", str(tmp_path), "--output", str(tmp_path / "out/w.weights.h5")]
    script.main(line)
    read = backbones.build("MobileNet", {"alpha": 0.25}, 96)
    read.load_weights(tmp_path / "out/w.weights.h5")
    for one, other in zip(read.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [FILE, "mobilenet_0_25.weights.h5"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html></html>", "is a web page: download the file itself"),
        (b"\xef\xbb\xbf\n  <html>", "is a web page"),
        (b'{"error": "not found"}', "is an answer of a web server"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "is a pointer of Git LFS"),
        (b"PK\x03\x04", "is a zip"),
        (b"\x1f\x8b\x08", "is compressed: unpack it"),
        (b"random", "is not HDF5"),
        (None, "is not a file"),
    ],
)
def test_what_is_saved_under_the_name_of_weights_by_mistake(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} {said}") as error:
        backbones.find_file(tmp_path, "MobileNet", {"alpha": 0.25})
    assert "\n" not in str(error.value)


def test_hdf5_without_weights(tmp_path: Path) -> None:
    with h5py.File(tmp_path / FILE, "w") as file:
        file["table"] = [1, 2]
    with pytest.raises(ValueError, match=f"{FILE} is HDF5, but holds no weights of Keras"):
        backbones.find_file(tmp_path, "MobileNet", {"alpha": 0.25})


def test_a_disk_without_room_is_reported_before_hdf5_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    line = ["--backbone", "MobileNet", "--arguments", ALPHA, "--source", "none"]
    with pytest.raises(OSError, match=r"the weights file needs 1 MB, 0 MB are free$"):
        script.main([*line, "--output", str(tmp_path / "out/w.weights.h5")])
    assert not (tmp_path / "out").exists()
