"""The pre-trained networks of `keras.applications`, without their top.

A backbone is always built with ``weights=None`` and filled afterwards, so that it is the same
network wherever its weights come from. Keras is imported only where a network is built: the
Snakefile needs names of files, and is parsed without Keras.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulmoscan.networks import published_weights, weights_files

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

WEIGHTS_SIZE = 224  # pixels of the input that a network has while its weights are read or drawn
# Arguments of the constructors that change a network without its top, by family.
ARGUMENTS = {
    "mobilenet": ("alpha", "depth_multiplier"),
    "mobilenet_v2": ("alpha",),
    "mobilenet_v3": ("alpha",),
}
# The first layer of MobileNet has 32 x alpha filters; that of V2 keeps at least eight.
WIDEST = 64  # times the filters of the published network
NARROWEST = {"mobilenet": 1 / 32}


@dataclass(frozen=True)
class Backbone:
    """A network without its top.

    Attributes:
        layers: number of layers as Keras counts them, input and preprocessing included.
        preprocessing: key of ``PREPROCESSING``.
        smallest: smallest input in pixels.
        family: networks of one family are published in one place (see `published_weights`) and take
            the same arguments.
    """

    layers: int
    preprocessing: str
    smallest: int
    family: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of the constructor that a configuration may give."""
        return ARGUMENTS.get(self.family, ())


