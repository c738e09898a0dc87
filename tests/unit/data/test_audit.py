"""The audit finds what is in the data set, and nothing that is not."""

from pathlib import Path

import audit
import cv2
import numpy as np
import pandas as pd
import pytest
import small_database as small
from pulmoscan.data import measures
from pulmoscan.phantom import database

TABLES = (
    "classes",
    "modes",
    "sizes",
    "sources",
    "class_by_source",
    "useful_area",
    "intensity",
    "metadata_errors",
    "duplicates",
    "defects",
    "warnings",
    "attributes",
)
COLUMNS = (
    "image",
    "class",
    "source",
    "width",
    "height",
    "mode",
    "equal_channels",
    "mask_width",
    "mask_height",
    "useful_area",
    "mean",
    "sd",
    "mean_lungs",
    "sd_lungs",
    "sha256",
    "phash",
    "duplicate_group",
    "defects",
)
IMAGE = "COVID/images/COVID-2.png"
CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / f"{name}.tsv", sep="\t", keep_default_na=False)


def images(results: Path) -> pd.DataFrame:
    return pd.read_parquet(results / "audit/images.parquet").set_index("image", drop=False)


def packed(results: Path) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.load(results / "packed" / name) for name in ("images.npy", "masks.npy"))


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    return small.audited(small.canonical_copy(real_data, folder / "raw"), folder / "results")


def test_real_intensity_to_the_digit_with_and_without_masks(real):
    found = table(real, "intensity").set_index(["region", "class"])["mean_of_means"].round(1)
    assert found["full"][list(CLASSES)].tolist() == [141.3, 126.9, 128.5, 123.9]
    assert found["lungs"][list(CLASSES)].tolist() == [114.9, 113.8, 93.9, 114.1]


def test_real_files_have_the_published_forms(real):
    assert table(real, "modes").to_numpy().tolist() == [
        ["COVID", "L", False, 200],
        ["Lung_Opacity", "L", False, 200],
        ["Normal", "L", False, 200],
        ["Viral Pneumonia", "L", False, 172],
        ["Viral Pneumonia", "RGB", True, 28],
        ["all", "L", False, 772],
        ["all", "RGB", True, 28],
    ]
    sizes = table(real, "sizes").drop(columns="class").drop_duplicates("images")
    assert sizes.to_numpy().tolist() == [[299, 299, 256, 256, 200], [299, 299, 256, 256, 800]]
    assert table(real, "classes")["images"].tolist() == [200, 200, 200, 200, 800]
    assert len(table(real, "defects")) == 0


def test_real_duplicates_are_the_two_known_pairs(real):
    pairs = table(real, "duplicates")
    assert pairs.drop(columns=["correlation", "distance"]).to_numpy().tolist() == [
        ["COVID-658", "near", "COVID-658", "COVID-1544", ""],
        ["COVID-2419", "exact", "COVID-2419", "COVID-2420", ""],
    ]
    assert pairs["correlation"].tolist() == pytest.approx([0.997, 1], abs=5e-4)
    groups = images(real)["duplicate_group"].dropna()
    assert groups.to_dict() == {
        "COVID-658": "COVID-658",
        "COVID-1544": "COVID-658",
        "COVID-2419": "COVID-2419",
        "COVID-2420": "COVID-2419",
    }


def test_real_metadata_have_every_size_wrong(real):
    errors = table(real, "metadata_errors")
    assert (errors["error"].unique(), len(errors)) == (["wrong SIZE"], 800)


def test_real_sources_never_join_covid_with_another_class(real):
    counts = table(real, "class_by_source").set_index("source")
    assert counts.sum().to_dict() == dict.fromkeys(CLASSES, 200)
    others = counts.drop(columns="COVID").sum(axis=1)
    assert not ((counts["COVID"] > 0) & (others > 0)).any()
    assert counts.loc["chest-xray-pneumonia", "Viral Pneumonia"] == 200
    sources = table(real, "sources")
    assert sources["source"].tolist() == counts.index.tolist()
    assert sources["share"].sum() == pytest.approx(1)


def test_real_numbers_of_each_image(real):
    pixels, masks = packed(real)
    found = images(real)
    histograms = np.load(real / "audit/histograms.npy")
    assert (histograms.shape, histograms.dtype) == ((800, 2, 256), np.int32)
    for row in range(0, 800, 7):
        image, lungs = pixels[row], pixels[row][masks[row] == 1]
        assert np.array_equal(histograms[row, 0], np.bincount(image.ravel(), minlength=256))
        assert np.array_equal(histograms[row, 1], np.bincount(lungs, minlength=256))
        values = found.iloc[row][["useful_area", "mean_lungs", "sd_lungs"]].tolist()
        assert values == pytest.approx([masks[row].mean(), lungs.mean(), lungs.std()], abs=1e-9)


