"""The stages of a training: what each of them unfreezes, how long it trains and how fast.

Read while the Snakefile is parsed, so nothing heavy is imported here.
"""

from collections.abc import Mapping

SETTINGS = ("epochs", "learning_rate", "patience", "start_from_epoch", "reduce_on_plateau")
KEYS = ("unfreeze", *SETTINGS)


def resolve(training: Mapping, unfreeze: str) -> list[dict]:
    """Return the stages of a run, in their order.

    Args:
        training: the training settings. ``stages`` is a list of settings that are laid over the
            others, one entry a stage; without it the training is one stage.
        unfreeze: what the run unfreezes, for the stages that do not say it themselves.

    Returns:
        A dictionary a stage, with ``unfreeze`` (text), ``epochs``, ``learning_rate``, ``patience``,
        ``start_from_epoch`` and ``reduce_on_plateau``.

    Raises:
        ValueError: when there is no stage, an entry has an unknown key, or the last stage unfreezes
            something else than the run.
    """
    entries = training.get("stages")
    if entries is None:
        entries = [{}]
    if not entries:
        raise ValueError("training.stages is empty: leave it out for a training of one stage")
    common = {"unfreeze": unfreeze} | {key: training.get(key) for key in SETTINGS}
    stages = []
    for number, entry in enumerate(entries, start=1):
        if unknown := sorted(set(entry) - set(KEYS)):
            raise ValueError(
                f"training.stages, stage {number}: unknown key {unknown[0]!r}, "
                f"expected {', '.join(KEYS)}"
            )
        stage = common | dict(entry)
        stages.append(stage | {"unfreeze": str(stage["unfreeze"])})
    if stages[-1]["unfreeze"] != str(unfreeze):
        raise ValueError(
            f"training.stages: the last stage unfreezes {stages[-1]['unfreeze']}, but the run "
            f"unfreezes {unfreeze}: leave unfreeze out of the last stage"
        )
    return stages
