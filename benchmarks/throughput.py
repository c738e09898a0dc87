"""Measure images a second of each backbone beside the device's limit, and what keeps it below.

Runs on any backend of Keras (KERAS_BACKEND) and any device; weights are random, which does not
change the speed. Each case is a process of its own. Its work is `features`, the pass of the frozen
part that scripts/features.py makes, or `train-U`, training steps with `unfreeze: U`, through the
project's own networks, batches and training. With --jobs several cases build and compile at once,
and only one is measured at a time; what the others prepare disturbs it, so the shortest of several
times is what counts.

Precisions: float32 computes in float32; tf32 lets NVIDIA's matrix units round what is multiplied to
10 bits (elsewhere it is float32); bfloat16 and float16 are Keras' mixed precision.

Outputs, in the folder --output: device.json (the device, and the rates it reaches), throughput.tsv
(a row a case, columns below) and throughput.txt, the table that is printed.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import device
import numpy as np
import pandas as pd
import roofline
from pulmoscan import backbones, backend, command, passes

if TYPE_CHECKING:
    import keras

HEAD = ["average_pooling", {"dense": 128}, {"dense": 32}, {"dropout": 0.2}]
CLASSES = 4
IMAGES = 512  # packed images that the batches draw from
TRACES = 2  # in which kernels are timed
MIXED = ("bfloat16", "float16")
PRECISIONS = ("float32", "tf32", *MIXED)
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
NOT_SHOWN = ("build_s", "depthwise_flops", "depthwise_limit", "error")


@dataclass(frozen=True)
class Case:
    """What is measured: ``work`` is features or train-U, ``size`` the input in pixels."""

    backbone: str
    work: str
    precision: str
    batch: int
    size: int


@dataclass(frozen=True)
class Effort:
    """How long is measured: most ``steps`` and about ``seconds`` for each figure.

    ``threads`` and ``xla`` of the backend; ``feeding``: whether other ways to feed batches are
    tried.
    """

    steps: int
    seconds: float
    threads: int
    xla: str
    feeding: bool


def main(argv: Sequence[str]) -> None:
    """Measure all cases and write the tables, or one case where a process is told to."""
    options = _parse(argv)
    effort = Effort(options.steps, options.seconds, options.threads, options.xla, options.feeding)
    if options.one is not None:
        with os.fdopen(os.dup(1), "w") as answer:
            os.dup2(2, 1)  # what libraries print is not the answer
            case = Case(**options.one) if options.one else None
            found = measure(case, effort, options.lock) if case else device_rates(effort)
            print(json.dumps(found), file=answer)
        return
    cases = [
        Case(backbone, *words, options.size)
        for words in options.cases
        for backbone in options.backbones
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    if options.rates is not None:
        rates = json.loads(options.rates.read_text(encoding="utf-8"))
    elif "error" in (rates := _child(None, options, None)):
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
        default=["features/float32/32", "train-0/float32/32", "train-all/float32/32"],
        metavar="WORK/PRECISION/BATCH",
        help="run for each backbone (default: %(default)s)",
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
    parser.add_argument("--one", type=json.loads, default=None, help=argparse.SUPPRESS)
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
    words = [sys.executable, __file__, "--one", json.dumps(asdict(case) if case else {})]
    for name in ("steps", "seconds", "threads", "xla"):
        words += [f"--{name}", str(getattr(options, name))]
    words += ["--feeding"] if options.feeding else []
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

    ``row`` is a case with what `measure` returns of it, ``rates`` what `device_rates` returns.
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


# ------------------------------------------------------------------------------ inside a process
def device_rates(effort: Effort) -> dict:
    """Return what the device reaches: operations a second by precision, and bytes a second.

    Measured with a large product of square matrices, and with a large array that is read and
    written. Also the backend's description and the bytes a second of copies to the device.
    """
    backend.configure(effort.threads)
    import keras

    facts = backend.describe()
    on_cpu = facts["device"] == "CPU"
    size, values = (1024, 1 << 26) if on_cpu else (8192, 1 << 29)
    random = np.random.default_rng(0)
    rates = {}
    for precision in PRECISIONS:
        backend.use_tensor_float_32(precision != "float32")
        matrix = random.standard_normal((size, size), dtype=np.float32)
        dtype = "float32" if precision == "tf32" else precision
        matrix = keras.ops.cast(keras.ops.convert_to_tensor(matrix), dtype)
        seconds = _repeated(lambda m=matrix: keras.ops.matmul(m, m), effort)
        rates[precision] = 2 * size**3 / min(seconds)
    array = keras.ops.ones((values,), "float32")
    moved = 2 * 4 * values / min(_repeated(lambda: array + 1.0, effort))
    host = random.integers(0, 256, 1 << 25, dtype=np.uint8)
    copied = _repeated(lambda: device.to_device(host), effort)
    return {
        **facts,
        "flop_s": rates,
        "bytes_s": moved,
        "copy_bytes_s": host.nbytes / min(copied),
        "xla_flags": os.environ.get("XLA_FLAGS"),
    }


def measure(case: Case, effort: Effort, lock: Path | None = None) -> dict:
    """Return the measurements of a case (see ``COLUMNS``) and the ``products`` of its network."""
    jit_compile = backend.configure(effort.threads, xla=effort.xla).jit_compile
    import keras

    backend.use_tensor_float_32(case.precision != "float32")
    policy = f"mixed_{case.precision}" if case.precision in MIXED else "float32"
    keras.config.set_dtype_policy(policy)
    started = time.perf_counter()
    model, facts = _model(case, jit_compile)
    if (found := facts.pop("policy")) != policy:
        raise ValueError(f"the layers of {case.backbone} follow the policy {found}, not {policy}")
    build_s = time.perf_counter() - started
    work = _pass(case, model)
    started = time.perf_counter()
    work(_batches(case, 1))
    first_s = time.perf_counter() - started
    if effort.feeding and case.work == "features":
        model.predict(_as_uint8(_batches(case, 1)), verbose=0)  # a program of its own
    with _alone(lock):
        few = _batches(case, 2)
        step_s = _of_batch(lambda: work(few), 2)
        batches = _batches(case, max(2, min(effort.steps, int(effort.seconds / step_s))))
        step_s = _of_batch(lambda: work(batches), len(batches))
        peak = device.peak_memory()
        figures = _kernels(lambda: work(few), facts["products"])
        figures |= _fed(case, model, batches, effort)
    return {
        **facts,
        "images_s": case.batch / step_s,
        "step_ms": 1e3 * step_s,
        **figures,
        "build_s": build_s,
        "compile_s": max(0.0, first_s - step_s),
        "peak_mb": None if peak is None else peak / 1e6,
    }


def _pass(case: Case, model: "keras.Model") -> Callable[["keras.utils.PyDataset"], None]:
    """Return what features.py or train.py does with batches."""
    if case.work != "features":
        steps = passes.steps(model)
        return lambda batches: steps.fit(batches) and None
    import features

    def forward(batches: "keras.utils.PyDataset") -> None:
        for index in range(len(batches)):
            features._forward(model, batches[index][0], case.batch)

    return forward


def _kernels(work: Callable[[], None], found: Sequence[dict]) -> dict:
    """Return ``device_ms`` of a batch and its parts by kind, of the quickest of some traces.

    ``work`` computes two batches.
    """
    depthwise = {p["layer"] for p in found if p["kind"] == "depthwise"}
    depthwise -= {p["layer"] for p in found if p["kind"] == "convolution"}  # separable: both
    traces = []
    for _ in range(TRACES):
        kinds = dict.fromkeys(device.KERNEL_KINDS, 0.0)
        kernels = device.kernel_seconds(work)
        for (kind, layer), seconds in kernels.items():
            kinds["depthwise" if layer in depthwise else kind] += 1e3 * seconds / 2
        if not kernels:
            return {"device_ms": None}
        traces.append(kinds)
    quickest = min(traces, key=lambda kinds: sum(kinds.values()))
    return {
        "device_ms": sum(quickest.values()),
        **{f"{kind}_ms": ms for kind, ms in quickest.items()},
    }


def _model(case: Case, jit_compile: bool) -> tuple["keras.Model", dict]:
    """Return the model that a case runs, and its ``products`` and ``trained_weights``."""
    import keras
    from pulmoscan import networks, training

    keras.utils.set_random_seed(0)
    network = {"backbone": case.backbone, "input_size": case.size, "head": HEAD}
    network = networks.build(network, CLASSES)
    unfreeze = "0" if case.work == "features" else case.work.removeprefix("train-")
    networks.freeze(network, unfreeze)
    found = roofline.products(network.model)
    frozen, trained = networks.split(network)
    facts = {
        "trained_weights": sum(map(_count, network.model.trainable_weights)),
        "policy": network.base[-1].dtype_policy.name,
    }
    if case.work == "features":
        of_frozen = {layer.name for layer in frozen.layers}
        found = [product for product in found if product.layer in of_frozen]
        model = frozen
    else:
        model = networks.joined(network, frozen, trained)
        training.compile_model(model, 1e-4, jit_compile)
    return model, facts | {"products": [asdict(product) for product in found]}


def _count(weight: "keras.Variable") -> int:
    return int(np.prod(weight.shape))


def _batches(case: Case, count: int) -> "keras.utils.PyDataset":
    """Return batches of random packed images, as features.py or train.py read them."""
    from pulmoscan import batches

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, case.size, case.size), dtype=np.uint8)
    source = batches.Pixels(images, np.ones_like(images), {"region": "lungs"}, case.size)
    if case.work != "features":  # a training reads an image in each epoch, and keeps its pixels
        source = source.keep(np.arange(IMAGES))
    rows = random.integers(0, IMAGES, count * case.batch)
    return batches.Batches(source, rows, rows % CLASSES, case.batch)


def _as_uint8(batches: "keras.utils.PyDataset") -> "keras.utils.PyDataset":
    """Return the same batches before their conversion to float32, which the device then does."""
    import keras

    class AsUint8(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            part = slice(index * batches.batch_size, (index + 1) * batches.batch_size)
            x = batches.source.read(batches.rows[part])
            # Not x[..., None]: JAX takes the stride of 0 for another layout, and copies slowly.
            return x.reshape(*x.shape, 1), batches.labels[part]

    return AsUint8()


def _fed(
    case: Case, model: "keras.Model", batches: "keras.utils.PyDataset", effort: Effort
) -> dict:
    """Return what it costs to read and to copy batches, and other ways to feed them."""
    x = batches[0][0]
    as_uint8 = _as_uint8(batches)
    x8 = as_uint8[0][0]
    figures = {
        "read_ms": 1e3 * min(_repeated(lambda: batches[0], effort)),
        "to_device_ms": 1e3 * min(_repeated(lambda: device.to_device(x), effort)),
        "to_device_uint8_ms": 1e3 * min(_repeated(lambda: device.to_device(x8), effort)),
    }
    if effort.feeding and case.work == "features":
        resident = device.to_device(x)
        figures["resident_ms"] = 1e3 * min(
            _repeated(lambda: model.predict_on_batch(resident), effort)
        )
        for name, some in (("predict_ms", batches), ("uint8_ms", as_uint8)):
            seconds = _of_batch(lambda s=some: model.predict(s, verbose=0), len(batches))
            figures[name] = 1e3 * seconds
    return figures


def _repeated(call: Callable[[], Any], effort: Effort) -> list[float]:
    """Return the seconds of calls until their results are there, after one that is not counted."""
    device.wait(call())
    seconds: list[float] = []
    while len(seconds) < max(2, effort.steps) and (
        len(seconds) < 2 or sum(seconds) < effort.seconds
    ):
        started = time.perf_counter()
        device.wait(call())
        seconds.append(time.perf_counter() - started)
    return seconds


def _of_batch(call: Callable[[], Any], batches: int) -> float:
    """Return the seconds of a batch in the quickest of three calls that compute several."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds) / batches


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Wait until no other case computes, and keep others from computing."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    command.run(main)
