"""The section about radiographs from elsewhere, from tables that the analysis makes."""

import re

import pandas as pd
import pytest
import small_external
from pulmoscan.report.sections import external
from pulmoscan.report.study import Study
from pulmoscan.results import external as results
from pulmoscan.storage import tables

OWN = {"COVID": 60, "Normal": 60, "Other": 60}
FULL = {"split_name": "grouped", "model": "lenet5", "unfreeze": "all", "variant": "full"}
LUNGS = FULL | {"variant": "lungs"}


@pytest.fixture
def changed(study):
    """The study with external sets, whose tables a test may change."""
    changed = Study(study.folder)
    changed.config["external"] = {"there": {}, "folder": {}}
    return changed


def made(*sets: pd.DataFrame, runs=(FULL,), right=0.8, unpredicted=None) -> pd.DataFrame:
    """The table of sets."""
    rows = pd.concat([rows.assign(**run) for rows in sets for run in runs])
    names = unpredicted or {name: {} for name in rows["set"].unique()}
    own = pd.concat([small_external.own(OWN, right, random=5, **run) for run in runs])
    chosen = small_external.selection(*runs)
    return results.table(rows, own, small_external.audit(OWN), chosen, names, 200)


def shown(study: Study, table: pd.DataFrame) -> str:
    tables.write(study.folder / "tables/external.tsv", table)
    study._tables.pop("external", None)
    return external.elsewhere(study)


def said(html: str) -> list[str]:
    return re.findall(r"<li>([^<]*)</li>", html)


def test_a_study_without_external_sets_says_nothing_of_them(study):
    assert external.elsewhere(study) == ""


def test_what_is_recognised_and_taken_for_the_finding_is_said_drawn_and_listed(changed):
    rows = small_external.of_set("there", {"COVID": 40, "Normal": 35}, 0.1, per_group=2)
    table = made(rows.assign(patient=rows["group"]))
    html = shown(changed, table)
    (sentence,) = said(html)
    of = table.set_index(["measure", "label"])
    covid, spared = of.loc[("sensitivity", "COVID")], of.loc[("specificity", "COVID")]
    assert sentence.startswith(
        "full/lenet5/unfreeze-all: Of 40 radiographs of 20 patients labelled"
    )
    assert f"{100 * covid['external']:.1f} % [{100 * covid['low']:.1f}, " in sentence
    assert f"are recognised, against {100 * covid['internal']:.1f} % [" in sentence
    assert f"{-100 * covid['difference']:.1f} points fewer [-" in sentence
    assert "Of 35 radiographs of 18 patients not labelled COVID, " in sentence
    assert f"{100 * (1 - spared['external']):.1f} % [{100 * (1 - spared['high']):.1f}, " in sentence
    assert f"are called COVID, against {100 * (1 - spared['internal']):.1f} % [" in sentence
    assert html.count("<figure") == 1
    assert "75 radiographs.</p>" in html
    assert "Sensitivity, specificity and AUC of every label" in html
    assert "a run that gives this label" not in html


def test_more_is_said_where_more_is_recognised(changed):
    table = made(small_external.of_set("there", {"COVID": 40}, 1.0), right=0.2)
    assert re.search(r"[\d.]+ points more \[\+[\d.]+, \+[\d.]+\]\.", said(shown(changed, table))[0])


def test_no_difference_is_claimed_that_the_interval_does_not_show(changed):
    table = made(small_external.of_set("there", {"COVID": 12}, 0.8))
    (sentence,) = said(shown(changed, table))
    assert re.search(r"no difference can be told, [\d.]+ points \[-[\d.]+, \+[\d.]+\]\.", sentence)
    assert "fewer" not in sentence


def test_too_few_patients_tell_nothing(changed):
    table = made(small_external.of_set("there", {"COVID": 40}, 0.1, per_group=20))
    (sentence,) = said(shown(changed, table))
    assert "of too few radiographs for an interval" in sentence
    assert "fewer" not in sentence


def test_one_label_is_warned_of(changed):
    html = shown(changed, made(small_external.of_set("there", {"COVID": 40}, 0.5)))
    assert "in a set with one label (there) says little by itself" in html
    assert "not labelled COVID" not in html