def test_real_tables_summarise_the_images(real):
    found = images(real)
    area = table(real, "useful_area").set_index("class")
    intensity = table(real, "intensity").set_index(["class", "region"])
    for name in CLASSES:
        members = found[found["class"] == name]
        shares = members["useful_area"]
        assert area.loc[name, ["mean", "sd", "median", "q25"]].tolist() == pytest.approx(
            [shares.mean(), shares.std(ddof=1), shares.median(), np.percentile(shares, 25)]
        )
        sds = members["sd_lungs"]
        assert intensity.loc[(name, "lungs"), ["mean_of_sds", "sd_of_sds"]].tolist() == (
            pytest.approx([sds.mean(), sds.std(ddof=1)])
        )
    assert area.loc["all", "mean"] == pytest.approx(0.23, abs=0.005)  # published: 23 %


def test_real_mean_images(real):
    pixels, masks = packed(real)
    means = np.load(real / "audit/mean_images.npy")
    assert (means.shape, means.dtype) == ((4, 2, 256, 256), np.float32)
    normal = slice(400, 600)
    expected = pixels[normal].mean(axis=0), (pixels[normal] * masks[normal]).mean(axis=0)
    assert means[2] == pytest.approx(np.stack(expected), abs=1e-4)


def test_every_table_and_column_of_the_contract(tmp_path):
    results = small.audited(small.write(tmp_path / "raw"), tmp_path / "results")
    assert sorted(path.stem for path in (results / "tables").iterdir()) == sorted(TABLES)
    found = images(results)
    assert set(COLUMNS) <= set(found.columns)
    assert found["phash"].str.fullmatch("[0-9a-f]{16}").all()
    assert found["duplicate_group"].isna().all()
    assert (found["defects"] == "").all()
    for name in ("metadata_errors", "duplicates", "defects"):
        assert len(table(results, name)) == 0


@pytest.mark.parametrize(("count", "size", "seed"), [(12, 299, 0), (45, 64, 1), (80, 96, 2)])
def test_phantoms_hold_what_was_planted_and_nothing_else(count, size, seed, tmp_path):
    database.write_database(tmp_path / "raw", count, size, seed)
    results = small.audited(tmp_path / "raw", tmp_path / "results")
    planted = database.planted(count, seed)
    found = images(results)
    pairs = table(results, "duplicates")
    for kind, expected in (("exact", planted.exact), ("near", planted.near)):
        of_kind = pairs[pairs["kind"] == kind][["image_a", "image_b"]].to_numpy()
        assert set(map(frozenset, of_kind)) == set(map(frozenset, expected))
        assert len(of_kind) == len(expected) > 0
    assert set(found.index[found["equal_channels"]]) == set(planted.rgb)
    assert set(found.index[found["mode"] == "RGB"]) == set(planted.rgb)
    sources = dict(planted.sources) | dict.fromkeys(planted.images_without_row, "unknown")
    assert found["source"].to_dict() == sources
    errors = table(results, "metadata_errors")
    listed = {name: set(rows["image"]) for name, rows in errors.groupby("error")}
    assert listed == {
        "wrong SIZE": set(found.index) - set(planted.images_without_row),
        "row without image": set(planted.rows_without_image),
        "image without row": set(planted.images_without_row),
    }
    assert len(errors) == sum(map(len, listed.values()))
    assert len(table(results, "defects")) == 0


def test_a_group_that_spans_classes_makes_all_its_images_defective(tmp_path):
    image = small.radiograph(50)
    near = np.clip(image * 0.95 + 4, 0, 255).astype(np.uint8)
    changes = {
        "COVID/images/COVID-10.png": small.encoded(image),
        "Normal/images/Normal-2.png": small.encoded(np.dstack([image] * 3)),
        "Normal/images/Normal-10.png": small.encoded(near),
    }
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    reason = "duplicate group COVID-10 spans COVID, Normal"
    members = ["COVID-10", "Normal-2", "Normal-10"]
    assert table(results, "defects").to_numpy().tolist() == [
        ["COVID-10", "COVID", reason],
        ["Normal-2", "Normal", reason],
        ["Normal-10", "Normal", reason],
    ]
    found = images(results)
    assert found.index[found["defects"] == reason].tolist() == members
    assert found["duplicate_group"].dropna().to_dict() == dict.fromkeys(members, "COVID-10")
    assert table(results, "duplicates")["kind"].tolist() == ["exact", "near"]
    means = np.load(results / "audit/mean_images.npy")
    pixels, masks = packed(results)
    left = found.index.get_loc("COVID-2")
    assert means[0] == pytest.approx(np.stack([pixels[left], pixels[left] * masks[left]]))
    assert np.isnan(means[2]).all()


def test_blocks_change_nothing(tmp_path, monkeypatch):
    image = small.encoded(small.radiograph(50))
    changes = {IMAGE: image, "Normal/images/Normal-2.png": image, "COVID/masks/COVID-10.png": None}
    raw = small.write(tmp_path / "raw", changes)
    results = small.audited(raw, tmp_path / "results")
    files = sorted(path for path in results.rglob("*") if path.is_file())
    before = [path.read_bytes() for path in files]
    monkeypatch.setattr(measures, "BLOCK", 3)  # some hold images of two classes
    audit.main(small.audit_arguments(raw, results))
    assert [path.read_bytes() for path in files] == before


