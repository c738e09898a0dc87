"""Numbered mutants of good files, and a report of what became of them.

The environment variable PULMOSCAN_FUZZ sets the number of damaged files in all (150 if it is not
set; 2,500 for the record). Mutant ``n`` is the same in every run. What became of them is printed:

    PULMOSCAN_FUZZ=2500 pytest -rP tests/unit/data -k mutated
"""

import os
from collections import Counter
from collections.abc import Sequence

import mutants
import numpy as np
import small_database as small

MUTANTS = int(os.environ.get("PULMOSCAN_FUZZ", "150"))
BOOK = small.workbook(
    [small.HEADER, *((f"COVID-{n}", "PNG", "299*299", "https://eurorad.org") for n in range(1, 30))]
)


def good_mask() -> bytes:
    """The PNG file of a mask without defects."""
    return small.encoded(small.mask())


def share(part: float) -> range:
    """The numbers of the mutants of a test that makes this part of all."""
    return range(max(round(part * MUTANTS), 1))


def mutated(
    number: int, files: Sequence[bytes], changes: Sequence[mutants.Change], seed: int
) -> tuple[bytes, bytes]:
    """Return a good file and its mutant."""
    random = np.random.default_rng([seed, number])
    file = files[random.integers(len(files))]
    return file, changes[number % len(changes)](random, file)


def report(what: str, outcomes: Counter[str]) -> None:
    """Print how often each outcome occurred."""
    print(f"\n{what}: {outcomes.total()} mutants")
    for reason, count in outcomes.most_common():
        print(f"  {count:5}  {reason}")
