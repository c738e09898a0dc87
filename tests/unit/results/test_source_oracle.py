"""The baseline that knows an image's source and nothing else."""

import numpy as np
import pandas as pd
import pytest
import source_oracle
from pulmoscan.results.source_oracle import score
from pulmoscan.storage import tables

# Images of the database by class and source, as the study gives them (unnamed Normal images
# aside, which it counts under no source).
STUDY = {
    ("COVID", "BIMCV"): 2474,
    ("COVID", "COVID-CXNet"): 400,
    ("Lung_Opacity", "RSNA"): 6012,
    ("Normal", "RSNA"): 8851,
    ("Normal", "chest-xray-pneumonia"): 1341,
    ("Viral Pneumonia", "chest-xray-pneumonia"): 1345,
}


def sampled(per_class, classes=None, labels=None):
    """Images in the shares of the study, 4 of 5 for training."""
    counts = pd.Series(STUDY)
    shares = counts / counts.groupby(level=0).transform("sum")
    rows = []
    for (label, source), share in shares.items():
        if classes is None or label in classes:
            n = round(share * per_class.get(label, per_class[None]))
            parts = np.where(np.arange(n) % 5 == 0, "test", "train")
            rows += [((labels or {}).get(label, label), source, part) for part in parts]
    return pd.DataFrame(rows, columns=["label", "source", "split"])


@pytest.mark.parametrize(
    ("images", "accuracy"),
    [
        (sampled({None: 1345}), 0.750),
        (sampled({None: 1345}, classes=("COVID", "Normal", "Viral Pneumonia")), 0.956),
        (
            sampled(
                {None: 1345, "Normal": 3 * 1345},
                labels={"COVID": "sick", "Lung_Opacity": "sick", "Viral Pneumonia": "sick"},
            ),
            0.768,
        ),
    ],
)
def test_accuracy_on_the_database(images, accuracy):
    """75.0 % of four classes, 95.6 % of three, 76.8 % of sick or normal."""
    assert score(images)[2] == pytest.approx(accuracy, abs=2e-3)


def test_source_that_was_not_trained_on_gets_the_most_frequent_label():
    images = pd.DataFrame(
        [("b", "x", "train"), ("b", "x", "train"), ("a", "y", "train"), ("b", "z", "test")],
        columns=["label", "source", "split"],
    )
    assert score(images) == (3, 1, 1.0)


def test_images_without_a_source_share_one():
    rows = [("a", None, "train"), ("a", "NA", "train"), ("b", "NA", "train"), ("b", "NA", "train")]
    rows += [("a", np.nan, "test"), ("a", "NA", "test")]
    images = pd.DataFrame(rows, columns=["label", "source", "split"])
    assert score(images) == (2, 2, 0.5)


@pytest.mark.parametrize("part", ["train", "test"])
def test_without_images_there_is_no_accuracy(part):
    images = sampled({None: 50})
    sources, n_test, accuracy = score(images[images["split"] != part])
    assert (sources > 0, n_test > 0) == (True, part == "train")
    assert np.isnan(accuracy)


def test_one_row_per_split_and_sampling(tmp_path):
    for split in ("grouped", "naive"):
        tables.write(tmp_path / split / "balanced.parquet", sampled({None: 50}))
        tables.write(tmp_path / split / "large.parquet", sampled({None: 50}).iloc[:0])
    source_oracle.main(
        f"--samplings {tmp_path}/grouped/balanced.parquet {tmp_path}/naive/balanced.parquet "
        f"{tmp_path}/naive/large.parquet --output {tmp_path}/table.tsv".split()
    )
    table = pd.read_csv(tmp_path / "table.tsv", sep="\t")
    assert list(table.columns) == source_oracle.COLUMNS
    assert table[["split_name", "sampling"]].to_numpy().tolist() == [
        ["grouped", "balanced"],
        ["naive", "balanced"],
        ["naive", "large"],
    ]
    assert table.loc[1, "low"] < 0.75 < table.loc[1, "high"]
    assert np.isnan(table.loc[2, "accuracy"])
    assert table.loc[2, "n_test"] == 0


def test_a_damaged_sampling_is_named(tmp_path):
    path = tmp_path / "balanced.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(
        ValueError, match=f"^{path} is damaged .*: remove it and run the sampling ag"
    ):
        source_oracle.main(["--samplings", str(path), "--output", f"{tmp_path}/table.tsv"])
    assert not (tmp_path / "table.tsv").exists()