def test_a_copy_with_a_broken_mask_is_still_a_copy(tmp_path):
    changes = {
        "Normal/images/Normal-2.png": small.encoded(small.radiograph(1)),  # that of COVID-2
        "Normal/masks/Normal-2.png": None,
    }
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    reason = "duplicate group COVID-2 spans COVID, Normal"
    assert images(results)["defects"][["COVID-2", "Normal-2"]].tolist() == [
        reason,
        f"no mask; {reason}",
    ]
    assert table(results, "defects")["defect"].tolist() == [reason, "no mask", reason]


def test_defective_images_are_listed_and_left_out_of_what_images_show(tmp_path):
    changes = {
        IMAGE: b"",
        "Normal/masks/Normal-2.png": None,
        "Normal/images/Normal-10.png": None,
        "Viral Pneumonia/masks/Viral Pneumonia-2.png": small.encoded(np.zeros((256, 256), "u1")),
    }
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    assert table(results, "defects").to_numpy().tolist() == [
        ["COVID-2", "COVID", "unreadable image: the file is empty"],
        ["Normal-2", "Normal", "no mask"],
        ["Viral Pneumonia-2", "Viral Pneumonia", "mask is all black"],
        ["Normal-10", "Normal", "mask without image"],
    ]
    assert table(results, "classes")["images"].tolist() == [2, 2, 1, 2, 7]
    intensity = table(results, "intensity").set_index(["class", "region"])
    assert intensity["images"]["COVID"].tolist() == [1, 1]
    assert intensity["images"]["all"].tolist() == [4, 4]
    left = cv2.resize(small.radiograph(2), (256, 256))
    means = np.load(results / "audit/mean_images.npy")
    assert np.array_equal(means[0, 0], left)
    assert np.isnan(means[2]).all()
    found = images(results)
    assert found.loc["COVID-2", ["phash", "mode"]].tolist() == ["", ""]
    assert found.loc[["COVID-2", "Normal-2"], ["useful_area", "mean_lungs"]].isna().all(axis=None)
    assert not np.load(results / "audit/histograms.npy")[0].any()
    errors = table(results, "metadata_errors")
    assert errors[["image", "error"]].to_numpy().tolist() == [["Normal-10", "row without image"]]


def test_images_of_one_level_are_not_duplicates(tmp_path):
    flat = small.encoded(np.zeros((small.SIDE, small.SIDE), np.uint8))
    changes = {IMAGE: flat, "Normal/images/Normal-2.png": flat}
    results = small.audited(small.write(tmp_path / "raw", changes), tmp_path / "results")
    assert len(table(results, "duplicates")) == 0
    assert table(results, "defects")["defect"].unique() == ["image has one grey level only"]


def test_on_defect_fail_stops_with_the_list_and_writes_nothing(tmp_path, capsys):
    changes = {
        IMAGE: b"",
        "COVID/masks/COVID-2.png": None,
        "Normal/images/Normal-10.png": None,
    }
    raw = small.write(tmp_path / "raw", changes)
    results = small.packed(raw, tmp_path / "results")
    with pytest.raises(ValueError, match="on_defect: exclude") as stopped:
        audit.main(small.audit_arguments(raw, results, on_defect="fail"))
    assert str(stopped.value).startswith(
        "2 images or files are defective: COVID-2 (unreadable image: the file is empty), "
        "COVID-2 (no mask), Normal-10 (mask without image)"
    )
    assert "\n" not in str(stopped.value)
    assert "Normal-10\tNormal\tmask without image\n" in capsys.readouterr().err
    assert not (results / "audit").exists()
    assert not (results / "tables").exists()


def test_on_defect_fail_ignores_wrong_metadata(tmp_path):
    raw = small.write(tmp_path / "raw", {"COVID.metadata.xlsx": b"damaged"})
    results = small.packed(raw, tmp_path / "results")
    audit.main(small.audit_arguments(raw, results, on_defect="fail"))
    errors = table(results, "metadata_errors")
    assert errors[["class", "error"]].to_numpy().tolist() == [["COVID", "damaged metadata file"]]


def test_arrays_and_table_of_different_data_sets_are_an_error(tmp_path):
    raw = small.write(tmp_path / "raw")
    results = small.packed(raw, tmp_path / "results")
    path = results / "packed/masks.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(
        ValueError,
        match=r"masks\.npy is damaged \(7 masks of 8 images in .*\): .* run the packing again",
    ):
        audit.main(small.audit_arguments(raw, results))


def test_the_audit_is_the_same_every_time(tmp_path):
    raw = small.write(tmp_path / "raw")
    results = small.audited(raw, tmp_path / "results")
    files = sorted(path for path in results.rglob("*") if path.is_file())
    before = [path.read_bytes() for path in files]
    audit.main(small.audit_arguments(raw, results))
    assert [path.read_bytes() for path in files] == before
