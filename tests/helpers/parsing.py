"""Parse the Snakefile many times: one process imports Snakemake, a fork of it reads each case.

Run in a copy of the repository with a JSON list of lists of options; prints, as JSON, a pair a
case: exit status and what Snakemake printed.
"""

import gc
import json
import os
import sys
import tempfile

import smart_open  # noqa: F401  what every parse imports
import snakemake.api
import snakemake.cli
import snakemake.utils
from packaging import version  # noqa: F401

sys.path.insert(0, "scripts")
from pulmoscan.acquire import local  # noqa: F401
from pulmoscan.config import check  # noqa: F401

HEAVY = {"keras", "tensorflow", "sklearn"}


def parse(options: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            status = 2
            try:
                snakemake.cli.main(options)
            except SystemExit as end:
                status = int(end.code or 0)
            print("imported:", *sorted(HEAVY & sys.modules.keys()), flush=True)
            sys.stderr.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return os.waitstatus_to_exitcode(status), printed.read().decode()


if __name__ == "__main__":
    snakemake.cli.parse_args(["--list-rules"])  # registers Snakemake's plugins, once
    gc.freeze()
    print(json.dumps([parse(options) for options in json.load(sys.stdin)]))
