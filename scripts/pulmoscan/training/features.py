"""Which cached features a training or a search uses: decided before Keras starts.

Features are the outputs of what a stage freezes. They are named by what it unfreezes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pulmoscan.config.stages import Stage
from pulmoscan.inputs import cached_features
from pulmoscan.networks import cut
from pulmoscan.networks.build import Network


def for_stages(
    files: Mapping[str, Path], planned: Sequence[Stage], augmented: bool
) -> dict[str, dict]:
    """Return the descriptions of the features that the stages of a training can use.

    Features that were too large to keep are left out. Raises ``ValueError`` for files that the
    training has no use for, and ``OSError`` for a description that cannot be read.
    """
    if files and augmented:
        raise ValueError(
            "an augmented training sees other images in every epoch, so it takes no cached "
            f"features, but was given those of unfreeze {', '.join(files)}"
        )
    unfreeze = [stage.unfreeze for stage in planned]
    if unused := [key for key in files if key not in unfreeze]:
        raise ValueError(
            f"cached features of unfreeze {unused[0]}, but the stages unfreeze "
            f"{', '.join(unfreeze)}"
        )
    described = {key: cached_features.description(path) for key, path in files.items()}
    return {key: facts for key, facts in described.items() if facts["kept"]}


def for_search(path: Path) -> dict:
    """Return the description of the features on which a search trains heads.

    Raises ``ValueError`` where they were too large to keep, and ``OSError`` for a description that
    cannot be read.
    """
    described = cached_features.description(path)
    if not described["kept"]:
        raise ValueError(
            f"{path} holds no features: {described['bytes'] / 1e9:.1f} GB were above the limit; "
            "raise features.limit_gb, since a search does not run the backbone"
        )
    return described


def only_heads(planned: Sequence[Stage], kept: Mapping[str, dict]) -> bool:
    """Return whether every stage trains nothing but the head, on cached features."""
    return all(stage.unfreeze == "0" and "0" in kept for stage in planned)


def cached(network: Network, planned: Sequence[Stage], kept: Mapping[str, dict]) -> list[bool]:
    """Return for each stage whether it trains on cached features.

    Features are those of the untrained network. They are no longer right where an earlier stage has
    trained layers that the stage freezes.
    """
    numbers = [len(cut.trainable_layers(network, stage.unfreeze)) for stage in planned]
    return [
        stage.unfreeze in kept and number == max(numbers[: index + 1])
        for index, (stage, number) in enumerate(zip(planned, numbers, strict=True))
    ]
