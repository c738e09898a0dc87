"""Grad-CAM: maps that are known by hand and by an independent computation, and the script.

One backbone of each family, and those of the study, are built to find their last feature map: about
40 s.
"""

import json
import shutil

import cv2
import every_backbone
import gradcam as script
import numpy as np
import pandas as pd
import pytest
from pulmoscan.backends import backend
from pulmoscan.explain import gradcam
from pulmoscan.networks import backbones, build
from small_networks import LENET
from small_sampling import LABELS, sampling_table

LAST = {  # by family
    "vgg16": "block5_conv3",
    "vgg19": "block5_conv4",
    "xception": "block14_sepconv2_act",
    "resnet": "conv5_block3_out",
    "densenet": "relu",
    "inception_v3": "mixed10",
    "inception_resnet_v2": "conv_7b_ac",
    "nasnet": "activation_187",
    "mobilenet": "conv_pw_13_relu",
    "mobilenet_v2": "out_relu",
    "mobilenet_v3": "activation_17",
    "efficientnet": "top_activation",
    "efficientnet_v2": "top_activation",
    "convnext": "layer_normalization",
}
OTHERS = {
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "post_relu"),
    "NASNetLarge": "activation_259",
    "MobileNetV3Large": "activation_19",
}


@pytest.fixture(scope="module")
def keras():
    backend.configure(threads=2)
    import keras

    return keras


def finished(keras, grey, x, classes=4):
    """The end that every network of the workflow has."""
    logits = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(grey, keras.layers.Activation("softmax", name="probabilities")(logits))


# ------------------------------------------------------------------------------- the feature map


@pytest.mark.parametrize(
    "name", every_backbone.parameters(every_backbone.SMALLEST | every_backbone.STUDY)
)
def test_the_last_feature_map_of_a_backbone(keras, name):
    keras.backend.clear_session()
    grey = keras.Input((75, 75, 1))
    backbone = backbones.build(name, None, 75, backbones.prepare(grey, name))
    own = [layer for layer in backbone.layers if layer.name not in build.PREPARATION]
    known = backbones.BACKBONES[name]
    assert len(own) == known.layers
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    last = gradcam.last_feature_map(finished(keras, grey, pooled)).name
    assert last == OTHERS.get(name, LAST[known.family])
    keras.backend.clear_session()


def test_the_last_feature_map_of_lenet(keras):
    model = build.build({"architecture": LENET, "input_size": 32}, classes=4).model
    layer = gradcam.last_feature_map(model)
    assert [x.name for x in model.layers if isinstance(x, keras.layers.Conv2D)][-1] == layer.name


@pytest.mark.parametrize("convolution", ["Conv1D", None])
def test_a_network_without_feature_map_says_so(keras, convolution):
    grey = keras.Input((16, 1)) if convolution else keras.Input((8, 8, 1))
    x = getattr(keras.layers, convolution)(2, 3)(grey) if convolution else grey
    x = keras.layers.Rescaling(1 / 255)(x)
    model = finished(keras, grey, keras.layers.Flatten()(x))
    with pytest.raises(ValueError, match="no two-dimensional convolution, so Grad-CAM has no"):
        gradcam.last_feature_map(model)


# ------------------------------------------------------------------------------------------ maps


@pytest.fixture(scope="module")
def shown():
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    return np.stack([cv2.resize(image, (64, 64)) for image in small])


