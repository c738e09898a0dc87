"""Every way in which a file can be wrong that a stage reads: each must end in one line."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from refusals import refusal

Damage = tuple[str, Callable[[], None]]


def check(path: Path, call: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    """Damage a file in every way: the stage must name it in one line, and end.

    What is no file of its kind must be refused. A table with other content may be read where the
    stage does not need what is wrong.
    """
    kept = path.with_name(f"kept-{path.name}")
    path.rename(kept)
    try:
        for name, damage in [*_no_file(path, kept), *_other_content(path, kept)]:
            damage()
            _, sentence = refusal(call, arguments)
            if sentence is None:
                assert name.startswith(("column", "rows")), f"{path}: {name} is not noticed"
            # A selection of other runs looks for their files; fewer images are too few of them.
            elif "No such file" not in sentence and not name.startswith("rows"):
                assert path.name in sentence, f"{name}: {sentence}"
            _remove(path)
    finally:
        _remove(path)
        kept.rename(path)
    call(arguments)


def _no_file(path: Path, kept: Path) -> Iterator[Damage]:
    content = kept.read_bytes()
    yield "missing", lambda: None
    yield "truncated", lambda: path.write_bytes(content[: len(content) // 2])
    yield "empty", lambda: path.write_bytes(b"")
    yield "text", lambda: path.write_bytes(b"hello\tworld\n" * 9)
    yield "zeros", lambda: path.write_bytes(bytes(999))
    yield "folder", path.mkdir
    yield "pipe", lambda: os.mkfifo(path)


def _other_content(path: Path, kept: Path) -> Iterator[Damage]:
    if path.suffix == ".npy":
        array = np.load(kept)
        yield "another type", lambda: np.save(path, array.astype(np.float64))
        yield "other dimensions", lambda: np.save(path, array.ravel())
        yield "fewer rows", lambda: np.save(path, array[:1])
        yield "text", lambda: np.save(path, np.array(["a", "b"]))
    if path.suffix not in (".tsv", ".parquet"):
        return
    tsv = path.suffix == ".tsv"
    text = {"sep": "\t", "dtype": str, "keep_default_na": False}
    table = pd.read_csv(kept, **text) if tsv else pd.read_parquet(kept)

    def write(changed: pd.DataFrame) -> Callable[[], None]:
        if tsv:
            return lambda: changed.to_csv(path, sep="\t", index=False)
        return lambda: changed.to_parquet(path, index=False)

    yield "another table", write(pd.DataFrame({"x": [1, 2]}))
    for name in table:
        yield f"column {name} missing", write(table.drop(columns=name))
        text = pd.to_numeric(table[name], errors="coerce").isna().all()
        yield f"column {name} is another", write(table.assign(**{name: -7.5 if text else "other"}))
        yield f"column {name} is empty", write(table.assign(**{name: "" if tsv else None}))
    yield "rows twice", write(pd.concat([table, table]))
    yield "rows missing", write(table[:1])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