def test_an_unlabelled_folder_and_unknown_classes_get_what_they_are_called(changed):
    rows = small_external.of_set("there", {"COVID": 40, "Mass": 8}, 0.5, label_of={"Mass": None})
    html = shown(changed, made(rows, small_external.of_set("folder", {"": 20}, 0.5)))
    first, second = said(html)
    assert re.search(r"Of 8 radiographs labelled Mass, which it does not know, it calls \d", first)
    assert re.fullmatch(
        r"full/lenet5/unfreeze-all: Of 20 radiographs without a label, it calls [\d.]+ % \w+, "
        r"[\d.]+ % \w+, [\d.]+ % \w+; nothing says how many are right\.",
        second,
    )


def test_a_set_of_which_the_run_knows_no_class(changed):
    rows = small_external.of_set("there", {"Mass": 8}, 0.5, label_of={"Mass": None})
    (sentence,) = said(shown(changed, made(rows)))
    assert "unfreeze-all: The run knows none of the classes of this set. Of 8 " in sentence


def test_of_many_labels_the_mean_and_the_finding_are_said(changed):
    table = made(small_external.of_set("there", OWN, 0.3))
    (sentence,) = said(shown(changed, table))
    assert "Of 180 radiographs of the classes COVID, Normal, Other, " in sentence
    assert "are recognised, every label weighing the same, against " in sentence
    assert "labelled COVID" in sentence
    assert "labelled Normal" not in sentence


def test_of_two_labels_the_false_alarms_say_what_the_other_label_would(changed):
    merged = {"COVID": "sick", "Other": "sick", "Normal": "normal"}
    settings = {"labels": ("normal", "sick"), "label_of": merged}
    rows = small_external.of_set("there", {"COVID": 40, "Normal": 30}, 0.5, **settings).assign(
        **FULL
    )
    own = small_external.own(OWN, 0.8, **settings, **FULL)
    chosen = small_external.selection(FULL)
    table = results.table(rows, own, small_external.audit(OWN), chosen, {"there": {}}, 200)
    runs = changed.runs.assign(positive="sick")
    changed.__dict__["runs"] = runs
    (sentence,) = said(shown(changed, table.assign(set="there")))
    assert "Of 40 radiographs labelled sick, " in sentence
    assert "Of 30 radiographs not labelled sick, " in sentence
    assert "labelled normal" not in sentence


def test_without_a_known_finding_the_label_given_wrongly_most_often_is_said(changed):
    settings = {"labels": ("A", "B", "C")}
    rows = small_external.of_set("there", {"A": 30, "B": 30}, 0.6, **settings).assign(**FULL)
    own = small_external.own({"A": 50, "B": 50, "C": 50}, 0.8, **settings, **FULL)
    audit = small_external.audit({"A": 50, "B": 50, "C": 50})
    chosen = small_external.selection(FULL)
    table = results.table(rows, own, audit, chosen, {"there": {}}, 200)
    worst = table[table["measure"] == "specificity"].nsmallest(1, "external")["label"].item()
    assert f"not labelled {worst}, " in said(shown(changed, table))[0]


def test_runs_that_could_not_predict_a_set_are_listed_with_the_reason(changed):
    rows = small_external.of_set("there", {"COVID": 40}, 0.5)
    reasons = {"there": {"lenet5/lungs": "40 of 40 images have no <mask>"}}
    html = shown(changed, made(rows, runs=(FULL, LUNGS), unpredicted=reasons))
    assert len(said(html)) == 1
    assert "Runs that could not predict a set." in html
    assert "40 of 40 images have no &lt;mask&gt;" in html
    nothing = made(rows, runs=(LUNGS,), unpredicted=reasons)
    assert said(shown(changed, nothing)) == []
    assert "<figure" not in shown(changed, nothing)


def test_copies_of_the_own_images_are_said_to_be_left_out(changed):
    rows = small_external.of_set("there", {"COVID": 40}, 0.5)
    rows.loc[rows["image"] == "there-COVID-3", "copy_of"] = "own-COVID-1"
    html = shown(changed, made(rows))
    assert (
        "39 radiographs; 1 more is left out as a copy of an image of the data set that was" in html
    )


def test_of_many_runs_some_are_folded(changed):
    runs = [FULL | {"model": f"net{number}"} for number in range(8)]
    html = shown(changed, made(small_external.of_set("there", {"COVID": 10}, 0.5), runs=runs))
    assert len(said(html)) == 8
    assert "2 more runs on there" in html


def test_runs_on_several_splits_name_each(changed):
    runs = (FULL, FULL | {"split_name": "naive"})
    html = shown(changed, made(small_external.of_set("there", {"COVID": 10}, 0.5), runs=runs))
    assert said(html)[1].startswith("naive: full/lenet5")
