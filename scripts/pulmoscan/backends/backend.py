"""Which backend of Keras computes, on which device and with which precision.

Scripts call `configure` before anything imports Keras, because a backend reads most of these
settings only once.
"""

import gc
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pulmoscan.backends import gpus

NOTICES = ("absl::InitializeLog()", "oneDNN custom operations are on")
BACKENDS = ("tensorflow", "jax", "torch")
TENSOR_FLOAT_32 = (8, 0)  # NVIDIA compute capability from which it and bfloat16 are available


@dataclass(frozen=True)
class Settings:
    """What `configure` decided: threads in force, Keras' dtype policy, and XLA compilation.

    ``tensor_float_32`` is whether a GPU may round float32 factors to 10 bits when it multiplies.
    """

    threads: int
    dtype_policy: str
    jit_compile: bool
    tensor_float_32: bool


def chosen(xla: str = "auto") -> str:
    """Return the backend that ``KERAS_BACKEND`` names, TensorFlow when it is not set.

    Raises ``ValueError`` for an unknown backend, and for ``xla: on`` with TensorFlow.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND is {backend!r}: expected one of {', '.join(BACKENDS)}")
    if backend == "tensorflow" and xla == "on":
        raise ValueError(
            "training.xla is on, but Keras does not compile TensorFlow's deterministic operations "
            "with XLA: set it to auto, or KERAS_BACKEND to jax"
        )
    return backend


def configure(threads: int, mixed_precision: str = "off", xla: str = "off") -> Settings:
    """Prepare the backend for quiet and repeatable work, and return the settings in force.

    ``KERAS_BACKEND`` chooses the backend, TensorFlow when it is not set. Operations are the
    deterministic ones, and a GPU's memory is allocated as needed. Where there are several GPUs, the
    process claims a free one for itself (see `gpus`). The first call of a process fixes the number
    of threads; a later call with another number warns and keeps the first.

    ``mixed_precision`` and ``xla`` are ``on``, ``off`` or ``auto``, which is what measurements
    favour:

    - ``mixed_precision: off`` is float32 on every device. All backends let an NVIDIA GPU round
      factors to 10 bits (TensorFloat-32) unless told not to, as here. On an H100, MobileNet's
      features of radiographs then differ from a CPU's by 2e-6 of their norm.
    - ``auto`` is float32 too, but lets a GPU round. On the H100, training all layers takes between
      half the time (MobileNet 6.5 ms instead of 14.1 ms, 32 images of 256 pixels) and a third
      (ResNet50 20 instead of 67, VGG16 51 instead of 163). Trainings of MobileNet's last 19 layers
      with two seeds ended with 3 and 3 of 160 labels different from the CPU's, without rounding 1
      and 0; the two seeds differ in 40. But features are off by 4e-3. So trainings round, whereas
      what is computed once for many of them (``features.py`` asks for ``off``), and waits for
      images more than for the GPU, does not.
    - ``on`` computes in bfloat16 where the hardware has it: it has the range of float32. On the
      H100 MobileNet's step takes 0.7 of the time of the rounding above; its features are off by
      10 %. Older GPUs compute in float16. On a CPU, MobileNet trains a tenth slower with it and
      ResNet50 a third faster.
    - ``xla``: JAX always compiles with it. TensorFlow never does, since Keras does not combine it
      with deterministic operations; ``on`` is an error there. PyTorch compiles when it is on.

    Raises ``ValueError`` for an unknown backend, and for ``xla: on`` with TensorFlow.
    """
    backend = os.environ["KERAS_BACKEND"] = chosen(xla)
    prepare = {"tensorflow": _prepare_tensorflow, "jax": _prepare_jax, "torch": _prepare_torch}
    gpus.claim()
    first = "keras" not in sys.modules
    threads, capability = prepare[backend](threads)
    import keras

    if first:  # Keras collects garbage before it builds a network: spare what was just imported
        gc.freeze()
    policy = "float32"
    if mixed_precision == "on":
        old = capability is not None and capability < TENSOR_FLOAT_32
        policy = "mixed_float16" if old else "mixed_bfloat16"
    keras.config.set_dtype_policy(policy)
    rounded = mixed_precision != "off"
    if capability is not None:
        use_tensor_float_32(rounded)
    jit_compile = backend == "jax" or xla == "on"
    available = capability is not None and capability >= TENSOR_FLOAT_32
    return Settings(threads, policy, jit_compile, rounded and available)


@contextmanager
def explain_out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn the error of a device that is out of memory into one that says what to lower.

    ``batch_size`` is the one in force. Raises ``ValueError``; other errors pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        raise ValueError(
            f"the device is out of memory: lower training.batch_size, now {batch_size}, or run "
            "fewer trainings side by side (--resources gpu=N)"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is what a backend raises when a device is out of memory."""
    # TensorFlow and torch have a class for it. In JAX, and in torch on the CPU, it is a
    # RuntimeError that differs from others only in its text.
    if type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError"):
        return True
    texts = ("RESOURCE_EXHAUSTED", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def describe() -> dict[str, str]:
    """Return the names and versions in use: ``backend``, ``version``, ``keras`` and ``device``."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        version = tf.__version__
        devices = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in devices[:1]]
        device = details[0].get("device_name", "GPU") if details else "CPU"
    elif name == "jax":
        import jax

        version = jax.__version__
        first = jax.devices()[0]
        device = "CPU" if first.platform == "cpu" else first.device_kind
    else:
        import torch

        version = torch.__version__
        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return {"backend": name, "version": version, "keras": keras.__version__, "device": device}


def use_tensor_float_32(allowed: bool) -> None:
    """Set whether a GPU may round float32 factors to 10 bits (TensorFloat-32)."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allowed)
    elif name == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", None if allowed else "highest")
    else:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def _prepare_tensorflow(threads: int) -> tuple[int, tuple[int, ...] | None]:
    """Return the threads in force, and the compute capability of the GPU or None."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _without_notices():
        import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in devices:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # TensorFlow has already computed something in this process
        threads = _keep(tf.config.threading.get_intra_op_parallelism_threads(), threads)
    tf.config.experimental.enable_op_determinism()
    details = [tf.config.experimental.get_device_details(gpu) for gpu in devices[:1]]
    return threads, details[0].get("compute_capability", ()) if details else None


@contextmanager
def _without_notices() -> Iterator[None]:
    """Hold back what TensorFlow's libraries write while they load, before its log level applies.

    Only the notices that every start repeats are dropped; the rest goes to standard error later.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            lines = held.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if not any(n in line for n in NOTICES)))


