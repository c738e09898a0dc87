"""Show the peak memory of the stages for a number of images, and for ten times as many.

The networks' stages read random images that are packed on the spot, the data stages phantoms that
``download.py`` draws. A stage whose memory is bounded by its batch takes the same for both numbers;
``kb_an_image`` is what one more image adds. See ``measure.py`` for *anonymous* and *mapped*: only
the first is memory that a stage needs.

Settings: see ``--help``. Outputs: a table on standard output, and with ``--output`` ``memory.tsv``
and ``machine.json``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import measure
import numpy as np
import pandas as pd
import rules
from numpy.lib.format import open_memmap

STAGES = (
    "pack",
    "audit",
    "features",
    "features, cut",
    "train, head on features",
    "train, behind the cut",
    "train, on pixels",
    "gradcam",
)
ARGUMENTS = {"alpha": 0.25}  # of MobileNet: the smallest backbone
CLASSES = 4
CHUNK = 256  # images that are made at a time
EPOCHS = 1
SHARES = (0.64, 0.16, 0.2)  # of training, validation and test images


def main(argv: Sequence[str]) -> None:
    """Measure every stage for both numbers of images and print the table."""
    options = _parser().parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    rows = []
    for number in options.images:
        with tempfile.TemporaryDirectory(prefix="memory-") as work:
            for stage, command in commands(options, number, Path(work)):
                if stage not in options.stages:
                    continue
                cost = measure.run(command, Path(work) / f"{stage}.log")
                rows.append({"stage": stage, "images": number} | measure.figures(cost))
                print(f"{number} images, {stage}: {cost.seconds:.1f} s", flush=True)
    table = pd.DataFrame(rows)
    print(side_by_side(table).to_string(index=False, float_format="%.1f"))
    if options.output is not None:
        measure.write(options.output, {"memory": table}, facts)


def commands(
    options: argparse.Namespace, number: int, work: Path
) -> Iterator[tuple[str, list[str]]]:
    """Give name and command of every stage in an order in which they can run, in ``work``.

    What a stage needs that is no stage itself is made, unmeasured, before the stage is given.
    """
    if {"pack", "audit"} & set(options.stages):
        yield from _data_stages(options, number, work)
    if set(options.stages) <= {"pack", "audit"}:
        return
    inputs = random_inputs(options, number, work)
    cut = str(options.unfreeze)
    yield "features", rules.features(inputs, "0", work / "frozen")
    yield "features, cut", rules.features(inputs, cut, work / "cut")
    cache = rules.cache(work / "frozen")
    yield "train, head on features", rules.train(inputs, "0", work / "run", cache)
    cache = rules.cache(work / "cut")
    yield "train, behind the cut", rules.train(inputs, cut, work / "run-cut", cache)
    yield "train, on pixels", rules.train(inputs, cut, work / "run-pixels")
    explained = (inputs.sampling, work / "cams", options.explained)
    yield "gradcam", rules.gradcam(inputs, work / "run", *explained)


def _data_stages(
    options: argparse.Namespace, number: int, work: Path
) -> Iterator[tuple[str, list[str]]]:
    threads = ("--threads", options.threads)
    phantom = {"images_per_class": number // CLASSES, "size": 299, "seed": 0}
    raw = ("--raw", work / "raw")
    files = work / "raw.tsv"
    drawn = ("--source", "phantom", "--phantom", json.dumps(phantom), "--cache", work / "cache")
    command = measure.python("scripts/download.py", *drawn, *raw, "--table", files, *threads)
    measure.run(command, work / "download.log")
    packed = ("--images", work / "packed/images.npy", "--masks", work / "packed/masks.npy")
    both = (*raw, "--files", files, *packed, "--decoded", work / "decoded.parquet", *threads)
    yield "pack", measure.python("scripts/pack.py", *both, "--size", 256)
    written = ("--audit", work / "audit", "--tables", work / "tables")
    yield "audit", measure.python("scripts/audit.py", *both, "--on-defect", "exclude", *written)


def random_inputs(options: argparse.Namespace, number: int, work: Path) -> rules.Inputs:
    """Return what networks read: random images, masks of ones, random weights, a sampling."""
    random = np.random.default_rng(0)
    shape = (number, options.size, options.size)
    paths = {name: work / f"{name}.npy" for name in ("images", "masks")}
    for name, path in paths.items():
        array = open_memmap(path, "w+", np.uint8, shape)
        for start in range(0, number, CHUNK):
            part = array[start : start + CHUNK]
            part[:] = random.integers(0, 256, part.shape) if name == "images" else 1
        del array
    names = np.array(["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"])
    label = names[np.arange(number) % CLASSES]
    table = pd.DataFrame({"row": np.arange(number), "class": label, "label": label})
    table["image"] = [f"{one}-{row}" for row, one in enumerate(label)]
    table["source"], table["group"] = "random", table["image"]
    ends = np.cumsum(SHARES)[:-1] * number
    table["split"] = np.array(["train", "validation", "test"])[
        np.searchsorted(ends, np.arange(number), side="right")
    ]
    table.to_parquet(work / "sampling.parquet", index=False)
    backbone = ("--backbone", "MobileNet", "--arguments", json.dumps(ARGUMENTS))
    weights = work / "mobilenet.weights.h5"
    command = measure.python(
        "scripts/weights.py", *backbone, "--source", "none", "--output", weights
    )
    measure.run(command, work / "weights.log")
    return rules.Inputs(
        **paths,
        sampling=work / "sampling.parquet",
        weights=weights,
        network={
            "backbone": "MobileNet",
            "arguments": ARGUMENTS,
            "input_size": options.size,
        },
        threads=options.threads,
        epochs=EPOCHS,
    )


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a stage: its memory for both numbers of images, and what an image more adds.

    Args:
        table: ``stage, images, resident_mb, anonymous_mb, mapped_mb``, a row a stage and number.

    Returns:
        ``stage``, each figure for each number (``anonymous_mb 800``), and ``kb_an_image``: the
        growth of anonymous memory in kB, NaN with one number of images only.
    """
    figures = ["anonymous_mb", "mapped_mb", "resident_mb"]
    wide = table.pivot(index="stage", columns="images", values=figures)
    few, many = wide.columns.levels[1].min(), wide.columns.levels[1].max()
    more = wide["anonymous_mb"]
    growth = (more[many] - more[few]) * 1000 / (many - few) if many > few else float("nan")
    wide.columns = [f"{figure} {images}" for figure, images in wide.columns]
    order = list(dict.fromkeys(table["stage"]))
    return wide.assign(kb_an_image=growth).loc[order].reset_index()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[800, 8000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--size", type=int, default=96, help="pixels of the random images")
    parser.add_argument("--unfreeze", type=int, default=19, help="layers behind the cut")
    parser.add_argument("--explained", type=int, default=4, help="images a class, of gradcam")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="folder for the table")
    return parser


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"memory: {error}")
