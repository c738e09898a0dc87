"""Compare the speed of the published way with that of this workflow, on the same images.

Cases: ``frozen``, a training with a frozen backbone; ``hyperband``, a search of its head;
``unfreeze``, a training of the backbone's last layers too; ``gradcam``, maps of some images. The
workflow's way is the commands of its rules, as Snakemake recorded them when it prepared the images,
each in a process of its own; the published way is `published.py`. Start-up of Python and TensorFlow
is part of both. They take turns, and which of them begins alternates. Nothing is extrapolated: what
is printed was run as printed.

Settings: see ``--help``; networks, training and searches are those of ``config.yaml``, without
early stopping. The images are phantoms and the weights random unless a configuration says
otherwise. Outputs: tables on standard output, and with ``--output`` ``measurements.tsv`` (one row
per process), ``ratios.tsv`` (one row per case and figure), ``machine.json`` and the logs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import measure
import numpy as np
import pandas as pd
import repository

sys.path.append(str(measure.ROOT / "scripts"))
from pulmoscan.config import models
from pulmoscan.inputs import pixels

MODEL, TUNED = "mobilenet", "mobilenet-tuned"
SEARCH = "vgg16-tuned"  # the model whose head is searched, here after MobileNet
VARIANT, SAMPLING = "lungs", "benchmark"
SIDES = ("published", "workflow")
FIGURES = ("seconds", "seconds_to_maps", "seconds_of_maps", "cpu_seconds")
EXPLAINED_BY = "images explained by the layer "  # printed by gradcam.py when the model is loaded
MAPS = "cams.npy"
CHUNK = 256  # images whose pixels are in memory at a time


class Case(NamedTuple):
    """What is compared: a run, the rules of the workflow for it, and the published way."""

    model: str
    unfreeze: int
    rules: tuple[str, ...]
    way: str


CASES = {
    "frozen": Case(MODEL, 0, ("features", "train"), "fit"),
    "unfreeze": Case(MODEL, 19, ("cut", "train"), "fit"),
    "gradcam": Case(MODEL, 0, ("gradcam",), "gradcam"),
    "hyperband": Case(TUNED, 0, ("features", "tune"), "hyperband"),
}


class Prepared(NamedTuple):
    """How a case is run.

    Attributes:
        commands: the workflow's, by rule.
        published: the settings of `published.py`, but for its output.
        work: table of the workflow, with one row per epoch, trial or map.
        maps: those of the workflow.
    """

    commands: dict[str, str]
    published: dict
    work: Path
    maps: Path


def main(argv: Sequence[str]) -> None:
    """Measure the cases of ``--cases`` and print the comparison."""
    options = _parser().parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    rows = []
    with tempfile.TemporaryDirectory(prefix="compare-speed-") as name:
        work = Path(name)
        logs = (options.output or work) / "logs"
        config = configuration(options)
        runs = [(CASES[case].model, CASES[case].unfreeze, VARIANT, "") for case in options.cases]
        table = pd.DataFrame(runs, columns=["model", "unfreeze", "variant", "tables"])
        copy = repository.Repository(work / "copy", config, options.cores, table.drop_duplicates())
        for case in options.cases:
            prepared = prepare(copy, case, logs, work / case)
            for repeat in range(1, options.repeats + 1):
                for side in SIDES if repeat % 2 else reversed(SIDES):
                    log, output = logs / f"{case}-{repeat}", work / f"{case}-{repeat}"
                    costs = run_side(side, case, prepared, copy.folder, log, output)
                    rows += [{"case": case, "repeat": repeat, "side": side} | row for row in costs]
                    seconds = sum(row["seconds"] for row in costs)
                    print(f"{case} {repeat} {side}: {seconds:.1f} s", flush=True)
    measurements = pd.DataFrame(rows)
    ratios = compared(measurements)
    print(readable(ratios))
    print(
        f"ratio: published / workflow of the same repeat; {facts['processor']}, "
        f"{facts['cores']} cores, load before {facts['load_1_minute']}"
    )
    if options.output is not None:
        measure.write(options.output, {"measurements": measurements, "ratios": ratios}, facts)


def configuration(options: argparse.Namespace) -> dict:
    """Return the configuration of the compared runs, laid over the study's and the user's."""
    ours = {
        "dataset": {"source": "phantom", "phantom": {"images_per_class": options.images // 3 + 30}},
        "weights": {"source": "none"},
    }
    config = repository.merged(ours, *options.configfile)
    search = config["models"][SEARCH]
    tuned = {"like": MODEL, "head": search["head"], "tune": search["tune"] | {"variant": VARIANT}}
    return config | {
        "samplings": config["samplings"] | {SAMPLING: {"total": options.images}},
        "variants": {VARIANT: config["variants"][VARIANT] | {"sampling": SAMPLING}},
        "models": config["models"] | {TUNED: tuned},
        "training": config["training"] | {"patience": None},
        "explain": {"per_class": options.explained, "seed": 0, "images": []},
    }


def prepare(copy: repository.Repository, case: str, logs: Path, folder: Path) -> Prepared:
    """Run the workflow of a case once, and write the PNGs of the published way.

    Nothing of it is measured. From here on files and libraries come from memory, not from the disk.
    """
    model, unfreeze, rules, _ = CASES[case]
    selected = ("--config", f"run_filter=model == '{model}' and unfreeze == '{unfreeze}'")
    copy.run(logs / f"prepare-{case}.log", "--until", rules[-1], *selected)
    outputs = copy.outputs(*selected)
    made = outputs[outputs["shellcmd"] != "-"].drop_duplicates("rule").set_index("rule")
    described = models.resolve(copy.config)[model]
    sampling = pd.read_parquet(copy.file(outputs, "sampling", f"{SAMPLING}.parquet"))
    settings = {"folder": folder, "threads": described.training["threads"]}
    if case == "gradcam":
        explained = pd.read_csv(copy.file(outputs, "gradcam", "scores.tsv"), sep="\t")["image"]
        sampling = sampling[sampling["image"].isin(explained)].assign(split=".")
        log = next(copy.folder.glob("results/logs/gradcam/**/*.log"))
        layer = log.read_text(encoding="utf-8").partition(EXPLAINED_BY)[2].split()[0]
        settings |= {"model": copy.file(outputs, "train", "model.keras"), "layer": layer}
    else:
        weights = copy.file(outputs, "weights", ".h5")
        settings |= described.__dict__ | {"unfreeze": unfreeze, "weights": weights}
    packed = (copy.file(outputs, "pack", f"{name}.npy") for name in ("images", "masks"))
    write_pngs(
        sampling, *packed, copy.config["pixels"][copy.config["variants"][VARIANT]["pixels"]], folder
    )
    return Prepared(
        made["shellcmd"].loc[list(rules)].to_dict(),
        settings,
        copy.file(outputs, rules[-1], ".tsv"),
        copy.file(outputs, "gradcam", MAPS),
    )


def write_pngs(
    sampling: pd.DataFrame, images: Path, masks: Path, shown: Mapping, folder: Path
) -> None:
    """Write the images of a sampling as ``folder/<split>/<label>/<image>.png``.

    ``images`` and ``masks`` are packed arrays, ``shown`` the kind of pixels.
    """
    images, masks = (np.load(path, mmap_mode="r") for path in (images, masks))
    for start in range(0, len(sampling), CHUNK):
        part = sampling.iloc[start : start + CHUNK]
        rows = part["row"].to_numpy()
        for image, one in zip(
            pixels.apply(images[rows], masks[rows], shown), part.itertuples(), strict=True
        ):
            path = folder / one.split / one.label / f"{one.image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)


def run_side(
    side: str, case: str, prepared: Prepared, folder: Path, log: Path, output: Path
) -> list[dict]:
    """Run one side of a case once; return one row per process, the last with the ``work`` done.

    ``folder`` is where the workflow runs, ``output`` where the published way writes.
    """
    gradcam = case == "gradcam"
    if side == "workflow":
        commands, marker, maps = prepared.commands, EXPLAINED_BY, prepared.maps
    else:
        output.mkdir()
        settings = output / "settings.json"
        text = json.dumps(prepared.published | {"output": output}, default=str)
        settings.write_text(text, encoding="utf-8")
        program = Path(__file__).with_name("published.py")
        way = CASES[case].way
        commands = {way: [sys.executable, str(program), way, str(settings)]}
        marker, maps = "ready", output / MAPS
    rows = []
    for step, command in commands.items():
        path = log.with_name(f"{log.name}-{side}-{step}.log")
        cost = measure.run(command, path, folder, marker if gradcam else None)
        rows.append(
            {"step": step, "seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds}
            | {"peak_mb": cost.peak_mb}
        )
    if gradcam:
        to_maps = maps.stat().st_mtime - cost.started
        rows[-1] |= {"seconds_to_maps": to_maps, "seconds_of_maps": to_maps - cost.ready}
    if side == "workflow":
        rows[-1]["work"] = len(pd.read_csv(prepared.work, sep="\t"))
    else:
        rows[-1]["work"] = json.loads((output / "work.json").read_text(encoding="utf-8"))
    return rows


def compared(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return how both ways compare, one row per case and figure.

    Args:
        measurements: ``case, repeat, side, work`` and the figures, one row per process; figures of
            one side are added up, and one that a case lacks is left out of it.

    Returns:
        ``case, work, figure, repeats``, then median, lowest and highest of ``published``,
        ``workflow`` and ``ratio``. A ratio is published / workflow of the same repeat.

    Raises:
        ValueError: when one side trained for more epochs, or made more trials or maps.
    """
    rows = []
    figures = [name for name in FIGURES if name in measurements]
    for case, processes in measurements.groupby("case", sort=False):
        work = processes["work"].dropna().unique()
        if len(work) > 1:
            raise ValueError(
                f"{case}: the sides did different work: {', '.join(f'{n:g}' for n in work)}"
            )
        sides = processes.groupby(["repeat", "side"])[figures].sum(min_count=1).unstack("side")
        for figure in figures:
            pair = sides[figure].dropna()
            if pair.empty:
                continue
            row = {"case": case, "work": int(work[0]), "figure": figure, "repeats": len(pair)}
            ratio = pair["published"] / pair["workflow"]
            for name, values in (*pair.items(), ("ratio", ratio)):
                row |= {f"{name}_{key}": value for key, value in measure.spread(values).items()}
            rows.append(row)
    return pd.DataFrame(rows)


def readable(ratios: pd.DataFrame) -> str:
    """Return the table of ratios as text, each figure as ``median (lowest to highest)``."""
    shown = ratios[["case", "work", "figure", "repeats"]].copy()
    for name in (*SIDES, "ratio"):
        shown[name] = [
            f"{row[f'{name}_median']:.4g} "
            f"({row[f'{name}_lowest']:.4g} to {row[f'{name}_highest']:.4g})"
            for _, row in ratios.iterrows()
        ]
    return shown.to_string(index=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES)[:3])
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="data, weights, ...")
    parser.add_argument("--images", type=int, default=800, help="training and validation images")
    parser.add_argument("--explained", type=int, default=40, help="test images per class")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, help="folder for tables and logs")
    return parser


if __name__ == "__main__":
    measure.start(main)
