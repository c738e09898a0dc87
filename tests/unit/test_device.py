"""What is measured of a device: on a CPU nothing of a GPU, and a GPU's kernels by their names."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pulmoscan.backends import backend

backend.configure(threads=2)

import keras  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import device  # noqa: E402


def test_copies_to_the_device_hold_the_same_values() -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    found = keras.ops.convert_to_numpy(device.to_device(array))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_no_memory_and_no_kernels_of_a_gpu_without_one() -> None:
    if backend.describe()["device"] != "CPU":
        pytest.skip("this machine has a GPU")
    done = []
    assert device.peak_memory() is None
    assert device.kernel_seconds(lambda: done.append(1)) == {}


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
    found = device._kernels(profile)
    assert found == pytest.approx({key: 3e-6 for *_, key in KERNELS})
    assert {kind for kind, _ in found} < set(device.KERNEL_KINDS)
