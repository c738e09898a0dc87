"""Tables of the runs: accuracies, what was trained, searches, the two protocols."""

import re
from html import unescape

import pandas as pd
from pulmoscan.report import run_tables
from scipy.stats import binomtest

NAN = float("nan")
INJECTED = "<script>alert('x')</script> & co"
SAMPLINGS = {"lungs": "balanced"}


def cells(html):
    return [unescape(cell) for cell in re.findall(r"<td[^>]*>([^<]*)</td>", html)]


def headings(html):
    return re.findall(r"<th[^>]*>([^<]*)</th>", html)


def protocols():
    """Rows of ``protocol.tsv``: one pair of runs made, one not."""
    made = {
        **{"split": "grouped", "model": "mobilenet", "unfreeze": "19", "variant": "lungs"},
        **{"metric": "val_accuracy", "recommended_model": "mobilenet-warm", "published": "0.8"},
        **{"published_low": 0.772, "published_high": 0.825},
        **{"n": 3, "reproduced": 0.7, "sd": 0.02, "low": 0.67, "high": 0.73},
        **{"recommended_n": 3, "recommended": 0.85, "recommended_sd": 0.01},
        **{"recommended_low": 0.82, "recommended_high": 0.88},
        **{"pairs": 3, "images": 860, "difference": 0.15, "difference_sd": NAN},
        **{"difference_low": 0.12, "difference_high": 0.18, "status": "run", "reason": ""},
        **{"note": "", "published_recommended": "", "differs_in": "", "difference_reason": ""},
        **{"asked": NAN, "got": NAN},
    }
    reason = "vgg16: left out by run_filter"
    return pd.DataFrame([made, made | {"model": "vgg16", "status": "not_run", "reason": reason}])


def test_protocols_show_their_spread_and_the_interval_of_the_difference():
    html = run_tables.protocol(protocols(), SAMPLINGS)
    assert {
        *("80.0 [77.2, 82.5]", "70.0 ± 2.0 [67.0, 73.0]", "85.0 ± 1.0 [82.0, 88.0]"),
        *("+15.0 [+12.0, +18.0]", "mobilenet-warm"),
    } <= set(cells(html))
    assert "Variant: lungs. Trainings of each: 3." in html
    assert "1 of 2 pairs without both runs" in html
    assert cells(html)[-1] == "vgg16: left out by run_filter"


def test_without_any_pair_of_protocols_the_page_says_so():
    none = run_tables.protocol(protocols().tail(1), SAMPLINGS)
    assert none.index("None of these pairs of runs was made.") < none.index("<details")


def test_remarks_on_protocols_are_below_their_table():
    rows = protocols().head(1).assign(published_recommended="0.91", note=INJECTED)
    html = run_tables.protocol(rows, SAMPLINGS)
    assert cells(html)[-1] == "(a)"
    assert unescape(html).endswith(
        f"(a) {INJECTED}; the study gives 0.91 for mobilenet-warm itself</p>"
    )
    assert "<script>" not in html


def test_protocols_on_several_splits_name_them():
    both = pd.concat([protocols().head(1), protocols().head(1).assign(split="naive")])
    html = run_tables.protocol(both, SAMPLINGS)
    assert headings(html)[0] == "Split"
    assert {"grouped", "naive"} <= set(cells(html))


def trainings():
    """Rows of `Study.made`: a network with two seeds and a classifier."""
    network = {
        **{"split_name": "grouped", "split": "grouped"},
        **{"model": "mobilenet", "unfreeze": "19", "variant": "lungs", "seed": 0},
        **{"status": "run", "reason": "", "val_accuracy": 0.7, "test_accuracy": 0.75},
        **{"test_accuracy_common": 0.75, "macro_f1": 0.7, "threshold": NAN},
        **{"n_train": 3444, "n_validation": 100, "n_test": 200, "epochs": 9, "seconds": 10.0},
        **{"trained_layers": 7, "first_trained": "conv_dw_11", "trainable_parameters": 1200},
        **{"parameters": 5000, "cached_bytes": 812e6},
    }
    numbers = ("epochs", "trained_layers", "trainable_parameters", "parameters", "cached_bytes")
    classifier = network | dict.fromkeys(numbers, NAN)
    classifier |= {"model": "knn", "unfreeze": "all", "first_trained": ""}
    classifier["test_accuracy_common"] = NAN
    second = network | {"seed": 1, "val_accuracy": 0.9, "test_accuracy": 0.85, "epochs": 11}
    return pd.DataFrame([network, second, classifier])


def stages():
    """What the gathered stages hold of the first network, by training."""
    row = {"stage_unfreeze": "19", "epochs": 9, "learning_rate": 0.001, "cached": True}
    key = ("grouped", "mobilenet", "19", "lungs", 0)
    return {key: pd.DataFrame([row | {"augmented": False}])}


def in_folds():
    """Two folds with two seeds each."""
    network = trainings().head(2)
    return pd.concat([network.assign(split_name=name, split="cv") for name in ("cv-1", "cv-2")])


