"""Compare every result with the digest that was recorded when it was made.

Names each file that was changed, is gone, cannot be read or was never recorded, and says how to
make changed ones anew. The exit status is 1 where files were changed, are gone or cannot be read.
Logs, benchmarks, checkpoints and caches are no results.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
from pulmoscan.results.verification import State, made_by, verify

NAMED = 20  # files of a state
MEANING = {
    State.CHANGED: "was changed after it was made",
    State.MISSING: "is gone",
    State.UNREADABLE: "cannot be read",
    State.UNRECORDED: "has no recorded digest",
}
WRONG = (State.CHANGED, State.MISSING, State.UNREADABLE)
COMMAND = Path("results/logs/command.json")  # how Snakemake was started last


def main(argv: Sequence[str]) -> int:
    """Verify the folder of results that the command line names, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="files at a time")
    arguments = parser.parse_args(argv)
    results = arguments.results
    if not results.is_dir():
        raise ValueError(f"there is no folder {results}")
    if arguments.cores < 1:
        raise ValueError(f"--cores is {arguments.cores}: expected 1 or more")
    if any((results.absolute().parent / ".snakemake/locks").glob("*")):
        print("Snakemake is running here or was killed: files of unfinished jobs may be named.")
    found = verify(results, arguments.cores)
    if not found:
        raise ValueError(f"{results} holds no results")
    for state, meaning in MEANING.items():
        names = [name for name, there in found.items() if there is state]
        for name in names[:NAMED]:
            print(f"{results / name} {meaning}")
        if len(names) > NAMED:
            print(f"and {len(names) - NAMED:,} more files: {meaning}")
    counts = {state: sum(there is state for there in found.values()) for state in State}
    number = counts[State.MATCHES]
    told = ["1 file matches its digest" if number == 1 else f"{number:,} files match their digests"]
    told += [f"{counts[state]:,} {state}" for state in MEANING if counts[state]]
    print(", ".join(told))
    if counts[State.UNRECORDED] and not counts[State.MATCHES]:
        print(f"No digests are recorded in {results / 'digests'}: nothing can be compared.")
    wrong = [name for name, there in found.items() if there in WRONG]
    if wrong:
        print(advice(results, wrong))
    return int(bool(wrong))


def advice(results: Path, wrong: Sequence[PurePosixPath]) -> str:
    """Return how to make files anew, with all that was made from them."""
    if results.absolute() != Path("results").absolute():
        return "Restore them from a copy."
    outputs = list(dict.fromkeys(f"results/{made_by(name)}" for name in wrong))
    more = f"\n  (and {len(outputs) - NAMED:,} more)" if len(outputs) > NAMED else ""
    return (
        "Restore them from a copy, or make them and all that depends on them anew:\n"
        f"  {shlex.join(command(outputs[:NAMED]))}{more}"
    )


def command(outputs: Sequence[str]) -> list[str]:
    """Return the last command of this folder with the option that makes some outputs anew."""
    try:
        recorded = json.loads(COMMAND.read_text(encoding="utf-8"))
        words, environment = list(recorded["arguments"]), dict(recorded["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        words, environment = ["--cores", "all"], {}
    changed = [f"{key}={value}" for key, value in environment.items() if os.getenv(key) != value]
    program = Path(sys.executable).with_name("snakemake")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    end = words.index("--") if "--" in words else len(words)
    words[end:end] = ["--forcerun", *outputs]
    return [*(["env", *changed] if changed else []), str(program), *words]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"verify: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
