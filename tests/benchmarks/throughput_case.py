"""Measure one case of throughput.py, or what the device reaches: a process of its own.

Prints JSON: what `measure` returns of the case, or what `device_rates` returns without one.
"""

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import device
import numpy as np
import roofline
from pulmoscan import command
from pulmoscan.backends import backend, loops

if TYPE_CHECKING:
    import keras

HEAD = ["average_pooling", {"dense": 128}, {"dense": 32}, {"dropout": 0.2}]
CLASSES = 4
IMAGES = 512  # packed images that the batches draw from
TRACES = 2  # in which kernels are timed
MIXED = ("bfloat16", "float16")
PRECISIONS = ("float32", "tf32", *MIXED)


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
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=json.loads, help="fields of Case; without: the device")
    parser.add_argument("--effort", type=json.loads, required=True, help="fields of Effort")
    parser.add_argument("--lock", type=Path, help="a file that programs share to measure in turn")
    options = parser.parse_args(argv)
    effort = Effort(**options.effort)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what libraries print is not the answer
        case = Case(**options.case) if options.case else None
        found = measure(case, effort, options.lock) if case else device_rates(effort, options.lock)
        print(json.dumps(found), file=answer)


def device_rates(effort: Effort, lock: Path | None = None) -> dict:
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
    with _alone(lock):
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
    """Return the measurements of a case (``COLUMNS`` of throughput.py), and its ``products``."""
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
        steps = loops.steps(model)
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
    from pulmoscan.networks import build, cut
    from pulmoscan.training import loop

    keras.utils.set_random_seed(0)
    network = {"backbone": case.backbone, "input_size": case.size, "head": HEAD}
    network = build.build(network, CLASSES)
    unfreeze = "0" if case.work == "features" else case.work.removeprefix("train-")
    cut.freeze(network, unfreeze)
    found = roofline.products(network.model)
    frozen, trained = cut.cut(network)
    facts = {
        "trained_weights": sum(map(_count, network.model.trainable_weights)),
        "policy": network.base[-1].dtype_policy.name,
    }
    if case.work == "features":
        of_frozen = {layer.name for layer in frozen.layers}
        found = [product for product in found if product.layer in of_frozen]
        model = frozen
    else:
        model = cut.joined(network, frozen, trained)
        loop.compile_model(model, 1e-4, jit_compile)
    return model, facts | {"products": [asdict(product) for product in found]}


def _count(weight: "keras.Variable") -> int:
    return int(np.prod(weight.shape))


def _batches(case: Case, count: int) -> "keras.utils.PyDataset":
    """Return batches of random packed images, as features.py or train.py read them."""
    from pulmoscan.inputs import batches

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
