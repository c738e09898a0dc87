"""What is printed of a plan: short lists, and the modules whose code changed."""

import logging
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "workflow"))
from pulmoscan_terminal.listing import Plan, short_list, short_reason
from snakemake_interface_logger_plugins.common import LogEvent

CHANGED = "Params have changed since last execution: Union of exclusive params before and now "
CHANGED += "across all output: before: {} now: {} "


def announcement(rule: str, reason: str, files: int = 1) -> logging.LogRecord:
    record = logging.makeLogRecord({"event": LogEvent.JOB_INFO, "rule_name": rule})
    record.reason, record.output, record.log = reason, ["out"], ["log"]
    record.input = [f"in-{number}" for number in range(files)]
    return record


def test_a_long_list_says_how_long_it_is():
    assert short_list(["a", "b"]) == ["a", "b"]
    assert short_list(["a", "b", "c", "d"]) == ["a", "b", "and 2 more"]
    assert short_list([str(n) for n in range(1203)])[-1] == "and 1,201 more"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (
            "'pulmoscan/inputs/pixels.py 0123456789abcdef'",
            "'pulmoscan/inputs/pixels.py fedcba9876543210'",
            "Code has changed: pulmoscan/inputs/pixels.py",
        ),
        (
            "'train.py 0123456789abcdef','pulmoscan/command.py 0123456789abcdef'",
            "'pulmoscan/command.py fedcba9876543210','train.py fedcba9876543210'",
            "Code has changed: pulmoscan/command.py, train.py",
        ),
        (
            "<nothing exclusive>",
            "'pulmoscan/new.py fedcba9876543210'",
            "Code has changed: pulmoscan/new.py",
        ),
        ("0.001", "0.002", "Params have changed: before 0.001, now 0.002"),
        (
            "'train.py 0123456789abcdef',15",
            "16,'train.py fedcba9876543210'",
            "Code has changed: train.py; Params have changed: before 15, now 16",
        ),
    ],
)
def test_a_rerun_names_what_changed(before, now, expected):
    assert short_reason(CHANGED.format(before, now)).strip() == expected


def test_files_in_a_reason_are_counted():
    files = ", ".join(f"results/{number}.tsv" for number in range(30))
    reason = f"Missing output files: {files}; Input files updated by another job: {files}"
    assert short_reason(reason) == (
        "Missing output files: results/0.tsv, and 29 more; "
        "Input files updated by another job: results/0.tsv, and 29 more"
    )
    assert len(short_reason(CHANGED.format("x" * 5000, "y"))) <= 300


def test_a_plan_lists_one_job_per_rule_and_reason():
    listing = Plan()
    shown = [
        listing.filter(announcement(rule, reason))
        for rule, reason in (
            ("train", "Missing output files: a"),
            ("train", "Missing output files: b"),
            ("train", "Missing output files: a; Input files updated by another job: x"),
            ("tune", "Missing output files: a"),
            ("train", CHANGED.format("'a.py 0123456789abcdef'", "'a.py fedcba9876543210'")),
            ("train", CHANGED.format("'b.py 0123456789abcdef'", "'b.py fedcba9876543210'")),
        )
    ]
    assert shown == [True, False, True, True, True, True]


def test_other_records_pass():
    assert Plan().filter(logging.makeLogRecord({"msg": "Nothing to be done"}))
