"""The backbones: input scaled as Keras does it, and files under Keras' names."""

import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones

backend.configure(threads=2)

import keras  # noqa: E402

MODULES = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
    "ResNet50": "resnet",
    "ResNet101": "resnet",
    "ResNet50V2": "resnet_v2",
    "ResNet101V2": "resnet_v2",
    "ResNet152V2": "resnet_v2",
    "DenseNet121": "densenet",
    "DenseNet201": "densenet",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "EfficientNetB0": "efficientnet",
    "EfficientNetB1": "efficientnet",
    "EfficientNetB7": "efficientnet",
}


def test_the_study_has_fifteen() -> None:
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


@pytest.mark.parametrize("name", list(MODULES))
def test_published_files_and_hashes_are_those_of_keras(name: str) -> None:
    source = inspect.getsource(inspect.getmodule(getattr(keras.applications, name)))
    # ResNet V2 is built and fetched by the module of ResNet.
    if name.startswith("ResNet"):
        source = inspect.getsource(inspect.getmodule(keras.applications.ResNet50))
    entry = backbones.BACKBONES[name]
    if entry.md5 is None:
        assert "file_hash" not in source
    else:
        assert entry.md5 in source
    squeezed = source.replace('"\n    "', "").replace('"\n                "', "")
    folder = backbones.published_url(name).rpartition("/")[0] + "/"
    assert folder in squeezed.replace('" "', "")


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
    published.touch()
    with pytest.raises(
        FileNotFoundError,
        match=r"no mobilenet\.weights\.h5 or mobilenet_1_0_224_tf_no_top\.h5 in .* it holds mobil",
    ):
        backbones.find_file(tmp_path, "MobileNet")
    assert backbones.find_file(tmp_path, "MobileNet", alpha) == published
    own = tmp_path / "mobilenet_0_25.weights.h5"
    own.touch()
    assert backbones.find_file(tmp_path, "MobileNet", alpha) == own
