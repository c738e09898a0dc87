"""Published facts about the data set beside those of the audit's tables."""

import dataset_facts as script
import numpy as np
import pandas as pd
import pytest
import yaml
from pulmoscan.data import describe
from pulmoscan.data.layout import CLASSES
from pulmoscan.results import dataset_facts
from pulmoscan.storage import tables

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
            "mask_width": 256,
            "useful_area": rng.uniform(0.1, 0.4, n),
            "mean": rng.uniform(100, 150, n),
            "sd": rng.uniform(40, 60, n),
            "mean_lungs": rng.uniform(80, 120, n),
            "sd_lungs": rng.uniform(20, 40, n),
            "defects": "",
        }
    )
    for name in dataset_facts.TABLES:
        tables.write(tmp_path / f"{name}.tsv", getattr(describe, name)(images))
    counts = [
        ("naive", "balanced", name, name, split, got, got, "")
        for name in CLASSES
        for split, got in (("train", 6), ("validation", 2), ("test", 2))
    ]
    counts.append(("naive", "large", "COVID", "COVID", "train", 9, 0, "too few"))
    # Of another split, which is not asked for.
    counts.append(("grouped", "binary", "COVID", "sick", "test", 5, 5, ""))
    columns = ["split_name", "sampling", "class", "label", "split", "asked", "got", "shortfall"]
    tables.write(tmp_path / "resampling.tsv", pd.DataFrame(counts, columns=columns))
    images.to_parquet(tmp_path / "images.parquet")
    return tmp_path


def words(folder, repository):
    named = [str(folder / f"{name}.tsv") for name in dataset_facts.TABLES]
    return [
        *("--tables", *named, str(folder / "others.tsv")),  # more tables than are read
        *("--resampling", f"{folder}/resampling.tsv", "--split-name", "naive"),
        *("--published", f"{repository}/workflow/study/published_dataset.tsv"),
        *("--output", f"{folder}/facts.tsv"),
    ]


@pytest.fixture
def facts(folder, repository):
    script.main(words(folder, repository))
    text = ["published", "status", "reason", "note"]
    return tables.read(folder / "facts.tsv", "dataset_facts", text)


def value(facts, fact, subject):
    return facts.query("fact == @fact and class_or_set == @subject").squeeze()


def test_every_published_fact_has_a_row(facts, repository):
    published = pd.read_csv(
        repository / "workflow/study/published_dataset.tsv", sep="\t", dtype=str
    )
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
    assert (row["status"], row["reason"]) == ("measured", "")


def test_intensity_is_of_whole_images_with_the_lungs_in_the_note(facts, folder):
    images = pd.read_parquet(folder / "images.parquet").query("`class` == 'COVID'")
    row = value(facts, "intensity-sd/mean", "COVID")
    assert row["reproduced"] == pytest.approx(images["sd"].mean())
    assert row["difference"] == pytest.approx(images["sd"].mean() - 54.6)
    assert row["note"] == f"whole images; inside the lungs {images['sd_lungs'].mean():.1f}"


def test_what_cannot_be_measured_says_why(facts):
    large = value(facts, "large-total", "all")
    assert (large["status"], large["reason"]) == ("not_measured", "too few")
    missing = value(facts, "histogram-test", "binary")
    assert missing["status"] == "not_measured"
    assert missing["reason"] == "no selected run uses the sampling 'binary'"
    assert np.isnan(missing["reproduced"])


def test_what_no_usable_image_shows_is_not_measured(folder, repository):
    path = folder / "useful_area.tsv"
    table = tables.read(path, "the audit", ["class"])
    tables.write(path, table.assign(mean=np.nan))
    script.main(words(folder, repository))
    facts = tables.read(folder / "facts.tsv", "dataset_facts", ["status", "reason"])
    row = value(facts, "mean-useful-area", "all")
    assert (row["status"], row["reason"]) == ("not_measured", "no usable image")


def test_every_fact_that_is_counted_in_a_sampling_names_one_that_the_study_has(repository):
    config = yaml.safe_load((repository / "config.yaml").read_text())
    assert {sampling for sampling, _ in dataset_facts.COUNTS.values()} <= set(config["samplings"])


def test_a_fact_that_nothing_measures_is_an_error(folder):
    audit = {
        name: dataset_facts.read(folder / f"{name}.tsv", name) for name in dataset_facts.TABLES
    }
    with pytest.raises(ValueError, match="no way to measure the published fact 'age'"):
        dataset_facts.measure("age", "all", audit, pd.DataFrame())


@pytest.mark.parametrize("name", [*dataset_facts.TABLES, "resampling"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0"])
def test_a_damaged_or_missing_table_is_named(folder, repository, name, content):
    path = folder / f"{name}.tsv"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises((OSError, ValueError), match=f"{path}.* run .* again") as error:
        script.main(words(folder, repository))
    assert "\n" not in str(error.value)
    assert not (folder / "facts.tsv").exists()