def test_the_map_of_a_linear_network_is_known_by_hand(keras, shown):
    """After the average of A, d score_c / d A_k is W_kc / size: the map is ReLU(sum W_kc A_k)."""
    grey = keras.Input((64, 64, 1))
    x = keras.layers.Conv2D(2, 1, activation="relu")(grey)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = finished(keras, grey, x, classes=3)
    kernel, bias = np.array([0.01, -0.02]), np.array([-0.5, 3.0])
    weights = np.array([[1.0, -2.0, 0.2], [-1.5, 0.7, -0.3]])
    scores_bias = np.array([0.1, -0.4, 0.0])
    model.layers[1].set_weights([kernel.reshape(1, 1, 1, 2), bias])
    model.get_layer("logits").set_weights([weights, scores_bias])

    explained = gradcam.Explainer(model).explain(shown, batch_size=2)

    features = np.maximum(shown[..., None] * kernel + bias, 0)
    scores = features.mean(axis=(1, 2)) @ weights + scores_bias
    targets = scores.argmax(axis=1)
    maps = np.maximum(np.einsum("nhwk,kn->nhw", features, weights[:, targets]), 0)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(explained.targets, targets)
    np.testing.assert_allclose(explained.maps, maps, atol=1e-5)
    np.testing.assert_allclose(
        explained.probabilities,
        np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True),
        atol=1e-6,
    )


def test_a_map_without_positive_evidence_stays_zero():
    features = np.ones((2, 3, 3, 1), np.float32)
    gradients = np.stack([-features[0], features[0]])
    maps = gradcam.class_activation(features, gradients)
    np.testing.assert_array_equal(maps, np.stack([np.zeros((3, 3)), np.ones((3, 3))]))


@pytest.fixture(scope="module")
def mobilenet(keras):
    keras.utils.set_random_seed(1)
    settings = {"backbone": "MobileNet", "arguments": {"alpha": 0.25}, "input_size": 64}
    settings["head"] = ["average_pooling", {"dense": 16}, {"dropout": 0.2}]
    return build.build(settings, classes=4).model