def test_what_was_trained_is_told_once_per_run():
    html = run_tables.trained(trainings(), stages())
    assert cells(html) == [
        *("mobilenet", "19", "lungs", "7", "conv_dw_11", "1,200 of 5,000", "812.0 MB"),
        "9 epochs at 0.001, cached",
        *("knn", "all", "lungs", "–", "–", "–", "–", "–"),
    ]
    assert "No network was trained" in run_tables.trained(trainings().tail(1), {})


def test_folds_of_a_run_are_trained_alike():
    assert len(re.findall("<tr>", run_tables.trained(in_folds(), {}))) == 2  # with the heading


def test_summary_of_runs_averages_seeds():
    shown = cells(run_tables.summary(trainings()))
    low, high = binomtest(80, 100).proportion_ci(method="wilson")
    assert shown[3] == f"80.0 ± {100 * 0.2 / 2**0.5:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    assert shown[4].startswith("80.0 ± 7.1 [")
    assert shown[5:10] == ["75.0", "3,444/100/200", "10", "10", "2"]
    assert shown[13].startswith("70.0 [")
    assert shown[15:] == ["–", "3,444/100/200", "–", "10", "1"]
    assert "Seeds: 2." in run_tables.summary(trainings().head(2))


def test_summary_of_folds_is_one_row_per_run():
    html = run_tables.summary(in_folds())
    assert "Folds: 2. Seeds: 2." in html
    assert cells(html)[0] == "mobilenet"
    low, high = binomtest(320, 400).proportion_ci(method="wilson")  # of the test images of both
    assert cells(html)[4].endswith(f"[{100 * low:.1f}, {100 * high:.1f}]")
    both = run_tables.summary(pd.concat([trainings(), in_folds()]))
    assert headings(both)[:5] == ["split", "model", "unfrozen", "variant", "folds"]


def test_each_training_has_a_row():
    html = run_tables.trainings(trainings())
    assert cells(html)[:9] == [
        *("mobilenet", "19", "lungs", "0", "70.0 %", "75.0 %", "70.0 %", "9", "10.0")
    ]
    assert headings(run_tables.trainings(in_folds()))[0] == "split"


def test_trainings_that_were_not_made_say_why():
    rows = trainings()
    rows.loc[1, ["status", "reason"]] = ["not_run", INJECTED]
    html = run_tables.not_made(rows)
    assert cells(html) == ["mobilenet", "19", "lungs", "1", INJECTED]
    assert "<script>" not in html


def test_sensitivity_is_that_of_the_sick_on_test_images():
    made = trainings().assign(threshold=[0.3, NAN, NAN], positive=["sick", "", ""]).iloc[:2]
    rates = {"recall": [0.1, 0.2, 0.875], "specificity": [0.3, 0.4, 0.625]}
    counts = {"tp": [1, 2, 7], "fn": [1, 2, 1], "fp": [1, 2, 3], "tn": [1, 2, 5]}
    key = {"split_name": "grouped", "model": "mobilenet", "unfreeze": "19", "variant": "lungs"}
    of_first = pd.DataFrame(
        {"split": ["validation", "test", "test"], "label": ["sick", "normal", "sick"]}
        | {**key, "seed": 0, **rates, **counts}
    )
    of_second = of_first.assign(seed=1, label="COVID")
    shown = cells(run_tables.sensitivity(made, pd.concat([of_first, of_second])))
    assert shown[:10] == [*("mobilenet", "0", "0.3", "75.0 %", "87.5 %", "62.5 %"), *"7135"]
    assert shown[10:] == ["mobilenet", "1", "–", "85.0 %", *"––––––"]


def trials():
    key = {"split_name": "grouped", "model": "vgg16-tuned", "variant": "lungs"}
    values = [(f"{n:04}", 2, n / 10, 1.5, f'{{"dense_1": {16 * n}}}', n == 6) for n in range(7)]
    columns = ["trial", "epochs", "val_accuracy", "seconds", "hyperparameters", "best"]
    return pd.DataFrame(values, columns=columns).assign(**key)


def test_a_search_has_a_row_with_what_it_found():
    found = trials().head(1)[run_tables.SEARCH].assign(setting="dense_1", value=INJECTED)
    html = run_tables.searches(found, trials())
    assert cells(html) == [
        *("vgg16-tuned", "lungs", "7", "14", "10.5", "60.0 %"),
        f"dense_1 {INJECTED}",
    ]
    assert "<script>" not in html


def test_the_best_trials_have_their_settings_in_columns():
    html = run_tables.best_trials(INJECTED, trials())
    assert "the best 5 of 7 trials" in html
    assert headings(html) == ["trial", "epochs", "accuracy", "dense 1"]
    assert cells(html)[:8] == ["0006", "2", "60.0 %", "96", "0005", "2", "50.0 %", "80"]
    assert "<script>" not in html
