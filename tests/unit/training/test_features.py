"""Which cached features a training and a search use."""

import json
from pathlib import Path

import pytest
from pulmoscan.config.stages import Stage
from pulmoscan.training import features


def described(folder: Path, unfreeze: str, kept: bool = True) -> Path:
    """Write the description of made-up features; return their file, which need not exist."""
    path = folder / f"unfreeze-{unfreeze}.npy"
    path.with_suffix(".json").write_text(
        json.dumps(
            {"kept": kept, "bytes": 3 * 10**10, "tensors": [], "dtype": "float32", "sha256": ""}
        )
    )
    return path


def planned(*unfreeze: str) -> list[Stage]:
    return [Stage(name, epochs=1, learning_rate=0.1) for name in unfreeze]


def test_features_that_were_not_kept_are_left_out(tmp_path: Path) -> None:
    files = {"0": described(tmp_path, "0"), "19": described(tmp_path, "19", kept=False)}
    kept = features.for_stages(files, planned("0", "19", "half"), augmented=False)
    assert list(kept) == ["0"]
    assert features.only_heads(planned("0", "0"), kept)
    assert not features.only_heads(planned("0", "19"), kept)
    assert not features.only_heads(planned("0"), {})


@pytest.mark.parametrize(
    ("given", "augmented", "message"),
    [
        (["0"], True, "an augmented training .* no cached features, but .* unfreeze 0$"),
        (["0", "19"], False, "features of unfreeze 0, but the stages unfreeze 19"),
    ],
)
def test_features_of_no_use_are_refused(
    tmp_path: Path, given: list, augmented: bool, message: str
) -> None:
    files = {unfreeze: described(tmp_path, unfreeze) for unfreeze in given}
    with pytest.raises(ValueError, match=message):
        features.for_stages(files, planned("19"), augmented)


def test_features_without_a_description_are_reported(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot read .*missing\.json"):
        features.for_stages({"0": tmp_path / "missing.npy"}, planned("0"), augmented=False)


def test_a_search_needs_features_that_were_kept(tmp_path: Path) -> None:
    assert features.for_search(described(tmp_path, "0"))["kept"]
    with pytest.raises(ValueError, match=r"30\.0 GB were above the limit; raise features\.limit_"):
        features.for_search(described(tmp_path, "0", kept=False))
