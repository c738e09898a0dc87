"""The baseline that knows an image's source and nothing else."""

import numpy as np
import pandas as pd
import pytest
import source_oracle

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
    assert source_oracle.score(images)[2] == pytest.approx(accuracy, abs=2e-3)


def test_source_that_was_not_trained_on_gets_the_most_frequent_label():
    images = pd.DataFrame(
        [("b", "x", "train"), ("b", "x", "train"), ("a", "y", "train"), ("b", "z", "test")],
        columns=["label", "source", "split"],
    )
    assert source_oracle.score(images) == (3, 1, 1.0)


def test_table(tmp_path):
    sampled({None: 50}).to_parquet(tmp_path / "balanced.parquet")
    sampled({None: 50}).iloc[:0].to_parquet(tmp_path / "large.parquet")
    source_oracle.main(
        f"--samplings {tmp_path}/balanced.parquet {tmp_path}/large.parquet "
        f"--output {tmp_path}/table.tsv".split()
    )
    table = pd.read_csv(tmp_path / "table.tsv", sep="\t", index_col="sampling")
    assert table.loc["balanced", "low"] < 0.75 < table.loc["balanced", "high"]
    assert np.isnan(table.loc["large", "accuracy"])
    assert table.loc["large", "n_test"] == 0
