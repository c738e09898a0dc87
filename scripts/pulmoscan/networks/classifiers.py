"""The scikit-learn classifiers of grey-level histograms: their arguments, building and training.

Imported while the Snakefile is parsed, so scikit-learn is imported inside the functions that need
it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pulmoscan import spelling

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

# The arguments that a configuration may give. Those that would break what the workflow promises are
# left out: the seed is that of the run, and all probabilities are made in the same way.
ARGUMENTS = {
    "KNeighborsClassifier": (
        "n_neighbors",
        "weights",
        "algorithm",
        "leaf_size",
        "p",
        "metric",
        "metric_params",
    ),
    "SVC": (
        "C",
        "kernel",
        "degree",
        "gamma",
        "coef0",
        "shrinking",
        "tol",
        "class_weight",
        "max_iter",
    ),
    "RandomForestClassifier": (
        "n_estimators",
        "criterion",
        "max_depth",
        "min_samples_split",
        "min_samples_leaf",
        "min_weight_fraction_leaf",
        "max_features",
        "max_leaf_nodes",
        "min_impurity_decrease",
        "bootstrap",
        "max_samples",
        "class_weight",
        "ccp_alpha",
    ),
}
LARGEST = 10_000_000  # value of an argument: more is a slip, or does not fit into the memory
FOLDS = 5  # of the cross-validation that turns the distances of an SVC into probabilities


def problems(model: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a model's ``classifier`` and its ``arguments``, one line each.

    Values are checked by scikit-learn, which is imported only where there are any.
    """
    name, arguments = model.get("classifier"), model.get("arguments", {})
    if not isinstance(name, str) or name not in ARGUMENTS:
        hint = spelling.guess(str(name), ARGUMENTS)
        return [f"no classifier {name!r}: {hint}it is one of {', '.join(ARGUMENTS)}"]
    if not isinstance(arguments, Mapping):
        return [f"the arguments of {name} are {arguments!r}, not a mapping of names to values"]
    return [
        f"{name} takes no argument {key!r}: {spelling.guess(str(key), ARGUMENTS[name])}"
        f"it takes {', '.join(ARGUMENTS[name])}"
        for key in arguments
        if key not in ARGUMENTS[name]
    ] or list(_value_problems(name, arguments))


def _value_problems(name: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    if not arguments:
        return
    for key, value in arguments.items():
        if isinstance(value, int | float) and abs(value) > LARGEST:
            yield f"{name}: {key} is more than {LARGEST} or less than minus that"
            return
    from sklearn import ensemble, neighbors, svm

    for module in (neighbors, svm, ensemble):
        if hasattr(module, name):
            try:
                getattr(module, name)(**arguments)._validate_params()
            except ValueError as error:
                yield f"{name}: {error}"


def predict(
    model: Mapping[str, Any],
    seed: int,
    values: np.ndarray,
    labels: np.ndarray,
    unseen: np.ndarray,
) -> tuple[list[str], np.ndarray]:
    """Train a classifier (see `build`) and return its labels and probabilities for unseen images.

    Args:
        model: ``classifier`` and optionally ``arguments``, without `problems`.
        seed: of the run.
        values: n x 256, histograms of the training images.
        labels: n labels as text.
        unseen: m x 256, histograms of other images.

    Returns:
        The labels, sorted, and m x labels probabilities.

    Raises:
        ValueError: the data are too few for an argument, such as fewer images than neighbours.
    """
    pipeline = build(model, seed)
    try:
        pipeline.fit(values, labels)
        probabilities = pipeline.predict_proba(unseen)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{model['classifier']}: {reason}") from error
    return list(pipeline.classes_), probabilities


def build(model: Mapping[str, Any], seed: int) -> "Pipeline":
    """Return an untrained pipeline that predicts the class with the highest probability.

    Distances between histograms would be those of the few grey levels that vary most, so the two
    classifiers that measure distances see every level scaled to mean 0 and deviation 1. A forest
    compares one level at a time and needs no scale.

    Args:
        model: ``classifier`` and optionally ``arguments``, without `problems`.
        seed: decides the random draws of the forest and the folds that calibrate an SVC.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    arguments = dict(model.get("arguments", {}))
    if model["classifier"] == "KNeighborsClassifier":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(**arguments))
    if model["classifier"] == "RandomForestClassifier":
        return make_pipeline(RandomForestClassifier(random_state=seed, **arguments))
    # Platt's sigmoid, fitted on distances of images that their machine was not trained on.
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(SVC(**arguments), cv=folds, ensemble=False)
    return make_pipeline(StandardScaler(), calibrated)
