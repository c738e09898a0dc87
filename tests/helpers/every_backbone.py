"""The backbones that tests build: one of each family, and all where that is asked for."""

import os

import pytest
from pulmoscan.networks import backbones

SMALLEST = {  # of each family
    *("VGG16", "VGG19", "Xception", "ResNet50", "ResNet50V2", "DenseNet121", "InceptionV3"),
    *("InceptionResNetV2", "NASNetMobile", "MobileNet", "MobileNetV2", "MobileNetV3Small"),
    *("EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"),
}
STUDY = {  # the larger ones of the study
    *("ResNet101", "ResNet101V2", "ResNet152V2", "DenseNet201", "EfficientNetB1"),
    "EfficientNetB7",
}
ALL = os.environ.get("PULMOSCAN_EVERY_BACKBONE")


def parameters(names: set[str]) -> list:
    """Return all backbones, those that are not among ``names`` skipped unless all are asked for."""
    skip = pytest.mark.skipif(
        not ALL, reason="PULMOSCAN_EVERY_BACKBONE is not set: the rest of a family, 2 minutes"
    )
    return [pytest.param(name, marks=() if name in names else skip) for name in backbones.BACKBONES]
