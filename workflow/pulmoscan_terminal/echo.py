"""What jobs write into their logs, on the terminal as well: with ``-p`` and ``--verbose``."""

import logging
import threading
import time
from pathlib import Path
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from pulmoscan_terminal.jobs import written_since

EVERY = 0.5  # seconds


class Echo(logging.Handler):
    """Copies what running jobs write into their logs."""

    def __init__(self, stream: TextIO) -> None:
        """Copy to a stream."""
        super().__init__()
        self._stream = stream
        self._followed: dict[int, tuple[Path, float, int]] = {}  # path, begin, bytes copied
        self._lock_followed = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Follow the log of a job from its beginning to its end."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO and record.log:
            with self._lock_followed:
                self._followed[record.jobid] = Path(record.log[0]), time.time(), 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, daemon=True)
                self._thread.start()
        elif event in (LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR):
            number = record.job_id if event == LogEvent.JOB_FINISHED else record.jobid
            with self._lock_followed:
                self._copy(number)
                self._followed.pop(number, None)

    def close(self) -> None:
        """Stop copying."""
        self._ended.set()
        super().close()

    def _follow(self) -> None:
        while not self._ended.wait(EVERY):
            with self._lock_followed:
                for number in list(self._followed):
                    self._copy(number)

    def _copy(self, number: int) -> None:
        if number not in self._followed:
            return
        path, began, copied = self._followed[number]
        if not written_since(path, began):
            return
        try:
            with path.open("rb") as file:
                file.seek(copied)
                new = file.read()
        except OSError:
            return
        self._followed[number] = path, began, copied + len(new)
        self._stream.write(new.decode("utf-8", "replace"))
        self._stream.flush()
