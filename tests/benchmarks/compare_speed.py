"""Compare the speed of the published way with that of this workflow, on the same images.

Cases: ``frozen``, a run of some epochs with a frozen backbone; ``hyperband``, a search of its head;
``unfreeze``, a run that also trains the backbone's last layers; ``gradcam``, maps of some images.
Each measurement is one or more fresh processes on an otherwise idle machine, start of Python and
TensorFlow included. Both ways take turns, and which of them begins alternates. Nothing is
extrapolated: what is printed was run as printed.

Settings: see ``--help``. Inputs: the packed arrays, a sampling and the weights that a workflow made
(``snakemake results/packed/images.npy results/samplings/grouped/balanced.parquet ...``). Training
and validation images are drawn from all images of the sampling, the same number of each label. The
PNGs of the published way are written from the packed arrays before anything is measured, as these
were before. Outputs: tables on standard output, and with ``--output`` ``measurements.tsv`` (a row a
process), ``ratios.tsv`` (a row a case and figure), ``machine.json`` and the logs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import measure
import numpy as np
import pandas as pd
import rules

sys.path.append(str(measure.REPOSITORY / "scripts"))
from pulmoscan.inputs import pixels
from pulmoscan.networks import backbones

CASES = ("frozen", "unfreeze", "gradcam", "hyperband")
SIDES = ("published", "workflow")
# How many times faster the workflow is meant to be, by case and figure.
TO_REACH = {
    ("frozen", "seconds"): 10,
    ("hyperband", "seconds"): 100,
    ("unfreeze", "seconds"): 1.5,
    ("gradcam", "seconds_of_maps"): 10,
}
FIGURES = ("seconds", "seconds_to_maps", "seconds_of_maps", *measure.FIGURES[1:4])
EXPLAINED_BY = "images explained by the layer "
CHUNK = 256  # images whose pixels are in memory at a time


class Step(NamedTuple):
    """A process of a measurement: its name, the command, and what it prints once it is ready."""

    name: str
    command: list[str]
    marker: str | None = None


class Prepared(NamedTuple):
    """What both ways start from.

    Attributes:
        inputs: of the rules.
        folder: masked PNGs in ``train/<label>`` and ``validation/<label>``.
        explain: sampling of the images to explain, all of them test images.
        explain_folder: the same as PNGs, in ``test/<label>``.
        run: a trained network to explain.
        layer: name of the layer it is explained by.
    """

    inputs: rules.Inputs
    folder: Path
    explain: Path
    explain_folder: Path
    run: Path
    layer: str


def main(argv: Sequence[str]) -> None:
    """Measure the cases of ``--cases`` and print the comparison."""
    options = _parser().parse_args(argv)
    facts = measure.machine() | {"options": vars(options)}
    rows = []
    with tempfile.TemporaryDirectory(prefix="compare-speed-") as work:
        logs = (options.output or Path(work)) / "logs"
        prepared = prepare(options, Path(work), logs)
        for case in options.cases:
            repeats = options.hyperband_repeats if case == "hyperband" else options.repeats
            for repeat in range(1, repeats + 1):
                for side in SIDES if repeat % 2 else reversed(SIDES):
                    with tempfile.TemporaryDirectory(dir=work) as folder:
                        rows += measured(case, side, repeat, prepared, options, Path(folder), logs)
    table = pd.DataFrame(rows)
    totals = table[table["step"] == "total"]
    ratios = measure.compared(totals, [name for name in FIGURES if name in totals])
    keys = zip(ratios["case"], ratios["figure"], strict=True)
    ratios["to_reach"] = [TO_REACH.get(key, float("nan")) for key in keys]
    _print(ratios, options.explained, facts)
    if options.output is not None:
        measure.write(options.output, {"measurements": table, "ratios": ratios}, facts)


def prepare(options: argparse.Namespace, work: Path, logs: Path) -> Prepared:
    """Write what both ways start from into the folder ``work``; nothing of it is measured."""
    network = {
        "backbone": options.backbone,
        "arguments": options.arguments,
        "input_size": options.input_size,
    }
    name = backbones.weights_name(options.backbone, options.arguments)
    packed = options.results / "packed"
    inputs = rules.Inputs(
        images=packed / "images.npy",
        masks=packed / "masks.npy",
        sampling=work / "sampling.parquet",
        weights=options.weights or options.results / f"weights/{name}.weights.h5",
        network=network,
        threads=options.threads,
        epochs=options.epochs,
    )
    images = pd.read_parquet(
        options.sampling or options.results / "samplings/grouped/balanced.parquet"
    )
    sampling = choose(images, {"train": options.train, "validation": options.validation})
    sampling.to_parquet(inputs.sampling, index=False)
    write_pngs(inputs, sampling, work / "png")
    if not options.no_warm_up:  # libraries come from memory, not from the disk, from here on
        command = [sys.executable, "-c", "import keras, pandas, tensorflow"]
        measure.run(command, logs / "prepare-libraries.log")
    prepared = Prepared(
        inputs, work / "png", work / "explain.parquet", work / "explain", work / "run", ""
    )
    if "gradcam" not in options.cases:
        return prepared
    explain = choose(images, {"test": options.explained})
    explain.to_parquet(prepared.explain, index=False)
    write_pngs(inputs, explain, prepared.explain_folder)
    once = replace(inputs, epochs=1)
    measure.run(rules.features(once, "0", work), logs / "prepare-features.log")
    command = rules.train(once, "0", prepared.run, rules.cache(work))
    measure.run(command, logs / "prepare-train.log")
    log = logs / "prepare-gradcam.log"
    measure.run(rules.gradcam(inputs, prepared.run, prepared.explain, work / "cams", 1), log)
    line = next(x for x in log.read_text(encoding="utf-8").splitlines() if EXPLAINED_BY in x)
    return prepared._replace(layer=line.partition(EXPLAINED_BY)[2])


def choose(images: pd.DataFrame, parts: dict[str, int]) -> pd.DataFrame:
    """Return images of a sampling, dealt from its labels in turn, with ``split`` as ``parts`` say.

    ``parts`` maps the name of a split to its number of images. The choice is always the same.
    Raises ``ValueError`` when there are too few images.
    """
    number = sum(parts.values())
    if number > len(images):
        raise ValueError(f"{number} images are asked for, but the sampling has {len(images)}")
    shuffled = images.sample(frac=1, random_state=0)
    shuffled["turn"] = shuffled.groupby("label").cumcount()
    dealt = shuffled.sort_values(["turn", "label"]).head(number).drop(columns="turn")
    return dealt.assign(split=np.repeat(list(parts), list(parts.values()))).reset_index(drop=True)


def write_pngs(inputs: rules.Inputs, sampling: pd.DataFrame, folder: Path) -> None:
    """Write the masked images of a sampling as ``folder/<split>/<label>/<image>.png``."""
    images = np.load(inputs.images, mmap_mode="r", allow_pickle=False)
    masks = np.load(inputs.masks, mmap_mode="r", allow_pickle=False)
    for start in range(0, len(sampling), CHUNK):
        part = sampling.iloc[start : start + CHUNK]
        rows = part["row"].to_numpy()
        shown = pixels.apply(images[rows], masks[rows], rules.LUNGS)
        for image, split, label, name in zip(
            shown, part["split"], part["label"], part["image"], strict=True
        ):
            path = folder / split / label / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)


def steps(
    case: str, side: str, prepared: Prepared, options: argparse.Namespace, folder: Path
) -> list[Step]:
    """Return the processes of a case on one side, which write into ``folder``."""
    inputs = prepared.inputs
    unfreeze = options.unfreeze if case == "unfreeze" else 0
    if side == "workflow":
        if case == "gradcam":
            command = rules.gradcam(
                inputs, prepared.run, prepared.explain, folder, options.explained
            )
            return [Step("gradcam", command, EXPLAINED_BY)]
        first = Step("features", rules.features(inputs, str(unfreeze), folder))
        cache = rules.cache(folder)
        if case == "hyperband":
            search = (options.factor, options.iterations)
            return [first, Step("tune", rules.tune(inputs, folder, cache, *search))]
        return [first, Step("train", rules.train(inputs, str(unfreeze), folder, cache))]
    threads = ("--threads", options.threads)
    if case == "gradcam":
        found = ("--folder", prepared.explain_folder / "test", "--output", folder)
        model = ("--model", prepared.run / "model.keras", "--layer", prepared.layer)
        command = measure.python("benchmarks/published.py", case, *found, *model, *threads)
        return [Step("gradcam", command, "ready")]
    command = measure.python(
        "benchmarks/published.py",
        *("hyperband" if case == "hyperband" else "fit", "--folder", prepared.folder),
        *("--weights", inputs.weights, "--backbone", options.backbone),
        *("--arguments", json.dumps(options.arguments), "--input-size", options.input_size),
        *("--unfreeze", unfreeze, "--epochs", options.epochs, *threads),
        *("--output", folder / "published.json"),
    )
    if case == "hyperband":
        command += ["--factor", str(options.factor), "--iterations", str(options.iterations)]
    return [Step(case, command)]


def measured(
    case: str,
    side: str,
    repeat: int,
    prepared: Prepared,
    options: argparse.Namespace,
    folder: Path,
    logs: Path,
) -> list[dict]:
    """Run one side of a case once; return a row a process and one of the ``total``."""
    common = {"case": case, "repeat": repeat, "side": side}
    rows, costs = [], []
    for step in steps(case, side, prepared, options, folder):
        log = logs / f"{case}-{side}-{repeat}-{step.name}.log"
        load = measure.load()
        cost = measure.run(step.command, log, step.marker)
        costs.append(cost)
        rows.append(common | {"step": step.name, "load": load} | measure.figures(cost))
        print(f"{case} {repeat} {side} {step.name}: {cost.seconds:.1f} s", flush=True)
    whole = measure.total(costs)
    row = common | {"step": "total", "load": rows[0]["load"]} | measure.figures(whole)
    if case == "gradcam":
        row["seconds_to_maps"] = (folder / "cams.npy").stat().st_mtime - whole.started
        row["seconds_of_maps"] = row["seconds_to_maps"] - whole.ready
    return [*rows, row | outcome(case, side, folder)]


def outcome(case: str, side: str, folder: Path) -> dict:
    """Return what a measurement made: ``epochs``, ``trials``, ``val_accuracy`` or ``images``."""
    if case == "gradcam":
        return {"images": len(np.load(folder / "cams.npy", mmap_mode="r"))}
    if side == "published":
        made = json.loads((folder / "published.json").read_text(encoding="utf-8"))
    elif case == "hyperband":
        made = json.loads((folder / "best.json").read_text(encoding="utf-8"))
    else:
        history = pd.read_csv(folder / "history.tsv", sep="\t")
        made = {"epochs": len(history), "val_accuracy": history["val_accuracy"].max()}
    return {key: made[key] for key in ("epochs", "trials", "val_accuracy") if key in made}


def _print(ratios: pd.DataFrame, explained: int, facts: dict) -> None:
    shown = ratios.copy()
    for name in ("published", "workflow", "ratio"):
        columns = [f"{name}_{key}" for key in ("median", "lowest", "highest")]
        shown[name] = [
            f"{middle:.4g} ({low:.4g} to {high:.4g})"
            for middle, low, high in ratios[columns].itertuples(index=False)
        ]
    columns = ["case", "figure", "repeats", "published", "workflow", "ratio", "to_reach"]
    print("\nmedian (lowest to highest); ratio: published / workflow of the same repeat")
    print(shown[columns].to_string(index=False, na_rep=""))
    for row in ratios[ratios["case"] == "gradcam"].itertuples():
        if row.figure.startswith("seconds"):
            print(
                f"gradcam, {row.figure}: {explained / row.published_median:.2f} images a second "
                f"published, {explained / row.workflow_median:.2f} workflow"
            )
    print(f"{facts['processor']}, {facts['cores']} cores, load before {facts['load_1_minute']}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=_cases, default=CASES, help=f"some of {','.join(CASES)}")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a workflow")
    parser.add_argument("--sampling", type=Path, help="default: balanced, of --results")
    parser.add_argument("--weights", type=Path, help="default: the backbone's of --results")
    parser.add_argument("--backbone", default="MobileNet")
    parser.add_argument("--arguments", type=json.loads, default={}, help="JSON, of its constructor")
    parser.add_argument("--input-size", type=int, default=128, help="pixels")
    parser.add_argument("--train", type=int, default=640, help="training images")
    parser.add_argument("--validation", type=int, default=160, help="validation images")
    parser.add_argument("--explained", type=int, default=160, help="images of gradcam")
    parser.add_argument("--unfreeze", type=int, default=19, help="layers of the case unfreeze")
    parser.add_argument("--epochs", type=int, default=15, help="hyperband: at most, a trial")
    parser.add_argument("--factor", type=int, default=3, help="of hyperband")
    parser.add_argument("--iterations", type=int, default=1, help="of hyperband")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hyperband-repeats", type=int, default=1)
    parser.add_argument("--no-warm-up", action="store_true", help="do not read libraries first")
    parser.add_argument("--output", type=Path, help="folder for tables and logs")
    return parser


def _cases(text: str) -> list[str]:
    cases = text.split(",")
    if unknown := [case for case in cases if case not in CASES]:
        raise argparse.ArgumentTypeError(f"no case {unknown[0]!r}: there are {', '.join(CASES)}")
    return cases


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"compare_speed: {error}")
