"""External sets beside the runs' own test images, against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
import small_external
from pulmoscan.config import runs as runs_of
from pulmoscan.results import external
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

OWN = {"COVID": 40, "Normal": 50, "Other": 30}


def scored(rows: pd.DataFrame, unpredicted=None, own=None, selection=None, **more) -> pd.DataFrame:
    """The table of sets and of a run that is right about 80 % of its own images."""
    counts = more.pop("counts", OWN)
    return external.table(
        rows,
        small_external.own(counts, 0.8, random=7) if own is None else own,
        small_external.audit(counts),
        small_external.selection() if selection is None else selection,
        {name: {} for name in rows["set"].unique()} if unpredicted is None else unpredicted,
        more.pop("resamples", 400),
    )


def row(table: pd.DataFrame, measure: str, label: str = "", name: str = "") -> pd.Series:
    chosen = (table["measure"] == measure) & (table["label"] == label) & (table["class"] == name)
    (found,) = [row for _, row in table[chosen].iterrows()]
    return found


def test_measures_are_those_of_scikit_learn_averaged_over_seeds() -> None:
    rows = small_external.of_set("there", {"COVID": 30, "Normal": 25, "Other": 20}, 0.5)
    own = small_external.own(OWN, 0.8, random=7)
    table = scored(rows, own=own)
    assert list(table) == external.COLUMNS
    assert len(table) == 2 + 3 * 3
    for value, answers in (("external", rows), ("internal", own)):
        of_seeds = [part for _, part in answers.groupby("seed")]

        def mean(score, parts=of_seeds):
            return pytest.approx(np.mean([score(part) for part in parts]))

        assert row(table, "accuracy")[value] == mean(
            lambda part: (part["label"] == part["predicted"]).mean()
        )
        assert row(table, "balanced_accuracy")[value] == mean(
            lambda part: balanced_accuracy_score(part["label"], part["predicted"])
        )
        for label in small_external.LABELS:
            assert row(table, "sensitivity", label)[value] == mean(
                lambda part, of=label: recall_score(part["label"] == of, part["predicted"] == of)
            )
            assert row(table, "specificity", label)[value] == mean(
                lambda part, of=label: recall_score(part["label"] != of, part["predicted"] != of)
            )
            assert row(table, "auc", label)[value] == mean(
                lambda part, of=label: roc_auc_score(part["label"] == of, part[f"p_{of}"])
            )
    assert (table["difference"] == table["external"] - table["internal"]).all()
    for ends in ("", "internal_", "difference_"):
        value = table[{"": "external", "internal_": "internal", "difference_": "difference"}[ends]]
        assert (table[f"{ends}low"] < value).all()
        assert (value < table[f"{ends}high"]).all()


def test_equal_probabilities_count_as_half() -> None:
    rows = small_external.of_set("there", {"COVID": 30, "Normal": 25}, 0.5, seeds=[0])
    rows["p_COVID"] = rows["p_COVID"].round(1)
    auc = row(scored(rows, own=small_external.own(OWN, 0.8, seeds=[0])), "auc", "COVID")
    assert auc["external"] == pytest.approx(
        roc_auc_score(rows["label"] == "COVID", rows["p_COVID"])
    )


def test_a_label_that_the_set_does_not_have_is_wrong_and_the_own_images_are_of_its_classes() -> (
    None
):
    rows = small_external.of_set("there", {"COVID": 20, "Normal": 20}, 0.5)
    rows["predicted"] = "Other"
    own = small_external.own(OWN, 0.8, random=7)
    table = scored(rows, own=own)
    accuracy = row(table, "accuracy")
    assert accuracy["external"] == 0
    assert accuracy["shared"] == "COVID, Normal"
    assert accuracy["internal_images"] == OWN["COVID"] + OWN["Normal"]
    shared = own[own["label"] != "Other"]
    assert accuracy["internal"] == pytest.approx(shared["correct"].mean())
    assert row(table, "specificity", "Other")["external"] == 0  # all are called it, and none is
    assert not ((table["measure"] == "sensitivity") & (table["label"] == "Other")).any()


def test_copies_of_training_images_are_counted_and_left_out() -> None:
    rows = small_external.of_set("there", {"COVID": 20}, 0.5)
    copied = rows["image"].isin(["there-COVID-0", "there-COVID-1"])
    rows.loc[copied, "copy_of"] = "own-COVID-3"
    accuracy = row(scored(rows), "accuracy")
    assert (accuracy["n"], accuracy["copies"], accuracy["images"]) == (18, 2, 18)
    kept = rows[~copied]
    assert accuracy["external"] == pytest.approx((kept["label"] == kept["predicted"]).mean())


def test_a_set_of_one_class_gives_its_sensitivity_and_why_not_more() -> None:
    table = scored(small_external.of_set("there", {"COVID": 20}, 0.5))
    assert row(table, "sensitivity", "COVID")["external"] == row(table, "accuracy")["external"]
    assert row(table, "sensitivity", "COVID")["internal_images"] == OWN["COVID"]
    for measure in ("specificity", "auc"):
        missing = row(table, measure, "COVID")
        assert np.isnan(missing["external"])
        assert missing["reason"] == "all images of these classes are COVID"
    assert "balanced_accuracy" not in set(table["measure"])
    # How often COVID is not taken for something else can be said.
    assert row(table, "specificity", "Normal")["images"] == 20


def test_an_unlabelled_set_gives_the_shares_of_what_is_predicted() -> None:
    rows = small_external.of_set("folder", {"": 24}, 0.5)
    table = scored(rows)
    assert set(table["measure"]) == {"predicted"}
    assert list(table["label"]) == list(small_external.LABELS)
    assert (table["n"] == 24).all()
    assert table["external"].sum() == pytest.approx(1)
    assert row(table, "predicted", "COVID")["external"] == (rows["predicted"] == "COVID").mean()
    assert table[["internal", "difference", "internal_images"]].isna().all(axis=None)
    assert (table["reason"] == "").all()


def test_what_is_predicted_for_a_class_that_the_run_does_not_know() -> None:
    counts = {"COVID": 20, "Nodule": 12}
    rows = small_external.of_set("there", counts, 0.5, label_of={"Nodule": None})
    table = scored(rows)
    assert row(table, "accuracy")["images"] == 20
    assert (row(table, "accuracy")["shared"], row(table, "accuracy")["n"]) == ("COVID", 32)
    nodules = rows[rows["class"] == "Nodule"]
    said = row(table, "predicted", "Normal", "Nodule")
    assert (said["images"], said["external"]) == (12, (nodules["predicted"] == "Normal").mean())
    strange = scored(rows[rows["class"] == "Nodule"])
    reason = row(strange, "accuracy")["reason"]
    assert reason == "the run knows none of the classes of this set"


def test_a_merged_class_is_compared_with_the_own_images_of_that_class() -> None:
    merged = {"COVID": "sick", "Other": "sick", "Normal": "normal"}
    settings = {"labels": ("normal", "sick"), "label_of": merged}
    own = small_external.own(OWN, 0.8, **settings)
    rows = small_external.of_set("there", {"COVID": 20, "Normal": 20}, 0.5, **settings)
    sick = row(scored(rows, own=own), "sensitivity", "sick")
    assert (sick["images"], sick["internal_images"]) == (20, OWN["COVID"])
    of_covid = own[own["image"].str.contains("COVID")]
    assert sick["internal"] == pytest.approx(of_covid["correct"].mean())
    # A set that is labelled as the sampling labels is compared with all of them.
    named = {"sick": "sick", "normal": "normal"}
    rows = small_external.of_set(
        "there", {"sick": 20, "normal": 20}, 0.5, labels=settings["labels"]
    )
    sick = row(scored(rows.assign(label=rows["class"].map(named)), own=own), "sensitivity", "sick")
    assert sick["internal_images"] == OWN["COVID"] + OWN["Other"]


def test_runs_that_cannot_predict_a_set_say_why() -> None:
    rows = small_external.of_set("there", {"COVID": 20}, 0.5)
    runs = small_external.selection({}, {"variant": "lungs"}, {"model": "late"})
    table = scored(rows, {"there": {"net/lungs": "20 of 20 images have no mask"}}, selection=runs)
    missing = table[table["status"] == "not_run"]
    assert list(missing["reason"]) == [
        "20 of 20 images have no mask",
        "there is no image of it that this run could predict",
    ]
    assert (missing["measure"] == "").all()
    unmade = small_external.selection(reason="too few images")
    table = scored(rows, selection=unmade)
    assert list(table["reason"]) == ["too few images"]
    none = external.table(
        rows.iloc[:0],
        small_external.own(OWN, 0.8)[runs_of.TRAINING].iloc[:0],
        small_external.audit(OWN),
        unmade,
        {"there": {}},
        100,
    )
    assert list(none["status"]) == ["not_run"]


def test_networks_of_all_folds_predict_a_set_and_their_test_images_are_one_test_set() -> None:
    folds = [{"split_name": "cv-1"}, {"split_name": "cv-2"}]
    half = {"COVID": 20, "Normal": 20}
    rows = [
        small_external.of_set("there", {"COVID": 12, "Normal": 8}, right, random=number, **fold)
        for number, (fold, right) in enumerate(zip(folds, (0.2, 0.7), strict=True))
    ]
    own = [
        small_external.own(half, 0.8, prefix=fold["split_name"], **fold, random=number)
        for number, fold in enumerate(folds)
    ]
    audit = [small_external.audit(half, prefix=fold["split_name"]) for fold in folds]
    table = external.table(
        pd.concat(rows), pd.concat(own), pd.concat(audit), small_external.selection(*folds),
        {"there": {}}, 400,
    )  # fmt: skip
    assert set(table["split"]) == {"cv"}
    accuracy = row(table, "accuracy")
    assert (accuracy["folds"], accuracy["seeds"]) == (2, 2)
    assert (accuracy["images"], accuracy["internal_images"]) == (20, 80)
    every = pd.concat(rows)
    assert accuracy["external"] == pytest.approx((every["label"] == every["predicted"]).mean())
    assert accuracy["internal"] == pytest.approx(pd.concat(own)["correct"].mean())
    aucs = [
        roc_auc_score(part["label"] == "COVID", part["p_COVID"])
        for _, part in every.groupby(["split_name", "seed"])
    ]
    assert row(table, "auc", "COVID")["external"] == pytest.approx(np.mean(aucs))
    assert accuracy["low"] < accuracy["external"] < accuracy["high"]


def test_images_of_a_patient_are_drawn_together() -> None:
    counts = {"COVID": 1000}
    widths = {}
    for per_group in (1, 10):
        rows = small_external.of_set("there", counts, 0.5, seeds=[0], per_group=per_group)
        # All images of ten, one patient or not, are answered alike.
        tens = np.arange(len(rows)) // 10 % 2
        rows["predicted"] = np.where(tens, "COVID", "Normal")
        own = small_external.own(OWN, 0.8, seeds=[0])
        found = row(scored(rows, own=own, resamples=2000), "sensitivity", "COVID")
        assert found["groups"] == 1000 / per_group
        widths[per_group] = found["high"] - found["low"]
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 1000), rel=0.08)
    assert widths[10] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 100), rel=0.12)


def test_the_difference_has_the_interval_of_two_independent_proportions() -> None:
    counts = {"COVID": 400}
    rows = small_external.of_set("there", {"COVID": 100}, 1.0, seeds=[0])
    rows["predicted"] = np.where(np.arange(100) < 60, "COVID", "Normal")
    own = small_external.own(counts, 1.0, seeds=[0])
    own["predicted"] = np.where(np.arange(400) < 320, "COVID", "Normal")
    found = row(scored(rows, own=own, counts=counts, resamples=8000), "sensitivity", "COVID")
    assert found["difference"] == pytest.approx(-0.2)
    half = 1.96 * np.sqrt(0.24 / 100 + 0.16 / 400)
    assert found["difference_low"] == pytest.approx(-0.2 - half, abs=0.008)
    assert found["difference_high"] == pytest.approx(-0.2 + half, abs=0.008)


def test_where_all_answers_are_right_the_interval_still_is_one_of_so_many_patients() -> None:
    rows = small_external.of_set("there", {"COVID": 40}, 1.0, per_group=4)
    found = row(scored(rows, resamples=2000), "sensitivity", "COVID")
    assert (found["external"], found["groups"]) == (1, 10)
    assert found["high"] == 1  # where the percentile is a little below
    assert 0.7 < found["low"] < 0.85  # Clopper and Pearson's end for 10 of 10 is 0.69
    assert found["difference_low"] < found["difference"] < found["difference_high"]


def test_too_few_patients_have_no_interval() -> None:
    rows = small_external.of_set("there", {"COVID": 40}, 0.5, per_group=10)
    found = row(scored(rows), "sensitivity", "COVID")
    assert np.isnan(found[["low", "high", "difference_low", "difference_high"]].astype(float)).all()
    assert found["difference"] == pytest.approx(found["external"] - found["internal"])
    assert found["reason"] == "4 groups of the set: too few for an interval"


def test_seeds_that_do_not_predict_the_same_images_are_refused() -> None:
    rows = small_external.of_set("there", {"COVID": 20}, 0.5)
    with pytest.raises(ValueError, match="do not predict the same images"):
        scored(rows.iloc[1:])


def test_a_set_without_an_own_test_image_of_its_class_has_nothing_beside_it() -> None:
    rows = small_external.of_set("there", {"COVID": 20}, 0.5)
    own = small_external.own({"Normal": 50}, 0.8)
    found = row(scored(rows, own=own, counts={"Normal": 50}), "sensitivity", "COVID")
    assert np.isnan(found["internal"])
    assert found["reason"] == "no test image of its own to compare with"


def test_the_table_is_the_same_whenever_it_is_made() -> None:
    rows = small_external.of_set("there", {"COVID": 20, "Normal": 20}, 0.5)
    other = small_external.of_set("other", {"Normal": 30}, 0.5, random=3)
    both = scored(pd.concat([other, rows], ignore_index=True))
    alone = scored(rows).reset_index(drop=True)
    found = both[both["set"] == "there"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, alone)
