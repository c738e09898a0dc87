"""Splits and samplings, and which of them the data can fill."""

from pulmoscan.data import samplings
from pulmoscan.data import schemes

SCHEMES = schemes.expand(config["splits"])


def sampling_settings(sampling):
    """Return the settings that choose images; the positive label matters to what scores them."""
    settings = config["samplings"][sampling]
    return {key: value for key, value in settings.items() if key != "positive"}


def sampling_is_filled(split, sampling):
    """Return whether the data fill a sampling; waits for its counts."""
    counts = checkpoints.sampling.get(split=split, sampling=sampling).output.counts
    try:
        return samplings.read_counts(counts)["shortfall"].eq("").all()
    except (ValueError, OSError) as error:
        raise WorkflowError(str(error)) from None
