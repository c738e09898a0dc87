"""The pre-trained networks of the study, as `keras.applications` builds them, without their top.

A backbone is always built with ``weights=None`` and filled afterwards, so that it is the same
network wherever its weights come from. Keras is imported only where a network is built: names of
files are needed where there is no Keras.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

# Mean and standard deviation of ImageNet in 0..1, red first, and the means in 0..255 of the Caffe
# models, blue first: the constants of keras.applications.imagenet_utils.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)

# What ``preprocess_input`` of a network does to a channel: value * scale + offset. The Caffe
# networks also swap red and blue, which changes nothing in grey.
PREPROCESSING: dict[str, tuple[tuple[float, ...], tuple[float, ...]] | None] = {
    "tf": ((1 / 127.5,) * 3, (-1.0,) * 3),
    "caffe": ((1.0,) * 3, tuple(-mean for mean in CAFFE_MEAN)),
    "torch": (
        tuple(1 / (255 * deviation) for deviation in DEVIATION),
        tuple(-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)),
    ),
    "inside": None,  # the network scales its input itself
}

HOST = "https://storage.googleapis.com/"
KERNELS = (
    "tensorflow/keras-applications/{folder}/{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
# MobileNet's own spelling of its widths, and the input size, in pixels, of the published weights.
WIDTHS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}
WIDTHS_V2 = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
MOBILENET_SIZE = 224
# Arguments of the constructors that change a network without top.
ARGUMENTS = {"MobileNet": ("alpha", "depth_multiplier"), "MobileNetV2": ("alpha",)}
NARROWEST = {"MobileNet": 1 / 32}  # its first layer has 32 x alpha filters; V2 keeps at least eight


@dataclass(frozen=True)
class Backbone:
    """A network without top, and where Keras publishes its weights below ``HOST``.

    ``layers`` counts them as Keras does, input and preprocessing included, ``preprocessing`` is a
    key of ``PREPROCESSING`` and ``smallest`` the smallest input in pixels. ``md5`` is the hash that
    Keras checks; it checks none of MobileNet's files.
    """

    layers: int
    preprocessing: str
    published: str
    folder: str = ""
    md5: str | None = None
    smallest: int = 32


_MOBILENET = "tensorflow/keras-applications/mobilenet/mobilenet_{width}_224_tf_no_top.h5"
_MOBILENETV2 = (
    "tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5"
)
_EFFICIENTNET = "keras-applications/{name}_notop.h5"

BACKBONES = {
    "VGG16": Backbone(19, "caffe", KERNELS, "vgg16", "6d6bbae143d832006294945121d1f1fc"),
    "VGG19": Backbone(22, "caffe", KERNELS, "vgg19", "253f8cb515780f3b799900260a226db6"),
    "Xception": Backbone(
        132, "tf", KERNELS, "xception", "b0042744bf5b25fce3cb969f33bebb97", smallest=71
    ),
    "ResNet50": Backbone(175, "caffe", KERNELS, "resnet", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet101": Backbone(345, "caffe", KERNELS, "resnet", "88cf7a10940856eca736dc7b7e228a21"),
    "ResNet50V2": Backbone(190, "tf", KERNELS, "resnet", "fac2f116257151a9d068a22e544a4917"),
    "ResNet101V2": Backbone(377, "tf", KERNELS, "resnet", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "ResNet152V2": Backbone(564, "tf", KERNELS, "resnet", "ed17cf2e0169df9d443503ef94b23b33"),
    "DenseNet121": Backbone(427, "torch", KERNELS, "densenet", "30ee3e1110167f948a6b9946edeeb738"),
    "DenseNet201": Backbone(707, "torch", KERNELS, "densenet", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "MobileNet": Backbone(86, "tf", _MOBILENET),
    "MobileNetV2": Backbone(154, "tf", _MOBILENETV2),
    "EfficientNetB0": Backbone(
        237, "inside", _EFFICIENTNET, md5="50bc09e76180e00e4465e1a485ddc09d"
    ),
    "EfficientNetB1": Backbone(
        339, "inside", _EFFICIENTNET, md5="74c4e6b3e1f6a1eea24c589628592432"
    ),
    "EfficientNetB7": Backbone(
        813, "inside", _EFFICIENTNET, md5="cbcfe4450ddf6f3ad90b1b398090fe4a"
    ),
}


def find(name: str) -> Backbone:
    """Return the backbone of that name; raise ``ValueError`` with the names there are."""
    try:
        return BACKBONES[name]
    except KeyError:
        raise ValueError(f"no backbone {name!r}: there are {', '.join(BACKBONES)}") from None


def weights_name(backbone: str, arguments: Mapping | None = None) -> str:
    """Return the name of a backbone's weights: lower case, then the constructor's arguments.

    ``MobileNet`` with ``alpha: 0.25`` gives ``mobilenet_0_25``; an ``alpha`` of 1 is the default
    and gives ``mobilenet``. Other arguments are named: ``mobilenet_depth_multiplier_2``. Raises
    ``ValueError`` for an unknown backbone.
    """
    find(backbone)
    parts = [backbone.lower()]
    for key, value in sorted((arguments or {}).items()):
        if key != "alpha":
            parts += [key, str(value)]
        elif value != 1:
            parts.append(str(value))
    return "_".join(parts).replace(".", "_")


def unusable(backbone: str, argument: str, value: object) -> str:
    """Return what the value of one of `ARGUMENTS` should have been; nothing if it can be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if argument == "depth_multiplier":
        return "" if number and isinstance(value, int) and value > 0 else "a whole number above 0"
    least = NARROWEST.get(backbone, 0)
    if not (number and 0 < value < math.inf):
        return "a number above 0"
    return "" if value >= least else f"a number from {least} on"


