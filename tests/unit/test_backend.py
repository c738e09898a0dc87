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


def test_threads_are_fixed_by_the_first_call() -> None:
    keras.ops.convert_to_numpy(keras.ops.ones(3) + 1)
    with pytest.warns(UserWarning, match="already runs with"):
        assert backend.configure(SETTINGS.threads + 5).threads == SETTINGS.threads


def test_wrong_switch_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"training\.xla is 'yes': expected one of auto, on, off"):
        backend.configure(2, xla="yes")
    with pytest.raises(ValueError, match=r"training\.threads is 0"):
        backend.configure(0)


def test_unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ValueError, match="KERAS_BACKEND is 'theano': expected one of tensorflow"):
        backend.configure(2)


def test_description() -> None:
    found = backend.describe()
    assert set(found) == {"backend", "version", "keras", "device"}
    assert all(found.values())
