"""The backbones: input scaled as Keras does it, and files under Keras' names."""

import doctest
import gc
import shutil
from pathlib import Path

import every_backbone
import h5py
import numpy as np
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones, published_weights

backend.configure(threads=2)

import keras  # noqa: E402

FAMILIES = {  # by the module of keras.applications
    "vgg16": ["VGG16"],
    "vgg19": ["VGG19"],
    "xception": ["Xception"],
    "resnet": ["ResNet50", "ResNet101", "ResNet152"],
    "resnet_v2": ["ResNet50V2", "ResNet101V2", "ResNet152V2"],
    "densenet": ["DenseNet121", "DenseNet169", "DenseNet201"],
    "inception_v3": ["InceptionV3"],
    "inception_resnet_v2": ["InceptionResNetV2"],
    "nasnet": ["NASNetMobile", "NASNetLarge"],
    "mobilenet": ["MobileNet"],
    "mobilenet_v2": ["MobileNetV2"],
    "mobilenet_v3": ["MobileNetV3Small", "MobileNetV3Large"],
    "efficientnet": [f"EfficientNetB{number}" for number in range(8)],
    "efficientnet_v2": [f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", *"SML")],
    "convnext": [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")],
}
MODULES = {name: module for module, names in FAMILIES.items() for name in names}


def test_every_network_of_keras_is_there() -> None:
    assert set(backbones.BACKBONES) == {
        name for name in dir(keras.applications) if name[0].isupper()
    }
    assert set(backbones.BACKBONES) == set(MODULES)


@pytest.mark.parametrize("name", list(MODULES))
def test_preprocessing_is_that_of_keras(name: str) -> None:
    grey = np.arange(256, dtype="float32").reshape(1, 16, 16, 1)
    tensor = keras.Input((16, 16, 1))
    own = keras.Model(tensor, backbones.prepare(tensor, name))(grey)
    module = getattr(keras.applications, MODULES[name])
    theirs = module.preprocess_input(np.repeat(grey, 3, axis=-1))
    assert own.shape == (1, 16, 16, 3)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(own), theirs, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", every_backbone.parameters(every_backbone.SMALLEST))
def test_published_files_and_hashes_are_those_that_keras_fetches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras is asked for a network with its ImageNet weights, and stopped where it fetches them."""
    fetched = []

    def get_file(fname: str, origin: str, file_hash: str | None = None, **more: object) -> None:
        fetched.append((origin, file_hash))
        raise InterruptedError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(InterruptedError):
        getattr(keras.applications, name)(include_top=False, weights="imagenet")
    keras.backend.clear_session()
    gc.collect()  # hundreds of MB each
    url = backbones.published_url(name)
    assert fetched == [(url, published_weights.HASHES.get(url.rpartition("/")[2]))]


@pytest.mark.parametrize(
    ("name", "arguments", "file"),
    [
        ("MobileNet", {"alpha": 0.25}, "mobilenet_2_5_224_tf_no_top.h5"),
        ("MobileNet", None, "mobilenet_1_0_224_tf_no_top.h5"),
        (
            "MobileNetV2",
            {"alpha": 0.35},
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
        ),
        ("ResNet152V2", {}, "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("EfficientNetB7", {}, "efficientnetb7_notop.h5"),
    ],
)
def test_published_names(name: str, arguments: dict | None, file: str) -> None:
    assert backbones.published_url(name, arguments).endswith("/" + file)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("MobileNet", {"alpha": 0.3}, r"alpha 0\.3: there are 1\.0, 0\.75, 0\.5, 0\.25"),
        (
            "MobileNetV2",
            {"alpha": 0.3},
            r"alpha 0\.3: there are 0\.35, 0\.5, 0\.75, 1\.0, 1\.3, 1\.4",
        ),
        ("MobileNet", {"depth_multiplier": 2}, r"depth_multiplier 2: only with 1"),
    ],
)
def test_arguments_that_keras_does_not_publish(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"no weights of {name} with {message}"):
        backbones.published_url(name, arguments)


@pytest.mark.parametrize("name", [name for name in MODULES if backbones.BACKBONES[name].arguments])
def test_arguments_are_refused_where_keras_refuses_them(name: str) -> None:
    """Keras itself looks for published weights only after it has checked the arguments."""
    import keras

    for arguments in ({"alpha": 0.3}, {"alpha": 0.6}):
        with pytest.raises(ValueError, match="imagenet"):
            getattr(keras.applications, name)(weights="imagenet", include_top=False, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("MobileNet", None, "mobilenet"),
        ("MobileNet", {"alpha": 1.0}, "mobilenet"),
        ("MobileNet", {"alpha": 0.25}, "mobilenet_0_25"),
        ("MobileNetV2", {"alpha": 0.35}, "mobilenetv2_0_35"),
        ("MobileNet", {"depth_multiplier": 2, "alpha": 0.5}, "mobilenet_0_5_depth_multiplier_2"),
    ],
)
def test_names_of_weights(name: str, arguments: dict | None, expected: str) -> None:
    assert backbones.weights_name(name, arguments) == expected


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(backbones)
    assert result.attempted >= 2
    assert not result.failed


def test_files_in_a_folder(tmp_path: Path) -> None:
    alpha = {"alpha": 0.25}
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        backbones.find_file(tmp_path / "nowhere", "MobileNet")
    with pytest.raises(FileNotFoundError, match=r"it holds no \.h5 file"):
        backbones.find_file(tmp_path, "MobileNet")
    published = tmp_path / "mobilenet_2_5_224_tf_no_top.h5"
    with h5py.File(published, "w") as file:
        file.create_group("layers")
    with pytest.raises(
        FileNotFoundError,
        match=r"no mobilenet\.weights\.h5 or mobilenet_1_0_224_tf_no_top\.h5 in .* it holds mobil",
    ):
        backbones.find_file(tmp_path, "MobileNet")
    assert backbones.find_file(tmp_path, "MobileNet", alpha) == published
    own = tmp_path / "mobilenet_0_25.weights.h5"
    shutil.copy(published, own)
    assert backbones.find_file(tmp_path, "MobileNet", alpha) == own
