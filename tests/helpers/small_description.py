"""A description of a made-up network, for the tests of predictions."""

from pulmoscan.data.options import Options
from pulmoscan.prediction.description import Description, Trained


def described(trained: Trained, **changed: object) -> Description:
    """Return what is told of a network of two labels that sees whole images of 32 pixels."""
    settings: dict = {
        "labels": ["x", "y"],
        "threshold": None,
        "positive": None,
        "pixels": {"region": "full"},
        "packing": Options(),
        "bits": 16,
        "image_size": 32,
        "input_size": 16,
        "batch_size": 4,
        "trained": trained,
        "seen": {"train": [], "validation": []},
        "digests": {"model": "0"},
        "run": {"model": "lenet5"},
    }
    return Description(**settings | changed)
