"""What the backends of Keras tell of the device they compute on: copies, memory, and kernels.

Not part of the workflow: only what is measured with it depends on it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KERNEL_KINDS = ("convolution", "depthwise", "dense", "reduction", "elementwise", "copy")


def to_device(array: np.ndarray) -> Any:
    """Return a copy of an array in the device's memory, complete when this returns."""
    import keras

    tensor = keras.ops.convert_to_tensor(array)
    wait(tensor)
    return tensor


def wait(results: Any) -> None:
    """Return when the device has computed ``results``, which may be nested."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        tf.test.experimental.sync_devices()
    elif name == "jax":
        import jax

        jax.block_until_ready(results)
    else:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()


def peak_memory() -> int | None:
    """Return the most bytes of a GPU's memory that this process used; None without a GPU."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            return None
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if name == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def kernel_seconds(work: Callable[[], Any]) -> dict[tuple[str, str], float]:
    """Run ``work`` and return the seconds of a GPU's kernels, by kind and layer.

    Kinds are ``KERNEL_KINDS``; the layer is empty where a kernel serves none or several. Needs JAX
    and a GPU, and is empty without.
    """
    import keras

    if keras.backend.backend() != "jax":
        return {}
    import jax

    if jax.default_backend() == "cpu":
        return {}
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    options.host_tracer_level = 1
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            jax.block_until_ready(work())
        (path,) = Path(folder).rglob("*.xplane.pb")
        return _kernels(jax.profiler.ProfileData.from_file(str(path)))


def _kernels(profile: Any) -> dict[tuple[str, str], float]:
    """Return what `kernel_seconds` does, of a profile as JAX reads it."""
    seconds: dict[tuple[str, str], float] = {}
    for plane in profile.planes:
        for line in plane.lines if plane.name.startswith("/device:GPU") else ():
            for event in line.events if line.name.startswith("Stream") else ():
                facts = dict(event.stats)
                key = kernel_kind(event.name, facts.get("hlo_op", ""), facts.get("name", ""))
                seconds[key] = seconds.get(key, 0.0) + event.duration_ns / 1e9
    return seconds


def kernel_kind(kernel: str, instruction: str, origin: str) -> tuple[str, str]:
    """Return the kind of a GPU's kernel and the layer it serves, empty where it is not one.

    ``kernel`` is its name, ``instruction`` that of XLA (``cudnn-conv-bw-filter.53``), ``origin``
    where JAX made that: ``jit(train_step)/transpose(jvp(conv_dw_11))/conv_general_dilated``.
    """
    layer = origin.rpartition("/")[0].rpartition("/")[2]
    layer = layer.removeprefix("transpose(").removeprefix("jvp(").rstrip(")")
    if kernel.startswith(("Memcpy", "Memset")):
        return "copy", ""
    if instruction.startswith("cudnn-conv"):
        depthwise = any(part in kernel for part in ("c1_k1", "depthwise"))
        return "depthwise" if depthwise else "convolution", layer
    if "gemm" in instruction or "gemm" in kernel:
        return "dense", layer
    return ("reduction" if "reduce" in kernel else "elementwise"), ""