def _prepare_jax(threads: int) -> tuple[int, tuple[int, ...] | None]:
    """Return the threads in force, and the compute capability of the GPU or None."""
    os.environ.setdefault("NPROC", str(threads))  # the size of the thread pool of XLA on the CPU
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Deterministic gradients of max pooling are sorted sums: on an H100 a step of VGG16 takes 51 ms
    # instead of 30 ms, and networks with one such layer take 4 % longer.
    os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    import jax

    threads = _keep(int(os.environ["NPROC"]), threads)
    if jax.default_backend() == "cpu":
        return threads, None
    numbers = str(getattr(jax.devices()[0], "compute_capability", "")).split(".")  # 9.0
    return threads, tuple(int(number) for number in numbers if number.isdecimal())


def _prepare_torch(threads: int) -> tuple[int, tuple[int, ...] | None]:
    """Return the threads in force, and the compute capability of the GPU or None."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    return threads, torch.cuda.get_device_capability() if torch.cuda.is_available() else None


def _keep(in_force: int, wanted: int) -> int:
    """Return ``in_force``; warn when another number was wanted."""
    if in_force != wanted:
        warnings.warn(
            f"this process already runs with {in_force} threads, not with {wanted}: "
            "the number is fixed when the backend starts",
            stacklevel=4,
        )
    return in_force
