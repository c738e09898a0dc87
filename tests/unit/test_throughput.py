"""The benchmark of speed: its arithmetic against published counts and by hand, and one run."""

import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest
from pulmoscan.backends import backend
from pulmoscan.networks import backbones

backend.configure(threads=2)

import keras  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import roofline  # noqa: E402
import throughput  # noqa: E402

DEVICE = roofline.Device(rate=100.0, bandwidth=10.0)


def product(**changed: object) -> roofline.Product:
    """A dense layer of 8 inputs and 4 outputs."""
    dense = {"layer": "d", "kind": "dense", "flops": 64, "read": 8, "written": 4, "weights": 32}
    gradients = {"weight_gradient": False, "input_gradient": False}
    return roofline.Product(**(dense | gradients | changed))


# Multiply-adds in 10^6 for a 224 x 224 image as the authors publish them; MobileNet's (table 4 of
# its paper) and MobileNetV2's (table 4) hold the classifier of 1000 classes too.
@pytest.mark.parametrize(
    ("name", "millions", "classifier"), [("MobileNet", 569, 1.024), ("MobileNetV2", 300, 1.28)]
)
def test_arithmetic_is_what_the_authors_of_the_networks_publish(
    name: str, millions: float, classifier: float
) -> None:
    found = roofline.products(backbones.build(name, None, 224))
    multiply_adds = roofline.flops(found, training=False) / 2e6
    assert multiply_adds + classifier == pytest.approx(millions, rel=0.005)


def test_a_separable_convolution_is_a_depthwise_and_a_pointwise_one() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.SeparableConv2D(5, 3, strides=2, padding="same", use_bias=False)(image)
    depthwise, pointwise = roofline.products(keras.Model(image, x))
    assert (depthwise.kind, depthwise.flops) == ("depthwise", 2 * 4 * 4 * 3 * 9)
    assert (pointwise.kind, pointwise.flops) == ("convolution", 2 * 4 * 4 * 3 * 5)
    assert (depthwise.read, depthwise.written) == (8 * 8 * 3, 4 * 4 * 3)
    assert (pointwise.read, pointwise.written) == (4 * 4 * 3, 4 * 4 * 5)
    assert (depthwise.weights, pointwise.weights) == (27, 15)


def test_a_step_computes_the_gradients_that_training_needs() -> None:
    image = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")
    middle = keras.layers.Conv2D(4, 3, padding="same", name="middle")
    last = keras.layers.Dense(2, name="last")
    x = middle(keras.layers.ReLU()(first(image)))
    model = keras.Model(image, last(keras.layers.GlobalAveragePooling2D()(x)))
    once = {"first": 2 * 64 * 9 * 12, "middle": 2 * 64 * 9 * 16, "last": 2 * 4 * 2}
    # Of the first layer that trains, only the gradient of its weights is computed.
    for frozen, times in (([], (2, 3, 3)), ([first], (1, 2, 3)), ([first, middle], (1, 1, 2))):
        for layer in (first, middle, last):
            layer.trainable = layer not in frozen
        expected = sum(n * flops for n, flops in zip(times, once.values(), strict=True))
        assert roofline.flops(roofline.products(model), training=True) == expected
    first.trainable, middle.trainable = True, False  # its input's gradient passes through
    assert roofline.flops(roofline.products(model), training=True) == sum(
        n * flops for n, flops in zip((2, 2, 3), once.values(), strict=True)
    )


def test_the_longer_of_arithmetic_and_memory_is_the_least_time() -> None:
    moved = 4 * (2 * (8 + 4) + 32)  # bytes of two images
    assert roofline.least_seconds([product()], 2, 4, DEVICE) == pytest.approx(moved / 10)
    slow = roofline.Device(rate=1.0, bandwidth=10.0)
    assert roofline.least_seconds([product()], 2, 4, slow) == pytest.approx(2 * 64 / 1)
    half = roofline.least_seconds([product()], 2, 2, DEVICE)
    assert half == pytest.approx(moved / 2 / 10)


