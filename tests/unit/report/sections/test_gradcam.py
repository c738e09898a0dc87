"""Sections about Grad-CAM, on the explained images."""

import re

from pulmoscan.report.sections import gradcam


def test_maps_in_numbers(study):
    html = gradcam.numbers(study)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    assert cells[:7] == ["lenet5", "all", "lungs", "2", "100.0 %", "40.0 %", "25.0 %"]
    assert "split" not in re.findall(r"<th[^>]*>([^<]*)</th>", html)


def test_on_several_splits_runs_are_told_apart(in_folds):
    assert ">cv-2<" in gradcam.numbers(in_folds)


def test_panels_are_those_of_the_best_run(study):
    accuracies = study.made[study.made["model"] != "knn"].groupby("name")["val_accuracy"].max()
    html = gradcam.by_class(study)
    assert f"<h3>By class: {accuracies.idxmax()}</h3>" in html
    assert html.count("<figure") == 2
    assert "COVID-2, of the validation images." in html
    assert "Panels of all runs" in html


def test_the_same_image_is_shown_under_each_kind_of_pixels(study):
    html = gradcam.by_region(study)
    assert "<h3>By region: lenet5, unfreeze all</h3>" in html
    captions = re.findall(r"<figcaption[^>]*>([^<]*)<", html)
    assert captions == [
        f"{image}, trained and shown on: {variant}."
        for image in ("COVID-2", "Normal-8")
        for variant in ("lungs", "full")
    ]


def test_without_explained_images_the_page_says_so(without_runs):
    assert "No run of this configuration is explained" in gradcam.numbers(without_runs)
    assert gradcam.by_class(without_runs) == ""
    assert gradcam.by_region(without_runs) == ""


def test_named_images_that_no_run_explains_are_listed(study, monkeypatch):
    images = {"images": ["COVID-2", "NORMAL-8", "COVID-77"]}
    monkeypatch.setitem(study.config, "explain", study.config["explain"] | images)
    html = gradcam.numbers(study)
    assert "test images of no run here: COVID-77." in html
    monkeypatch.setitem(study.config, "explain", study.config["explain"] | {"images": []})
    assert "explain.images" not in gradcam.numbers(study)
