"""The settings and the gradients that every backend must give alike."""

import numpy as np
import pytest
from pulmoscan import backend

SETTINGS = backend.configure(threads=2)

import keras  # noqa: E402


def small_model() -> keras.Model:
    maps = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    hidden = keras.layers.Dense(5, activation="tanh")(pooled)
    return keras.Model(maps, keras.layers.Dense(3)(hidden))


def test_gradients_equal_the_chain_rule_by_hand() -> None:
    keras.utils.set_random_seed(0)
    model = small_model()
    maps = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype("float32")
    targets = np.array([0, 1, 2, 2, 1, 0])
    w1, b1, w2, _ = model.get_weights()
    hidden = np.tanh(maps.mean(axis=(1, 2)) @ w1 + b1)
    by_hand = ((1 - hidden**2) * w2[:, targets].T) @ w1.T / 16
    gradients = backend.score_gradients(model, maps, targets)
    assert gradients.shape == maps.shape
    assert gradients.dtype == np.float32
    np.testing.assert_allclose(
        gradients, np.broadcast_to(by_hand[:, None, None], maps.shape), atol=1e-6
    )


def test_gradients_follow_changed_weights_and_any_batch() -> None:
    keras.utils.set_random_seed(0)
    model = small_model()
    maps = np.ones((3, 4, 4, 3), "float32")
    before = backend.score_gradients(model, maps, np.zeros(3))
    model.set_weights([2 * w for w in model.get_weights()])
    after = backend.score_gradients(model, maps[:2], np.zeros(2))
    assert not np.allclose(before[:2], after)


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
    told = []
    monkeypatch.setattr(backend, "use_tensor_float_32", told.append)
    name = f"_prepare_{keras.backend.backend()}"
    monkeypatch.setattr(backend, name, lambda threads: (threads, capability))
    try:
        found = backend.configure(2, mixed_precision=switch)
        assert (found.dtype_policy, found.tensor_float_32) == (policy, rounded)
        assert keras.config.dtype_policy().name == policy
        # A GPU is told in any case, because its backend rounds where nothing is said.
        assert told == ([] if capability is None else [switch != "off"])
    finally:
        keras.config.set_dtype_policy("float32")


def test_tensor_float_32_is_switched_where_the_backend_keeps_it() -> None:
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


def test_copies_to_the_device_hold_the_same_values() -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    found = keras.ops.convert_to_numpy(backend.to_device(array))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_no_memory_and_no_kernels_of_a_gpu_without_one() -> None:
    if backend.describe()["device"] != "CPU":
        pytest.skip("this machine has a GPU")
    done = []
    assert backend.peak_memory() is None
    assert backend.kernel_seconds(lambda: done.append(1)) == {}


# Names as an H100 gave them to JAX 0.11: kernel, instruction of XLA, where it comes from.
KERNELS = [
    (
        "conv2d_c1_k1_nhwc",
        "cudnn-conv.33",
        "jit(predict_step)/conv_dw_1/conv_general_dilated",
        ("depthwise", "conv_dw_1"),
    ),
    (
        "sm90_xmma_depthwise_convolution_wgrad_tiling_f32f32",
        "cudnn-conv-bw-filter.53",
        "jit(train_step)/transpose(jvp(conv_dw_11))/conv_general_dilated",
        ("depthwise", "conv_dw_11"),
    ),
    (
        "sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n",
        "cudnn-conv.116",
        "jit(train_step)/jvp(frozen)/block2_sepconv2/conv_general_dilated",
        ("convolution", "block2_sepconv2"),
    ),
    (
        "void cublasLt::splitKreduce_kernel<32, 16>",
        "cudnn-conv.12",
        "jit(train_step)/jvp(conv_pw_2)/conv_general_dilated",
        ("convolution", "conv_pw_2"),
    ),
    ("input_and_reduce_fusion_1", "command_buffer_592", "", ("reduction", "")),
    ("loop_add_fusion", "command_buffer_582", "", ("elementwise", "")),
    ("MemcpyH2D", "", "", ("copy", "")),
]


class Named:
    """Anything with attributes, as a profile is read."""

    def __init__(self, **facts: object) -> None:
        self.__dict__ |= facts


def test_kernels_are_added_up_by_kind_and_layer() -> None:
    def events(microseconds: float) -> list[Named]:
        return [
            Named(
                name=kernel,
                duration_ns=1e3 * microseconds,
                stats=[("hlo_op", instruction), ("name", origin)],
            )
            for kernel, instruction, origin, _ in KERNELS
        ]

    lines = [
        Named(name="Stream #14(Compute,Memset)", events=events(2) + events(1)),
        Named(name="XLA Ops", events=events(100)),  # the same again, as XLA sees it
    ]
    profile = Named(
        planes=[
            Named(name="/host:CPU", lines=[Named(name="Stream #1", events=events(100))]),
            Named(name="/device:GPU:0", lines=lines),
        ]
    )
    found = backend._kernels(profile)
    assert found == pytest.approx({key: 3e-6 for *_, key in KERNELS})
    assert {kind for kind, _ in found} < set(backend.KERNEL_KINDS)


def test_threads_are_fixed_by_the_first_call() -> None:
    keras.ops.convert_to_numpy(keras.ops.ones(3) + 1)
    with pytest.warns(UserWarning, match="already runs with"):
        assert backend.configure(SETTINGS.threads + 5).threads == SETTINGS.threads


def test_wrong_switch_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"training\.xla is 'yes': expected one of auto, on, off"):
        backend.configure(2, xla="yes")
    with pytest.raises(ValueError, match=r"training\.threads is 0"):
        backend.configure(0)


def test_xla_that_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(ValueError, match=r"training\.xla is on, but Keras does not compile"):
        backend.configure(2, xla="on")


def test_unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ValueError, match="KERAS_BACKEND is 'theano': expected one of tensorflow"):
        backend.configure(2)


def test_description() -> None:
    found = backend.describe()
    assert set(found) == {"backend", "version", "keras", "device"}
    assert all(found.values())
