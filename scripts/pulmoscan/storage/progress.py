"""Lines that say how far a long task is."""

import sys
import threading
import time
from collections.abc import Callable

SECONDS = 5  # between two lines


def sayer(name: str) -> Callable[[str], None]:
    """Return a function that prints a line about a task, which begins with the task's name.

    Tasks run side by side, and a log is read far from the place that tells whose it is.

    >>> sayer("grouped/lungs/lenet5/unfreeze-all/seed-0")("epoch 1/8")
    grouped/lungs/lenet5/unfreeze-all/seed-0: epoch 1/8
    """
    return lambda line: print(f"{name}: {line}", flush=True)


class Progress:
    """Counts what is done, and prints a line about it every few seconds, from any thread.

    Example:
        progress = Progress(lambda done: f"{done} of {len(images)} images", total=len(images))
        for image in images:
            measure(image)
            progress.add(1)

    Args:
        line: returns the line, given the sum of each of the amounts added.
        total: the first sum with which the task is finished; the line about that is always printed.
            None where it is not known, or where the end is reported in another way.
        seconds: time between two lines; ``SECONDS`` unless given.
    """

    def __init__(
        self, line: Callable[..., str], total: int | None = None, seconds: float | None = None
    ) -> None:
        self._line, self._total = line, total
        self._seconds = SECONDS if seconds is None else seconds
        self._done: list[int] = []
        self._next = time.monotonic() + self._seconds
        self._lock = threading.Lock()

    def add(self, *amounts: int) -> None:
        """Add to what is done: every call gives as many amounts, such as files and bytes."""
        with self._lock:
            done = self._done or [0] * len(amounts)
            self._done = [sum(pair) for pair in zip(done, amounts, strict=True)]
            now = time.monotonic()
            if now >= self._next or self._done[0] == self._total:
                self._next = now + self._seconds
                print(self._line(*self._done), file=sys.stderr, flush=True)
