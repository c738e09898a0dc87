"""What our own code says when it refuses."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulmoscan import command


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """Return what the call returns and None, or None and the sentence with which it refuses.

    Fails for a ``ValueError`` or ``OSError`` that a library raised, which ends with a traceback; so
    does any other exception by itself.
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
