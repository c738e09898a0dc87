"""Published facts about the data set beside those of the audit's tables."""

import dataset_facts
import numpy as np
import pandas as pd
import pytest
from pulmoscan.data import describe
from pulmoscan.data.layout import CLASSES

SIZES = {"COVID": 30, "Lung_Opacity": 50, "Normal": 90, "Viral Pneumonia": 10}
SOURCES = {
    "COVID": "BIMCV",
    "Lung_Opacity": "RSNA",
    "Normal": "RSNA",
    "Viral Pneumonia": "chest-xray-pneumonia",
}


@pytest.fixture
def folder(tmp_path):
    names = np.repeat(CLASSES, [SIZES[name] for name in CLASSES])
    rng = np.random.default_rng(0)
    n = len(names)
    images = pd.DataFrame(
        {
            "class": names,
            "source": [SOURCES[name] for name in names[:-1]] + ["unknown"],
            "mode": np.where(names == "Viral Pneumonia", "RGB", "L"),
            "equal_channels": True,
            "mask_binary": True,
            "useful_area": rng.uniform(0.1, 0.4, n),
            "mean": rng.uniform(100, 150, n),
            "sd": rng.uniform(40, 60, n),
            "mean_lungs": rng.uniform(80, 120, n),
            "sd_lungs": rng.uniform(20, 40, n),
            "defects": "",
        }
    )
    for name in dataset_facts.TABLES:
        table = getattr(describe, name)(images)
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    counts = [
        ("balanced", name, split, got)
        for name in CLASSES
        for split, got in (("train", 6), ("validation", 2), ("test", 2))
    ]
    resampling = pd.DataFrame(counts, columns=["sampling", "class", "split", "got"])
    large = pd.DataFrame({"sampling": "large", "class": ["COVID"], "split": "train", "got": 0})
    resampling = pd.concat([resampling.assign(shortfall=""), large.assign(shortfall="too few")])
    resampling.to_csv(tmp_path / "resampling.tsv", sep="\t", index=False)
    images.to_parquet(tmp_path / "images.parquet")
    return tmp_path


@pytest.fixture
def facts(folder, repository):
    dataset_facts.main(
        f"--tables {folder} --resampling {folder}/resampling.tsv --published "
        f"{repository}/workflow/study/published_dataset.tsv --output {folder}/facts.tsv".split()
    )
    return pd.read_csv(folder / "facts.tsv", sep="\t", dtype={"published": str})


def value(facts, fact, subject):
    return facts.query("fact == @fact and class_or_set == @subject").squeeze()


def test_every_published_fact_has_a_row(facts, repository):
    published = pd.read_csv(repository / "workflow/study/published_dataset.tsv", sep="\t", dtype=str)
    assert facts[["fact", "class_or_set"]].equals(published[["fact", "class_or_set"]])
    assert list(facts["published"]) == list(published["value"])


@pytest.mark.parametrize(
    ("fact", "subject", "expected"),
    [
        ("class-count", "COVID", 30),
        ("class-share", "Normal", 0.5),
        ("images", "all", 180),
        ("rgb-images", "all", 10),
        ("undersampled-per-class", "balanced", 10),
        ("train", "balanced", 32),
        ("test", "balanced", 8),
        ("validation-from-train", "balanced", 0.25),
        ("source-count/RSNA", "Normal", 90),
        ("source-count/SIRM", "COVID", 0),
        ("source-share/RSNA", "all", 140 / 180),
        ("sources", "all", 3),
    ],
)
def test_counts(facts, fact, subject, expected):
    row = value(facts, fact, subject)
    assert row["reproduced"] == pytest.approx(expected)
    assert row["status"] == "measured"


def test_intensity_is_of_whole_images_with_the_lungs_in_the_note(facts, folder):
    images = pd.read_parquet(folder / "images.parquet").query("`class` == 'COVID'")
    row = value(facts, "intensity-sd/mean", "COVID")
    assert row["reproduced"] == pytest.approx(images["sd"].mean())
    assert row["difference"] == pytest.approx(images["sd"].mean() - 54.6)
    assert row["note"] == f"whole images; inside the lungs {images['sd_lungs'].mean():.1f}"


def test_what_cannot_be_measured_says_why(facts):
    assert value(facts, "large-total", "all")["status"] == "not measured: too few"
    missing = value(facts, "histogram-test", "binary")
    assert missing["status"] == "not measured: no selected run uses the sampling 'binary'"
    assert np.isnan(missing["reproduced"])
