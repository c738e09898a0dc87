"""Settings that all backends must follow alike."""

import pytest
from pulmoscan.backends import backend

SETTINGS = backend.configure(threads=2)

import keras  # noqa: E402


def test_off_is_float32_without_xla() -> None:
    assert SETTINGS.dtype_policy == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert SETTINGS.jit_compile == (keras.backend.backend() == "jax")


def test_mixed_precision_on_the_cpu_is_bfloat16() -> None:
    if backend.describe()["device"] != "CPU":
        pytest.skip("this machine has a GPU")
    try:
        assert backend.configure(2, mixed_precision="auto").dtype_policy == "float32"
        assert backend.configure(2, mixed_precision="on").dtype_policy == "mixed_bfloat16"
    finally:
        backend.configure(2)


@pytest.mark.parametrize(
    ("capability", "switch", "policy", "rounded"),
    [
        ((9, 0), "off", "float32", False),
        ((9, 0), "auto", "float32", True),
        ((9, 0), "on", "mixed_bfloat16", True),
        ((7, 5), "auto", "float32", False),  # it has no TensorFloat-32
        ((7, 5), "on", "mixed_float16", False),  # nor bfloat16
        (None, "auto", "float32", False),
    ],
)
def test_precision_follows_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple | None,
    switch: str,
    policy: str,
    rounded: bool,
) -> None:
    calls = []
    monkeypatch.setattr(backend, "use_tensor_float_32", calls.append)
    name = f"_prepare_{keras.backend.backend()}"
    monkeypatch.setattr(backend, name, lambda threads: (threads, capability))
    try:
        found = backend.configure(2, mixed_precision=switch)
        assert (found.dtype_policy, found.tensor_float_32) == (policy, rounded)
        assert keras.config.dtype_policy().name == policy
        # On a GPU it is always set, because backends round by default.
        assert calls == ([] if capability is None else [switch != "off"])
    finally:
        keras.config.set_dtype_policy("float32")


def test_tensor_float_32_is_set_in_the_backend() -> None:
    def allowed() -> bool:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.config.experimental.tensor_float_32_execution_enabled()
        if keras.backend.backend() == "jax":
            import jax

            return jax.config.jax_default_matmul_precision != "highest"
        import torch

        return torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32

    before = allowed()
    try:
        for wanted in (False, True):
            backend.use_tensor_float_32(wanted)
            assert allowed() == wanted
    finally:
        backend.use_tensor_float_32(before)


def test_threads_are_fixed_by_the_first_call() -> None:
    keras.ops.convert_to_numpy(keras.ops.ones(3) + 1)
    with pytest.warns(UserWarning, match="already runs with"):
        assert backend.configure(SETTINGS.threads + 5).threads == SETTINGS.threads


def test_xla_on_tensorflow_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(ValueError, match=r"training\.xla is on, but Keras does not compile"):
        backend.configure(2, xla="on")


def test_an_unknown_backend_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ValueError, match="KERAS_BACKEND is 'theano': expected one of tensorflow"):
        backend.configure(2)


def test_description_names_backend_versions_and_device() -> None:
    found = backend.describe()
    assert set(found) == {"backend", "version", "keras", "device"}
    assert all(found.values())


def test_out_of_memory_becomes_one_line_that_names_the_batch_size() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the size below is one that TensorFlow refuses")
    with (
        pytest.raises(ValueError, match=r"lower training\.batch_size, now 48"),
        backend.explain_out_of_memory(48),
    ):
        keras.ops.zeros((1 << 42, 1 << 10))  # 16 PiB


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="another reason"), backend.explain_out_of_memory(48):
        raise RuntimeError("another reason")


def test_out_of_memory_is_recognised_by_the_text_of_jax() -> None:
    # The wording of jaxlib, whose XlaRuntimeError is a RuntimeError.
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes."
    with pytest.raises(ValueError, match="batch_size"), backend.explain_out_of_memory(48):
        raise RuntimeError(text)
