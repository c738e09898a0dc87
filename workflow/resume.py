"""Resume the last run of the workflow in this folder; see `pulmoscan_terminal.resume`."""

import sys
from pathlib import Path

# Python does not add this folder itself where PYTHONSAFEPATH is set.
sys.path[:0] = [str(Path(__file__).resolve().parent)]

from pulmoscan_terminal import resume  # noqa: E402

if __name__ == "__main__":
    try:
        sys.exit(resume.main(Path.cwd()))
    except ValueError as error:
        sys.exit(f"resume: {error}")
