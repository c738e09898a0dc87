"""What differs between the backends of Keras: the only module that names one.

Everything else is written against Keras alone and runs on TensorFlow, JAX and PyTorch. Scripts call
``configure`` before anything imports Keras, because a backend reads most of these settings once.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

NOTICES = ("absl::InitializeLog()", "oneDNN custom operations are on")
SWITCHES = ("auto", "on", "off")


@dataclass(frozen=True)
class Settings:
    """What ``configure`` decided: threads in force, Keras' dtype policy, and XLA compilation."""

    threads: int
    dtype_policy: str
    jit_compile: bool


def configure(threads: int, mixed_precision: str = "off", xla: str = "off") -> Settings:
    """Prepare the backend for quiet and repeatable work, and return what is in force.

    ``KERAS_BACKEND`` chooses the backend, TensorFlow where it is not set. ``mixed_precision`` and
    ``xla`` are ``on``, ``off`` or ``auto``: off, as long as no backbone was measured to gain. Mixed
    precision computes in float16 on a GPU, and in bfloat16 on a CPU, where float16 has no fast
    instructions. JAX always compiles with XLA. Operations are the deterministic ones, and a GPU's
    memory is taken as needed.
    The number of threads is fixed by the first call of a process; a later call with another number
    warns and keeps the first. Raises ``ValueError`` for a switch or a backend that does not exist.
    """
    for key, value in (("mixed_precision", mixed_precision), ("xla", xla)):
        if value not in SWITCHES:
            raise ValueError(f"training.{key} is {value!r}: expected one of {', '.join(SWITCHES)}")
    if threads < 1:
        raise ValueError(f"training.threads is {threads}: expected 1 or more")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    backend = os.environ["KERAS_BACKEND"]
    prepare = {"tensorflow": _prepare_tensorflow, "jax": _prepare_jax, "torch": _prepare_torch}
    if backend not in prepare:
        raise ValueError(f"KERAS_BACKEND is {backend!r}: expected one of {', '.join(prepare)}")
    threads, gpu = prepare[backend](threads)
    import keras

    mixed = mixed_precision == "on"
    policy = ("mixed_float16" if gpu else "mixed_bfloat16") if mixed else "float32"
    keras.config.set_dtype_policy(policy)
    jit_compile = backend == "jax" or xla == "on"
    return Settings(threads, policy, jit_compile)


def describe() -> dict[str, str]:
    """Return the names and versions in use: ``backend``, ``version``, ``keras`` and ``device``."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        version = tf.__version__
        gpus = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus[:1]]
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


def score_gradients(model: "keras.Model", maps: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of ``model(maps)[i, targets[i]]`` with respect to ``maps``.

    ``model`` maps feature maps (n, ...) to scores (n, classes) and runs in inference mode;
    ``targets`` are n class indices. The result has the shape of ``maps``, float32. The function
    behind it is traced once a model, whatever the number of maps.
    """
    gradients = _gradient_function(model)(
        np.asarray(maps, dtype="float32"), np.asarray(targets, dtype="int32")
    )
    return np.asarray(gradients, dtype="float32")


@lru_cache(maxsize=4)
def _gradient_function(model: "keras.Model") -> Any:
    """Return the function (maps, targets) -> gradients of a model on the backend in use."""
    import keras

    makers = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients}
    return makers.get(keras.backend.backend(), _torch_gradients)(model)


def _tensorflow_gradients(model: "keras.Model") -> Any:
    import tensorflow as tf

    signature = [
        tf.TensorSpec(model.inputs[0].shape, tf.float32),
        tf.TensorSpec((None,), tf.int32),
    ]

    @tf.function(input_signature=signature)
    def gradients(maps: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            scores = model(maps, training=False)
            score = tf.gather(scores, targets, axis=1, batch_dims=1)
        return tape.gradient(score, maps)

    return gradients


def _jax_gradients(model: "keras.Model") -> Any:
    import jax

    def score(maps: Any, targets: Any, trainable: Any, other: Any) -> Any:
        scores, _ = model.stateless_call(trainable, other, maps, training=False)
        return scores[jax.numpy.arange(len(targets)), targets].sum()

    compiled = jax.jit(jax.grad(score))

    def gradients(maps: np.ndarray, targets: np.ndarray) -> Any:
        trainable = [variable.value for variable in model.trainable_variables]
        other = [variable.value for variable in model.non_trainable_variables]
        return compiled(maps, targets, trainable, other)

    return gradients


def _torch_gradients(model: "keras.Model") -> Any:
    import keras
    import torch

    def gradients(maps: np.ndarray, targets: np.ndarray) -> Any:
        maps = keras.ops.convert_to_tensor(maps).requires_grad_()
        scores = model(maps, training=False)
        index = keras.ops.convert_to_tensor(targets).long()[:, None]
        return torch.autograd.grad(scores.gather(1, index).sum(), maps)[0].cpu()

    return gradients


def _prepare_tensorflow(threads: int) -> tuple[int, bool]:
    """Return the threads in force and whether there is a GPU."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _without_notices():
        import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # TensorFlow has computed something in this process
        threads = _keep(tf.config.threading.get_intra_op_parallelism_threads(), threads)
    tf.config.experimental.enable_op_determinism()
    return threads, bool(gpus)


@contextmanager
def _without_notices() -> Iterator[None]:
    """Hold back what TensorFlow's libraries write while they are loaded, before its log level.

    Only the notices that every start repeats are dropped; the rest goes to standard error after.
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


def _prepare_jax(threads: int) -> tuple[int, bool]:
    """Return the threads in force and whether there is a GPU."""
    os.environ.setdefault("NPROC", str(threads))  # the size of the thread pool of XLA on the CPU
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    import jax

    return _keep(int(os.environ["NPROC"]), threads), jax.default_backend() != "cpu"


def _prepare_torch(threads: int) -> tuple[int, bool]:
    """Return the threads in force and whether there is a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    return threads, torch.cuda.is_available()


def _keep(in_force: int, asked: int) -> int:
    """Return ``in_force``, with a warning where it is not what was asked for."""
    if in_force != asked:
        warnings.warn(
            f"this process already runs with {in_force} threads, not with {asked}: "
            "they are fixed when the backend starts",
            stacklevel=4,
        )
    return in_force
