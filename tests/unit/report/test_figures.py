"""How figures are saved and shown; pictures of images."""

import cv2
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data.layout import CLASSES
from pulmoscan.explain import panels
from pulmoscan.report import captions, dataset_figures, figures

NAN = float("nan")


def counts():
    table = pd.DataFrame({"class": CLASSES, "images": [4, 3, 2, 1]})
    return dataset_figures.counts(table, "class", "Classes")


def test_save_writes_both_files_the_same_every_time(tmp_path):
    for folder in ("a", "b"):
        path = figures.save(counts(), tmp_path / folder, "classes")
        assert path == tmp_path / folder / "classes.png"
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"classes.png", "classes.svg"}
    for name in ("classes.png", "classes.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pictures_are_saved_as_png_only(tmp_path):
    image = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    figure = figures.pictures([[image, image.astype(float) * NAN]], ["Normal"], heads=("a", "b"))
    path = figures.save(figure, tmp_path, "images", pixels=True)
    assert [file.name for file in tmp_path.iterdir()] == ["images.png"]
    assert cv2.imread(str(path)).std() > 10


def test_rows_of_pictures_may_differ_in_length():
    image = np.zeros((4, 4), np.uint8)
    figure = figures.pictures([[image, image], [image]], ["a", "b"], [["1", "2"], ["3"]])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["1", "2", "3", ""]


def test_a_name_with_dollar_signs_is_shown_as_it_is(tmp_path):
    name = "a$\\frac{$b"
    figure, _ = figures.empty(1)
    figure.suptitle(name)
    figures.save(figure, tmp_path, "name")
    assert name in (tmp_path / "name.svg").read_text()
    panels.Panel([name]).draw(
        tmp_path / "panel.png", *[np.zeros((4, 4), np.uint8)] * 4, [0.5], name, name
    )


def test_nothing_is_left_when_saving_fails(tmp_path, monkeypatch):
    figure = counts()
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        figures.save(figure, tmp_path, "broken")
    assert not list(tmp_path.iterdir())


def test_a_figure_is_drawn_with_its_caption(tmp_path):
    html = figures.drawn(counts(), tmp_path, "classes")
    assert (tmp_path / "classes.svg").is_file()
    assert f">{captions.FIGURES['classes']}</figcaption>" in html
    filled = figures.drawn(counts(), tmp_path, "training_curves", more=" The first 9 of 20 runs.")
    assert "training begins. The first 9 of 20 runs.</figcaption>" in filled


def test_classes_of_the_study_keep_their_colours():
    assert figures.colours_of(CLASSES) == figures.COLOURS
    others = figures.colours_of(["Normal", *"abcdefgh"])
    assert others["Normal"] == figures.COLOURS["Normal"]
    assert figures.COLOURS["Normal"] not in {others[name] for name in "abcdef"}
    assert len({others[name] for name in "abcdef"}) == 6
