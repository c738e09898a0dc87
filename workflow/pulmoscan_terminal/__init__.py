"""What a run of the workflow prints, and how a run that was killed is resumed.

Snakemake announces every job with its files, reason and resources, and quotes the shell command of
one that failed. Here a run shows its stages, what is running and for how long; without a terminal,
one line per finished job. It ends with the results, or with the error line of what failed. Jobs
write into their logs alone, which are followed from here. ``--printshellcmds`` (``-p``) and
``--verbose`` show what Snakemake shows, and what jobs write; ``--quiet`` and ``--logger`` do what
they say.

Nothing in here is imported by a job. The package has a long name because a workflow that imports
this one as a module shares its ``sys.path``.
"""

import logging
from typing import Any

from snakemake.logging import logger

from pulmoscan_terminal.display import Screen, can_be_redrawn
from pulmoscan_terminal.echo import Echo
from pulmoscan_terminal.plain import Lines
from pulmoscan_terminal.terminal import Terminal
from pulmoscan_terminal.watch import Explain, Watch

SNAKEMAKES = "DefaultStreamHandler"  # the handler that prints, unless --logger brings another


def install(workflow: Any, prints: bool = True) -> None:
    """Print what Snakemake logs in our way, from now on; a second call changes nothing.

    Without ``prints`` Snakemake's way is kept: of a workflow that imports this one. Its log file
    under ``.snakemake/log`` is kept in any case.
    """
    if not workflow.is_main_process or any(isinstance(one, Watch) for one in logger.handlers):
        return
    for one in [one for one in logger.filters if isinstance(one, Explain)]:
        logger.removeFilter(one)  # of an earlier workflow in this process
    logger.addFilter(Explain(workflow))
    settings = workflow.output_settings
    default = next((one for one in logger.handlers if one.name == SNAKEMAKES), None)
    if prints and default is not None and not settings.quiet:
        if settings.printshellcmds or settings.verbose:
            logger.addHandler(Echo(default.stream))
        else:
            logger.removeHandler(default)
            logger.addHandler(_terminal(workflow, default))
    logger.addHandler(Watch(workflow))  # last: it adds to what the others print


def _terminal(workflow: Any, default: logging.StreamHandler) -> Terminal:
    live = can_be_redrawn(default.stream)
    view = Screen(default.stream, default.nocolor) if live else Lines(default.stream)
    handler = Terminal(workflow, view, default.formatter)
    for one in default.filters:
        handler.addFilter(one)
    return handler
