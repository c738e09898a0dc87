"""Where Keras publishes the ImageNet weights of its networks, and the hashes of the files.

Facts of `keras.applications` 3: tests compare them with the installed version.
"""

from collections.abc import Mapping

HOST = "https://storage.googleapis.com/"
# Addresses of weights without the top, below HOST, by family; the rest is KERNELS.
KERNELS = (
    "tensorflow/keras-applications/{family}/{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
ADDRESSES: Mapping[str, str] = {
    "mobilenet": "tensorflow/keras-applications/mobilenet/mobilenet_{width}_224_tf_no_top.h5",
    "mobilenet_v2": (
        "tensorflow/keras-applications/mobilenet_v2/"
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    ),
    "mobilenet_v3": (
        "tensorflow/keras-applications/mobilenet_v3/"
        "weights_mobilenet_v3_{name}_224_{width}_float_no_top_v2.h5"
    ),
    "efficientnet": "keras-applications/{name}_notop.h5",
    "efficientnet_v2": "tensorflow/keras-applications/efficientnet_v2/{name}_notop.h5",
    "convnext": "tensorflow/keras-applications/convnext/{name}_notop.h5",
    "nasnet": "tensorflow/keras-applications/nasnet/NASNet-{name}-no-top.h5",
}
# What the files call a network where that is not its constructor in lower case.
NAMES: Mapping[str, str] = {
    "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2",
    "MobileNetV3Small": "small",
    "MobileNetV3Large": "large",
    "NASNetMobile": "mobile",
    "NASNetLarge": "large",
    **{f"EfficientNetV2{size}": f"efficientnetv2-{size.lower()}" for size in ("S", "M", "L")},
    **{f"EfficientNetV2B{number}": f"efficientnetv2-b{number}" for number in range(4)},
    **{
        f"ConvNeXt{size}": f"convnext_{size.lower()}"
        for size in ("Tiny", "Small", "Base", "Large", "XLarge")
    },
}
# The widths (``alpha``) that are published, as the names of the files spell them.
WIDTHS: Mapping[str, Mapping[float, str]] = {
    "mobilenet": {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"},
    "mobilenet_v2": {alpha: str(alpha) for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)},
    "mobilenet_v3": {alpha: str(alpha) for alpha in (0.75, 1.0)},
}
# The hashes that Keras checks: MD5, and SHA-256 of ConvNeXt. It checks none of MobileNet's and
# MobileNetV2's files.
HASHES: Mapping[str, str] = {
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": "6d6bbae143d832006294945121d1f1fc",
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5": "253f8cb515780f3b799900260a226db6",
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5": "b0042744bf5b25fce3cb969f33bebb97",
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "4d473c1dd8becc155b73f8504c6f6626",
    "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5": "88cf7a10940856eca736dc7b7e228a21",
    "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5": "ee4c566cf9a93f14d82f913c2dc6dd0c",
    "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "fac2f116257151a9d068a22e544a4917",
    "resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "c0ed64b8031c3730f411d2eb4eea35b5",
    "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "ed17cf2e0169df9d443503ef94b23b33",
    "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5": "30ee3e1110167f948a6b9946edeeb738",
    "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5": "b8c4d4c20dd625c148057b9ff1c1176b",
    "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5": "c13680b51ded0fb44dff2d8f86ac8bb1",
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5": "bcbd6486424b2319ff4ef7d526e38f63",
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5": (
        "d19885ff4a710c122648d3b5c3b684e4"
    ),
    "NASNet-mobile-no-top.h5": "1ed92395b5b598bdda52abe5c0dbfd63",
    "NASNet-large-no-top.h5": "d81d89dc07e6e56530c4e77faddd61b5",
    "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5": "ebdb5cc8e0b497cd13a7c275d475c819",
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5": "d3e8ec802a04aa4fc771ee12a9a9b836",
    "weights_mobilenet_v3_large_224_0.75_float_no_top_v2.h5": "40af19a13ebea4e2ee0c676887f69a2e",
    "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5": "07fb09a5933dd0c8eaafa16978110389",
    "efficientnetb0_notop.h5": "50bc09e76180e00e4465e1a485ddc09d",
    "efficientnetb1_notop.h5": "74c4e6b3e1f6a1eea24c589628592432",
    "efficientnetb2_notop.h5": "111f8e2ac8aa800a7a99e3239f7bfb39",
    "efficientnetb3_notop.h5": "af6d107764bb5b1abb91932881670226",
    "efficientnetb4_notop.h5": "ebc24e6d6c33eaebbd558eafbeedf1ba",
    "efficientnetb5_notop.h5": "38879255a25d3c92d5e44e04ae6cec6f",
    "efficientnetb6_notop.h5": "9ecce42647a20130c1f39a5d4cb75743",
    "efficientnetb7_notop.h5": "cbcfe4450ddf6f3ad90b1b398090fe4a",
    "efficientnetv2-b0_notop.h5": "893217f2bb855e2983157299931e43ff",
    "efficientnetv2-b1_notop.h5": "0e80663031ca32d657f9caa404b6ec37",
    "efficientnetv2-b2_notop.h5": "1dfe2e7a5d45b6632553a8961ea609eb",
    "efficientnetv2-b3_notop.h5": "f6abf7b5849ac99a89b50dd3fd532856",
    "efficientnetv2-s_notop.h5": "af0682fb74e8c54910f2d4393339c070",
    "efficientnetv2-m_notop.h5": "1b8dc055df72dde80d614482840fe342",
    "efficientnetv2-l_notop.h5": "b0b66b5c863aef5b46e8608fe1711615",
    "convnext_tiny_notop.h5": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    "convnext_small_notop.h5": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    "convnext_base_notop.h5": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    "convnext_large_notop.h5": "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    "convnext_xlarge_notop.h5": "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
}


def address(backbone: str, family: str, width: str) -> str:
    """Return the address of the weights of a network without its top.

    ``width`` is one of `WIDTHS`, "" for a family without widths. An address is returned for every
    backbone of `backbones.BACKBONES`.
    """
    name = NAMES.get(backbone, backbone.lower())
    return HOST + ADDRESSES.get(family, KERNELS).format(family=family, name=name, width=width)