def test_a_step_moves_memory_for_each_gradient_and_for_adam() -> None:
    trained = product(weight_gradient=True, input_gradient=True)
    forward = roofline.least_seconds([trained], 2, 4, DEVICE)
    step = roofline.least_seconds([trained], 2, 4, DEVICE, training=True, trained_weights=32)
    assert step == pytest.approx(3 * forward + 32 * 7 * 4 / 10)


def test_a_measurement_stands_beside_the_limit() -> None:
    products = [product(), product(layer="c", kind="depthwise", read=80)]
    row = {
        "work": "features",
        "precision": "bfloat16",
        "batch": 2,
        "images_s": 0.01,
        "step_ms": 200e3,
        "device_ms": 150e3,
        "trained_weights": 0,
        "products": [vars(each) for each in products],
    }
    rates = {"flop_s": {"bfloat16": 100.0, "float32": 1.0}, "bytes_s": 10.0}
    found = throughput.beside_limit(row, rates)
    seconds = 2 * (2 * 12 + 32) / 10, 2 * (2 * 84 + 32) / 10
    assert found["limit_ms"] == pytest.approx(1e3 * sum(seconds))
    assert found["limit_images_s"] == pytest.approx(2 / sum(seconds))
    assert found["share"] == pytest.approx(0.01 * sum(seconds) / 2)
    assert found["depthwise_limit"] == pytest.approx(seconds[1] / sum(seconds))
    assert found["depthwise_flops"] == pytest.approx(0.5)
    assert found["tflop_s"] == pytest.approx(2 * 128 / 150 / 1e12)
    assert found["waiting_ms"] == pytest.approx(50e3)
    assert throughput.beside_limit(row | {"device_ms": None}, rates)["waiting_ms"] is None


@pytest.mark.parametrize("case", ["features/float64/32", "train/float32/32", "features/float32/0"])
def test_a_case_that_cannot_be_is_one_line(case: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        throughput.main(["--cases", case])
    assert f"{case!r}: expected features or train-0" in capsys.readouterr().err


def test_without_cases_features_the_head_and_all_layers_are_measured() -> None:
    assert throughput._parse([]).cases == [
        (work, "float32", 32) for work in ("features", "train-0", "train-all")
    ]


def test_an_unknown_backbone_is_told_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="no backbone 'LeNet': there are VGG16"):
        throughput.main(["--backbones", "LeNet"])


def test_cases_are_measured_and_one_that_fails_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rates = {"flop_s": dict.fromkeys(throughput.PRECISIONS, 1e18), "bytes_s": 1e18}
    (tmp_path / "rates.json").write_text(json.dumps(rates))
    options = "--backbones MobileNet --size 32 --steps 2 --seconds 0.01 --jobs 2"
    throughput.main(
        [
            *options.split(),
            *("--cases", "features/float32/2", "train-999/float32/2"),
            *("--rates", str(tmp_path / "rates.json"), "--output", str(tmp_path / "speed")),
        ]
    )
    table = pd.read_csv(tmp_path / "speed/throughput.tsv", sep="\t")
    assert list(table.columns) == list(throughput.COLUMNS)
    measured, failed = (row for _, row in table.iterrows())
    assert "unfreeze is 999: the backbone has 86 layers" in failed["error"]
    assert math.isnan(failed["images_s"])
    assert isinstance(measured["error"], float)
    assert measured["images_s"] == pytest.approx(2 / measured["step_ms"] * 1e3, rel=1e-3)
    assert 0 < measured["share"] < 1e-3  # of a device that is faster than any
    # Of 32 x 32 pixels instead of 224 x 224; the sides divide without rest.
    of_224 = roofline.flops(roofline.products(backbones.build("MobileNet", None, 224)), False)
    assert measured["gflop_image"] == pytest.approx(of_224 / 1e9 * (32 / 224) ** 2, rel=1e-3)
    printed = capsys.readouterr().out
    assert "MobileNet train-999 float32 2: throughput_case: unfreeze is 999" in printed
    assert "images_s: images a second, through the project's code" in printed