def published_url(backbone: str, arguments: Mapping | None = None) -> str:
    """Return the address of the ImageNet weights that Keras publishes, without the top.

    Raises ``ValueError`` for an unknown backbone, and where Keras publishes nothing for its
    arguments.
    """
    alpha = float((arguments or {}).get("alpha", 1.0))
    entry = find(backbone)
    widths = {"MobileNet": tuple(WIDTHS), "MobileNetV2": WIDTHS_V2}.get(backbone, (1.0,))
    if alpha not in widths:
        raise ValueError(
            f"Keras publishes no weights of {backbone} with alpha {alpha:g}: "
            f"there are {', '.join(map(str, widths))}"
        )
    if (depth := (arguments or {}).get("depth_multiplier", 1)) != 1:
        raise ValueError(
            f"Keras publishes no weights of {backbone} with depth_multiplier {depth}: only with 1"
        )
    return HOST + entry.published.format(
        name=backbone.lower(), folder=entry.folder, alpha=alpha, width=WIDTHS.get(alpha)
    )


def find_file(folder: str | Path | None, backbone: str, arguments: Mapping | None = None) -> Path:
    """Return the file of a folder that holds a backbone's weights.

    It is named ``<weights_name>.weights.h5``, or as Keras publishes it. Raises ``ValueError``
    without a folder, and ``FileNotFoundError`` with the names looked for and those that are there.
    """
    if not folder:
        raise ValueError("weights.source is folder, but weights.folder names none")
    folder = Path(folder)
    names = [f"{weights_name(backbone, arguments)}.weights.h5"]
    with suppress(ValueError):  # a width of which Keras publishes nothing
        names.append(published_url(backbone, arguments).rpartition("/")[2])
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise FileNotFoundError(f"weights.folder {folder} is no folder")
    held = ", ".join(sorted(path.name for path in folder.glob("*.h5"))) or "no .h5 file"
    raise FileNotFoundError(f"no {' or '.join(names)} in {folder}: it holds {held}")


def build(
    backbone: str,
    arguments: Mapping | None,
    input_size: int,
    input_tensor: "keras.KerasTensor | None" = None,
) -> "keras.Model":
    """Return the network without top and with random weights, for input_size x input_size x 3.

    With ``input_tensor`` its layers continue that tensor, as `keras.applications` does it. Raises
    ``ValueError`` for an unknown backbone, arguments its constructor does not take, and an input
    that is too small for it.
    """
    import keras

    find(backbone)
    try:
        return getattr(keras.applications, backbone)(
            include_top=False,
            weights=None,
            input_shape=(input_size, input_size, 3),
            input_tensor=input_tensor,
            **(arguments or {}),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{backbone} with arguments {dict(arguments or {})} and {input_size} pixels: {error}"
        ) from error


def load(name: str, arguments: Mapping | None, weights: Path) -> "keras.Model":
    """Return a backbone with the weights of a file; raise ``ValueError`` where they do not fit."""
    model = build(name, arguments, MOBILENET_SIZE)
    load_weights(model, name, arguments, weights)
    return model


def load_weights(model: "keras.Model", name: str, arguments: Mapping | None, weights: Path) -> None:
    """Put the weights of a file into a backbone, which may stand behind other input layers.

    ``name`` and ``arguments`` say which one it is. Raises ``ValueError`` where they do not fit.
    """
    try:
        model.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        # Keras gives one of its reasons, and then a list of all objects.
        text, _, _ = str(error).partition("List of objects")
        reason = " ".join(text.split()) or type(error).__name__
        raise ValueError(
            f"{weights} does not hold weights of {name} with arguments {dict(arguments or {})}, "
            f"without top, or is damaged: {reason}"
        ) from error


def prepare(grey: "keras.KerasTensor", backbone: str) -> "keras.KerasTensor":
    """Return the layers before a backbone: grey (s, s, 1) in 0..255 to its own scale, (s, s, 3).

    Equal to ``preprocess_input`` of the network on a grey image repeated three times.
    """
    import keras

    scaling = PREPROCESSING[find(backbone).preprocessing]
    x = keras.layers.Concatenate(name="grey_to_rgb", dtype="float32")([grey, grey, grey])
    if scaling is None:
        return x
    scale, offset = scaling
    return keras.layers.Rescaling(list(scale), list(offset), name="preprocessing", dtype="float32")(
        x
    )


def fold_rescaling(model: "keras.Model") -> None:
    """Make published weights of an EfficientNet right for a network built without them.

    Built with ``weights="imagenet"``, Keras multiplies the normalised input by 1/sqrt(deviation)
    (keras/src/applications/efficientnet.py, "Build stem"); built without weights it does not. As
    Normalization divides by the square root of its variance, variance * deviation does the same.
    A network without Normalization is left as it is.
    """
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            mean, variance, count = layer.get_weights()
            layer.set_weights([mean, variance * np.array(DEVIATION, variance.dtype), count])
            layer.finalize_state()


def is_unfolded(model: "keras.Model") -> bool:
    """Return whether the variance of a network's Normalization is still as Keras publishes it.

    The published variance is ImageNet's standard deviation, not its square: that is why Keras
    divides by the root of the deviation once more.
    """
    return any(
        np.allclose(layer.get_weights()[1], DEVIATION, rtol=1e-3)
        for layer in model.layers
        if type(layer).__name__ == "Normalization"
    )
