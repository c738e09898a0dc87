"""Figures of the data set show the numbers of their tables."""

import numpy as np
import pandas as pd
from pulmoscan.data.layout import CLASSES
from pulmoscan.report import dataset_figures


def test_shares_are_those_of_the_counts():
    table = pd.DataFrame({"class": CLASSES, "images": [3616, 6012, 10192, 1345]})
    axis = dataset_figures.counts(table, "class", "").axes[0]
    written = {text.get_text() for text in axis.texts}
    assert written == {"3,616 (17.1%)", "6,012 (28.4%)", "10,192 (48.2%)", "1,345 (6.4%)"}


def test_sources_are_divided_by_class():
    table = pd.DataFrame({"source": ["RSNA", "SIRM"], "COVID": [0, 7], "other": [5, 1]})
    axis = dataset_figures.class_by_source(table).axes[0]
    widths = [[bar.get_width() for bar in bars] for bars in axis.containers]
    assert widths == [[7, 0], [1, 5]]
    assert [bars.get_label() for bars in axis.containers] == ["COVID", "other"]


def test_class_histograms_are_means_of_shares():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 50, (8, 2, 256))
    classes = pd.Series(list(CLASSES) * 2)
    axis = dataset_figures.histograms(levels, classes, CLASSES).axes[1]
    expected = (levels[[0, 4], 1] / levels[[0, 4], 1].sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), expected)


def test_classes_that_the_data_lack_are_not_drawn():
    levels = np.ones((1, 2, 256))
    figure = dataset_figures.histograms(levels, pd.Series(["Normal"]), CLASSES)
    assert [line.get_label() for line in figure.axes[0].lines] == ["Normal"]
    images = pd.DataFrame({"class": ["Normal", "Normal"], "useful_area": [0.2, 0.3]})
    axis = dataset_figures.useful_area(images, CLASSES).axes[0]
    assert "mean 25.0%" in axis.get_legend_handles_labels()[1]


def test_an_image_is_beside_its_histograms():
    image = np.zeros((4, 4), np.uint8)
    levels = np.ones((2, 2, 256))
    figure = dataset_figures.images_with_histograms([image] * 2, [image] * 2, levels, ["a", "b"])
    assert [axis.get_ylabel() for axis in figure.axes[::4]] == ["a", "b"]