def test_batches_equal_one_tape_per_image(keras, mobilenet, shown):
    tensorflow = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the independent computation is TensorFlow's")
    explained = gradcam.Explainer(mobilenet).explain(shown, batch_size=3)
    feature_map = mobilenet.get_layer("conv_pw_13_relu").output
    both = keras.Model(mobilenet.input, [feature_map, mobilenet.get_layer("logits").output])
    for index, image in enumerate(shown):
        with tensorflow.GradientTape() as tape:
            features, scores = both(image[None, ..., None].astype("float32"), training=False)
            target = int(np.argmax(scores[0]))
            score = scores[0, target]
        gradient = tape.gradient(score, features)[0].numpy()
        expected = np.maximum((features[0].numpy() * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
        assert explained.targets[index] == target
        np.testing.assert_allclose(explained.maps[index], expected / expected.max(), atol=1e-4)
    np.testing.assert_allclose(
        explained.probabilities,
        mobilenet.predict(shown[..., None].astype("float32"), verbose=0),
        atol=1e-6,
    )


def test_the_size_of_the_batch_changes_nothing(mobilenet, shown):
    explainer = gradcam.Explainer(mobilenet)
    whole, single = explainer.explain(shown, 5), explainer.explain(shown, 1)
    np.testing.assert_allclose(whole.maps, single.maps, atol=1e-4)
    np.testing.assert_allclose(whole.probabilities, single.probabilities, atol=1e-6)
    none = explainer.explain(shown[:0], 4)
    assert none.maps.shape == (0, 2, 2)
    assert none.probabilities.shape == (0, 4)


def test_maps_are_resized_bilinearly(shown):
    maps = shown[:, :8, :8].astype(np.float32) / 255
    resized = gradcam.resized(maps, (20, 24))
    assert resized.shape == (5, 20, 24)
    np.testing.assert_array_equal(resized[2], cv2.resize(maps[2], (24, 20)))


# -------------------------------------------------------------------------------------- the script


@pytest.fixture(scope="module")
def run_folder(keras, tmp_path_factory):
    """A run of LeNet-5 with random weights at 32 pixels on 120 packed images of 48 pixels."""
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(0)
    build.build({"architecture": LENET, "input_size": 32}, classes=4).model.save(
        folder / "model.keras"
    )
    table = sampling_table()
    table.to_parquet(folder / "sampling.parquet")
    predictions = table.loc[table["split"] != "train", ["image", "split", "label"]]
    predictions.assign(**{f"p_{label}": 0.25 for label in LABELS}).to_parquet(
        folder / "predictions.parquet"
    )
    rng = np.random.default_rng(0)
    np.save(folder / "images.npy", rng.integers(0, 256, (len(table), 48, 48), dtype=np.uint8))
    np.save(folder / "masks.npy", (rng.random((len(table), 48, 48)) < 0.3).astype(np.uint8))
    return folder


def explain(folder, output, **explained):
    files = {"model": "model.keras", "predictions": "predictions.parquet"}
    files |= {"sampling": "sampling.parquet", "images": "images.npy", "masks": "masks.npy"}
    arguments = [text for key, name in files.items() for text in (f"--{key}", str(folder / name))]
    settings = {"per_class": 1, "seed": 0, "images": ["NORMAL-12"]} | explained
    arguments += ["--pixels", '{"region": "lungs"}', "--explain", json.dumps(settings)]
    script.main([*arguments, "--batch-size", "3", "--threads", "2", "--output", str(output)])


def test_the_script_writes_maps_scores_and_panels(keras, run_folder, tmp_path):
    stale = tmp_path / "out/panels/COVID-999.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    explain(run_folder, tmp_path / "out")
    scores = pd.read_csv(tmp_path / "out/scores.tsv", sep="\t")
    cams = np.load(tmp_path / "out/cams.npy", allow_pickle=False)
    assert list(scores.columns) == [
        *("image", "class", "label", "split", "target", "predicted", "correct"),
        *(f"p_{label}" for label in LABELS),
        *("energy_in_lungs", "lung_area"),
    ]
    assert len(scores) == 5
    assert "Normal-12" in set(scores.loc[scores["split"] == "validation", "image"])
    assert cams.shape == (5, 48, 48)
    assert cams.dtype == np.float32
    assert cams.min() >= 0
    assert cams.max() <= 1
    assert (scores["correct"] == (scores["predicted"] == scores["label"])).all()
    assert (scores["target"] == scores["predicted"]).all()

    rows = sampling_table().set_index("image").loc[scores["image"], "row"].to_numpy()
    masks = np.load(run_folder / "masks.npy")[rows]
    seen = np.load(run_folder / "images.npy")[rows] * masks
    seen = np.stack([cv2.resize(image, (32, 32)) for image in seen])[..., None]
    expected = keras.saving.load_model(run_folder / "model.keras").predict(seen, verbose=0)
    got = scores[[f"p_{label}" for label in LABELS]].to_numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert scores["predicted"].tolist() == [LABELS[best] for best in expected.argmax(axis=1)]
    energy = [(cam * mask).sum() / cam.sum() for cam, mask in zip(cams, masks, strict=True)]
    np.testing.assert_allclose(scores["energy_in_lungs"], energy, rtol=1e-4)
    np.testing.assert_allclose(scores["lung_area"], masks.mean(axis=(1, 2)), rtol=1e-6)

    names = {path.name for path in (tmp_path / "out/panels").iterdir()}
    assert names == {f"{image}.png" for image in scores["image"]}
    assert cv2.imread(str(tmp_path / "out/panels/Normal-12.png")).shape == (360, 1200, 3)


def test_no_image_to_explain_gives_empty_tables(run_folder, tmp_path):
    explain(run_folder, tmp_path, per_class=0, images=["COVID-1"])
    assert np.load(tmp_path / "cams.npy").shape == (0, 48, 48)
    assert pd.read_csv(tmp_path / "scores.tsv", sep="\t").empty


def test_predictions_of_another_run_are_refused(run_folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run_folder, other)
    predictions = pd.read_parquet(run_folder / "predictions.parquet")
    predictions.drop(columns="p_COVID").to_parquet(other / "predictions.parquet")
    with pytest.raises(ValueError, match=r"it has no probabilities of the label 'COVID'"):
        explain(other, tmp_path / "out")
    predictions[1:].to_parquet(other / "predictions.parquet")
    with pytest.raises(ValueError, match=r"predictions\.parquet is not about the images of"):
        explain(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()
