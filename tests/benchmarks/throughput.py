"""Measure images a second of each backbone beside the device's limit, and what keeps it below.

Runs on any backend of Keras (KERAS_BACKEND) and any device; weights are random, which does not
change the speed. Each case is a process of its own, throughput_case.py. Its work is `features`, the
pass of the frozen part that scripts/features.py makes, or `train-U`, training steps with
`unfreeze: U`, through the project's own networks, batches and training. With --jobs several cases
build and compile at once, and only one is measured at a time; what the others prepare disturbs it,
so the shortest of several times is what counts.

Precisions: float32 computes in float32; tf32 lets NVIDIA's matrix units round what is multiplied to
10 bits (elsewhere it is float32); bfloat16 and float16 are Keras' mixed precision.

Outputs, in the folder --output: device.json (the device, and the rates it reaches), throughput.tsv
(a row a case, columns below) and throughput.txt, the table that is printed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import device
import pandas as pd
import roofline
import throughput_case
from pulmoscan import command
from pulmoscan.backends import backend
from pulmoscan.networks import backbones
from throughput_case import PRECISIONS, Case, Effort

COLUMNS = {
    "backbone": "",
    "work": "features, or train-U with U the layers that are unfrozen",
    "precision": "",
    "batch": "images",
    "images_s": "images a second, through the project's code from packed arrays to result",
    "limit_images_s": "images a second that arithmetic and memory of the device allow",
    "share": "images_s / limit_images_s",
    "step_ms": "of a batch, through the project's code",
    "predict_ms": "the same by Keras' predict, which reads a batch while another is computed",
    "uint8_ms": "the same, with pixels that travel as uint8",
    "resident_ms": "of a batch that lies on the device already, by predict_on_batch",
    "device_ms": "of step_ms, what the device computes and copies; with JAX on a GPU",
    **{f"{kind}_ms": "of device_ms" for kind in device.KERNEL_KINDS},
    "waiting_ms": "step_ms - device_ms: the device waits for what reads, copies and calls",
    "limit_ms": "least time of a batch on the device",
    "read_ms": "to read a batch from the packed arrays",
    "to_device_ms": "to copy a float32 batch to the device",
    "to_device_uint8_ms": "the same as uint8",
    "build_s": "to build the network",
    "compile_s": "of the first call, without its computing",
    "peak_mb": "most device memory in use, in 10^6 bytes; empty on a CPU",
    "gflop_image": "arithmetic of an image, in 10^9 operations",
    "tflop_s": "arithmetic a second in device_ms, or in step_ms without, in 10^12",
    "depthwise_flops": "share of depthwise convolutions in the arithmetic",
    "depthwise_limit": "their share in limit_ms",
    "error": "why there is no measurement",
}
CASES = ("features/float32/32", "train-0/float32/32", "train-all/float32/32")
NOT_SHOWN = ("build_s", "depthwise_flops", "depthwise_limit", "error")


def main(argv: Sequence[str]) -> None:
    """Measure all cases and write the tables."""
    options = _parse(argv)
    cases = [
        Case(backbone, *words, options.size)
        for words in options.cases
        for backbone in options.backbones
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    if options.rates is not None:
        rates = json.loads(options.rates.read_text(encoding="utf-8"))
    elif "error" in (rates := _child(None, options, options.lock)):
        raise ValueError(f"the device's rates could not be measured: {rates['error']}")
    (options.output / "device.json").write_text(json.dumps(rates, indent=2) + "\n")
    print(json.dumps(rates, indent=2), flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        lock = options.lock or Path(folder) / "device.lock"
        started = [pool.submit(_row, case, options, lock, rates) for case in cases]
        for _ in as_completed(started):  # what is done is kept when the program is interrupted
            _write(options.output, [each.result() for each in started if each.done()])
    print(_write(options.output, [each.result() for each in started]))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", nargs="+", default=list(backbones.BACKBONES))
    parser.add_argument(
        "--cases",
        nargs="+",
        type=_case,
        default=list(map(_case, CASES)),
        metavar="WORK/PRECISION/BATCH",
        help=f"run for each backbone (default: {' '.join(CASES)})",
    )
    parser.add_argument("--size", type=int, default=256, help="input in pixels")
    parser.add_argument("--steps", type=int, default=30, help="most steps a figure")
    parser.add_argument("--seconds", type=float, default=1.0, help="about that long a figure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--xla", choices=backend.SWITCHES, default="auto", help="as in training:")
    parser.add_argument("--feeding", action="store_true", help="try other ways to feed features")
    parser.add_argument("--jobs", type=int, default=1, help="cases that compile at once")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds a case may take")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks/throughput"))
    parser.add_argument("--rates", type=Path, help="a device.json: do not measure the rates again")
    parser.add_argument("--lock", type=Path, help="a file that programs share to measure in turn")
    options = parser.parse_args(argv)
    for backbone in options.backbones:
        backbones.find(backbone)
    if min(options.steps, options.jobs) < 1:
        parser.error("--steps and --jobs are 1 or more")
    return options


def _case(text: str) -> tuple[str, str, int]:
    """Return work, precision and batch of an entry of --cases."""
    parts = text.split("/")
    if (
        len(parts) != 3
        or not (parts[0] == "features" or parts[0].startswith("train-"))
        or parts[1] not in PRECISIONS
        or not parts[2].isdecimal()
        or int(parts[2]) < 1
    ):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected features or train-0, train-19, train-half, train-all, then one of "
            f"{', '.join(PRECISIONS)}, then the images of a batch, as in train-all/float32/32"
        )
    return parts[0], parts[1], int(parts[2])


def _child(case: Case | None, options: argparse.Namespace, lock: Path | None) -> dict:
    """Return what a process of its own measured, or ``error`` with its last line."""
    effort = Effort(options.steps, options.seconds, options.threads, options.xla, options.feeding)
    words = [sys.executable, throughput_case.__file__, "--effort", json.dumps(asdict(effort))]
    words += ["--case", json.dumps(asdict(case))] if case else []
    words += ["--lock", str(lock)] if lock else []
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=options.timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {options.timeout:g} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"error": lines[-1][:300]}
    return json.loads(done.stdout)


def _row(case: Case, options: argparse.Namespace, lock: Path, rates: dict) -> dict:
    found = _child(case, options, lock)
    row = {**asdict(case), **found}
    if "error" not in found:
        row |= beside_limit(row, rates)
    said = row.get("error") or f"{row['images_s']:.0f} images/s, {row['share']:.0%} of the limit"
    print(f"{case.backbone} {case.work} {case.precision} {case.batch}: {said}", flush=True)
    return row


def beside_limit(row: dict, rates: dict) -> dict:
    """Return the columns that compare a measurement with the device's limit.

    ``row`` is a case with what `throughput_case.measure` returns of it, ``rates`` what
    `throughput_case.device_rates` returns.
    """
    found = [roofline.Product(**product) for product in row["products"]]
    reached = roofline.Device(rates["flop_s"][row["precision"]], rates["bytes_s"])
    itemsize = 4 if row["precision"] in ("float32", "tf32") else 2
    training = row["work"] != "features"
    least = roofline.least_seconds(
        found, row["batch"], itemsize, reached, training, row["trained_weights"]
    )
    depthwise = roofline.least_seconds(
        found, row["batch"], itemsize, reached, training, kind="depthwise"
    )
    device_ms = row["device_ms"]
    flops = roofline.flops(found, training)
    return {
        "limit_ms": 1e3 * least,
        "limit_images_s": row["batch"] / least,
        "share": row["images_s"] * least / row["batch"],
        "gflop_image": flops / 1e9,
        "tflop_s": row["batch"] * flops / (device_ms or row["step_ms"]) / 1e9,
        "waiting_ms": device_ms and row["step_ms"] - device_ms,
        "depthwise_flops": roofline.flops(found, training, "depthwise") / flops,
        "depthwise_limit": depthwise / least,
    }


def _write(folder: Path, rows: Sequence[dict]) -> str:
    """Write the tables; return the printed one."""
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    table.to_csv(folder / "throughput.tsv", sep="\t", index=False, float_format="%.5g")
    text = readable(table)
    (folder / "throughput.txt").write_text(text, encoding="utf-8")
    return text


def readable(table: pd.DataFrame) -> str:
    """Return the columns that matter most, as text, and what each of them means."""
    shown = table.drop(columns=list(NOT_SHOWN)).dropna(axis="columns", how="all")
    legend = "".join(
        f"{name}: {meaning}\n" for name, meaning in COLUMNS.items() if meaning and name in shown
    )
    formats = {
        name: ("{:.0f}" if "images" in name else "{:.3g}").format
        for name in shown.select_dtypes("number")
    }
    return shown.to_string(index=False, formatters=formats, na_rep="-") + "\n\n" + legend


if __name__ == "__main__":
    command.run(main)
