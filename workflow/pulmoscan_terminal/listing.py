"""What a dry run prints about its jobs.

A job of this workflow may have thousands of inputs, and its parameters hold digests of code. Lists
of files are cut after a few, the reason for a rerun names the modules that changed, and one job is
listed for each rule and reason: how many there are is in Snakemake's own table of jobs.
"""

import logging
import re

from snakemake_interface_logger_plugins.common import LogEvent

FILES = 2  # of a list that are named
KIND = re.compile(r"(?:^|; )([A-Z][^:;]*)")  # the kinds of reasons that Snakemake gives
LONGEST = 300  # characters of a reason
MODULE = re.compile(r"'([\w./-]+\.(?:py|ipynb)) [0-9a-f]{16}',?")
PARAMS = re.compile(
    r"Params have changed since last execution: Union of exclusive params before and now across "
    r"all output: before: (.*) now: (.*)$",
    re.DOTALL,
)


class Plan(logging.Filter):
    """Shortens what a dry run lists; other records pass as they are."""

    def __init__(self) -> None:
        """Begin a list."""
        super().__init__()
        self._listed: set[tuple[str, str]] = set()
        self._tables = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown, after shortening it in place."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            return self._announces(record)
        if event == LogEvent.RUN_INFO:  # the table of jobs, at the beginning and at the end
            self._tables += 1
            return self._tables > 1
        return True

    def _announces(self, record: logging.LogRecord) -> bool:
        kinds = KIND.findall(record.reason)
        record.reason = short_reason(record.reason)
        record.output = short_list(record.output)
        why = record.reason if " changed" in record.reason else ";".join(kinds)
        if (record.rule_name, why) in self._listed:
            return False
        self._listed.add((record.rule_name, why))
        # A reader of a plan wants to know what would be made, and why.
        record.input, record.log, record.benchmark, record.jobid = [], [], None, None
        record.resources, record.priority, record.threads = {}, 0, 1
        return True


def short_list(names: list[str], number: int = FILES) -> list[str]:
    """Return the first of some names, and how many more there are."""
    if len(names) <= number:
        return names
    return [*names[:number], f"and {len(names) - number:,} more"]


def short_reason(reason: str) -> str:
    """Return Snakemake's reason for a job in at most `LONGEST` characters.

    Digests of code are replaced by the names of the modules that changed, and files after the first
    few by their number.
    """
    text = PARAMS.sub(_params, reason)
    parts = []
    for part in text.split("; "):
        kind, colon, listed = part.partition(": ")
        names = listed.split(", ")
        if colon and kind in ("Missing output files", "Input files updated by another job"):
            part = f"{kind}: {', '.join(short_list(sorted(names), 1))}"
        parts.append(part)
    text = "; ".join(parts)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _params(found: re.Match) -> str:
    before, now = found.groups()
    modules = sorted({*MODULE.findall(before), *MODULE.findall(now)})
    rest = [MODULE.sub("", side).strip(", ") for side in (before, now)]
    others = [side for side in rest if side and "nothing exclusive" not in side]
    said = [f"Code has changed: {', '.join(modules)}"] if modules else []
    if others or not modules:
        said.append(
            f"Params have changed: before {rest[0] or 'nothing'}, now {rest[1] or 'nothing'}"
        )
    return "; ".join(said)