# fmt: off
BACKBONES = {
    name: Backbone(*row)
    for name, *row in (
        # name              layers  scaling   smallest  family
        ("VGG16",                 19,  "caffe",       32,  "vgg16"),
        ("VGG19",                 22,  "caffe",       32,  "vgg19"),
        ("Xception",             132,  "tf",          71,  "xception"),
        ("ResNet50",             175,  "caffe",       32,  "resnet"),
        ("ResNet101",            345,  "caffe",       32,  "resnet"),
        ("ResNet152",            515,  "caffe",       32,  "resnet"),
        ("ResNet50V2",           190,  "tf",          32,  "resnet"),
        ("ResNet101V2",          377,  "tf",          32,  "resnet"),
        ("ResNet152V2",          564,  "tf",          32,  "resnet"),
        ("DenseNet121",          427,  "torch",       32,  "densenet"),
        ("DenseNet169",          595,  "torch",       32,  "densenet"),
        ("DenseNet201",          707,  "torch",       32,  "densenet"),
        ("InceptionV3",          311,  "tf",          75,  "inception_v3"),
        ("InceptionResNetV2",    780,  "tf",          75,  "inception_resnet_v2"),
        ("NASNetMobile",         769,  "tf",          32,  "nasnet"),
        ("NASNetLarge",         1039,  "tf",          32,  "nasnet"),
        ("MobileNet",             86,  "tf",          32,  "mobilenet"),
        ("MobileNetV2",          154,  "tf",          32,  "mobilenet_v2"),
        ("MobileNetV3Small",     157,  "inside",      32,  "mobilenet_v3"),
        ("MobileNetV3Large",     187,  "inside",      32,  "mobilenet_v3"),
        ("EfficientNetB0",       237,  "inside",      32,  "efficientnet"),
        ("EfficientNetB1",       339,  "inside",      32,  "efficientnet"),
        ("EfficientNetB2",       339,  "inside",      32,  "efficientnet"),
        ("EfficientNetB3",       384,  "inside",      32,  "efficientnet"),
        ("EfficientNetB4",       474,  "inside",      32,  "efficientnet"),
        ("EfficientNetB5",       576,  "inside",      32,  "efficientnet"),
        ("EfficientNetB6",       666,  "inside",      32,  "efficientnet"),
        ("EfficientNetB7",       813,  "inside",      32,  "efficientnet"),
        ("EfficientNetV2B0",     270,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2B1",     334,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2B2",     349,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2B3",     409,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2S",      513,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2M",      740,  "inside",      32,  "efficientnet_v2"),
        ("EfficientNetV2L",     1028,  "inside",      32,  "efficientnet_v2"),
        ("ConvNeXtTiny",         133,  "inside",      32,  "convnext"),
        ("ConvNeXtSmall",        259,  "inside",      32,  "convnext"),
        ("ConvNeXtBase",         259,  "inside",      32,  "convnext"),
        ("ConvNeXtLarge",        259,  "inside",      32,  "convnext"),
        ("ConvNeXtXLarge",       259,  "inside",      32,  "convnext"),
    )
}
# fmt: on


def weights_name(backbone: str, arguments: Mapping | None = None) -> str:
    """Return the name of a backbone's weights: lower case, then the constructor's arguments.

    An ``alpha`` of 1 is the default and has no place in the name; other arguments are named.

    Example:
        >>> weights_name("MobileNet", {"alpha": 0.25})
        'mobilenet_0_25'
        >>> weights_name("MobileNet", {"alpha": 1, "depth_multiplier": 2})
        'mobilenet_depth_multiplier_2'
    """
    parts = [backbone.lower()]
    for key, value in sorted((arguments or {}).items()):
        if key != "alpha":
            parts += [key, str(value)]
        elif value != 1:
            parts.append(str(value))
    return "_".join(parts).replace(".", "_")


def expected(backbone: str, argument: str, value: object) -> str:
    """Return what the value of an argument must be, or "" if it is valid."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if argument == "depth_multiplier":
        whole = number and isinstance(value, int) and 0 < value <= WIDEST
        return "" if whole else f"a whole number above 0, to {WIDEST}"
    least = NARROWEST.get(BACKBONES[backbone].family, 0)
    if not (number and 0 < value <= WIDEST):
        return f"a number above 0, to {WIDEST}"
    return "" if value >= least else f"a number of at least {least}"


def published_url(backbone: str, arguments: Mapping | None = None) -> str:
    """Return the address of the ImageNet weights that Keras publishes, without the top.

    Raises ``ValueError`` where Keras publishes none for these arguments.
    """
    family = BACKBONES[backbone].family
    alpha = float((arguments or {}).get("alpha", 1.0))
    widths = published_weights.WIDTHS.get(family, {1.0: ""})
    if alpha not in widths:
        raise ValueError(
            f"Keras publishes no weights of {backbone} with alpha {alpha:g}: "
            f"there are {', '.join(map(str, widths))}"
        )
    if (depth := (arguments or {}).get("depth_multiplier", 1)) != 1:
        raise ValueError(
            f"Keras publishes no weights of {backbone} with depth_multiplier {depth}: only with 1"
        )
    return published_weights.address(backbone, family, widths[alpha])


def find_file(folder: str | Path, backbone: str, arguments: Mapping | None = None) -> Path:
    """Return the file of a folder that holds a backbone's weights.

    It is named ``<weights_name>.weights.h5``, or as Keras publishes it, and is in either format of
    Keras. Raises ``FileNotFoundError`` with the names looked for and those that are there, and
    ``ValueError`` for a file that is something else.
    """
    folder = Path(folder)
    names = [f"{weights_name(backbone, arguments)}.weights.h5"]
    with suppress(ValueError):  # Keras publishes nothing for these arguments
        names.append(published_url(backbone, arguments).rpartition("/")[2])
    for name in names:
        if (folder / name).exists():
            weights_files.check(folder / name)
            return folder / name
        if os.path.lexists(folder / name):
            raise FileNotFoundError(
                f"weights.folder: {folder / name} is not a file, or leads to none"
            )
    if not folder.is_dir():
        raise FileNotFoundError(f"weights.folder {folder} is not a folder")
    held = ", ".join(sorted(path.name for path in folder.glob("*.h5"))) or "no .h5 file"
    raise FileNotFoundError(f"no {' or '.join(names)} in {folder}: it holds {held}")


def build(
    backbone: str,
    arguments: Mapping | None,
    input_size: int,
    input_tensor: "keras.KerasTensor | None" = None,
) -> "keras.Model":
    """Return the network without its top, with random weights, for input_size x input_size x 3.

    With ``input_tensor`` its layers continue that tensor, as in `keras.applications`.
    """
    import keras

    return getattr(keras.applications, backbone)(
        include_top=False,
        weights=None,
        input_shape=(input_size, input_size, 3),
        input_tensor=input_tensor,
        **(arguments or {}),
    )


def load_weights(model: "keras.Model", name: str, arguments: Mapping | None, weights: Path) -> None:
    """Read the weights of a file into a backbone, which may come after other input layers.

    ``name`` and ``arguments`` say which one it is. Raises ``ValueError`` where they do not fit, and
    where the file holds no weights.
    """
    weights_files.check(weights)
    try:
        weights_files.load(model, weights)
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

    scaling = PREPROCESSING[BACKBONES[backbone].preprocessing]
    x = keras.layers.Concatenate(name="grey_to_rgb", dtype="float32")([grey, grey, grey])
    if scaling is None:
        return x
    scale, offset = scaling
    return keras.layers.Rescaling(list(scale), list(offset), name="preprocessing", dtype="float32")(
        x
    )
