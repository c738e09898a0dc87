"""How every script of the workflow starts, and how it exits when something is wrong."""

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

OWN_CODE = Path(__file__).resolve().parents[1]


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Run a script's ``main`` with the arguments of the command line, and exit.

    A ``ValueError`` or ``OSError`` that this project raised itself has a user-facing message, which
    is printed as one line on standard error; any other exception keeps its traceback. The exit
    status is 1 in both cases, and 130 when the user interrupts.
    """
    program = Path(sys.argv[0]).stem
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve()
        if not raised_in.is_relative_to(OWN_CODE):
            traceback.print_exc()
        sys.exit(f"{program}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
