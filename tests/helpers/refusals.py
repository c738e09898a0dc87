"""The messages with which our own code refuses something."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulmoscan import command


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """Return the result of the call and None, or None and the message of the error it raises.

    Fails for a ``ValueError`` or ``OSError`` that a library raised, since the user would see a
    traceback. Any other exception is not caught.
    """
    try:
        return call(*arguments), None
    except (ValueError, OSError) as raised:
        error = raised
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve()
    shown = "".join(traceback.format_exception(error))
    assert raised_in.is_relative_to(command.OWN_CODE), shown
    assert str(error).strip(), shown
    assert "\n" not in str(error), shown
    return None, str(error)
