"""The models of the configuration, with all defaults and inherited settings resolved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pulmoscan import spelling
from pulmoscan.config import hyperparameters
from pulmoscan.inputs.pixels import GREY_LEVELS
from pulmoscan.networks import backbones, classifiers, layers

KINDS = ("architecture", "backbone", "classifier", "like")


@dataclass(frozen=True)
class Model:
    """A model as the scripts need it.

    Attributes:
        network: backbone, arguments, input size and head, or the layers of an architecture.
        classifier: a scikit-learn classifier and its arguments. Either this or ``network`` is None.
        training: all training settings.
        tune: the search for its hyperparameters, if any.
        threshold: the probability from which a model gives the positive of two labels.
        like: the model that it was derived from, if any.
    """

    network: dict | None
    classifier: dict | None
    training: dict
    tune: dict | None = None
    threshold: float | None = None
    like: str | None = None

    @property
    def backbone(self) -> str | None:
        """The `keras.applications` constructor, None without one."""
        return self.network and self.network.get("backbone")

    @property
    def takes_histograms(self) -> bool:
        """Whether the model is given grey-level histograms, not images."""
        if self.network is None:
            return True
        return layers.takes_histograms(self.network.get("architecture", ()))


def resolve(config: Mapping) -> dict[str, Model]:
    """Return all models by name; the configuration must have no `problems`."""
    return {name: _model(config, name) for name in config["models"]}


def settings_of(config: Mapping, name: str) -> dict:
    """Return a model's settings with those that it inherits, training settings merged.

    Raises:
        ValueError: when it is like a model that does not exist, or inherits from itself.
    """
    seen = []
    while "like" in config["models"].get(name, {}):
        seen.append(name)
        name = config["models"][name]["like"]
        if name in seen:
            raise ValueError(f"like: circular reference: {' -> '.join([*seen, name])}")
    if name not in config["models"]:
        close = spelling.nearest(name, config["models"])
        guess = f"did you mean {close!r}?" if close else "name one of the config's models"
        raise ValueError(f"like: no model {name!r}: {guess}")
    settings: dict = {}
    for entry in [config["models"][name]] + [config["models"][other] for other in reversed(seen)]:
        training = settings.get("training", {}) | entry.get("training", {})
        settings = settings | entry | {"training": training}
    settings.pop("like", None)
    return settings


def _model(config: Mapping, name: str) -> Model:
    settings = settings_of(config, name)
    training = config["training"] | settings["training"]
    # YAML reads on and off as truth values.
    for key in ("mixed_precision", "xla"):
        training[key] = {True: "on", False: "off"}.get(training[key], training[key])
    network = classifier = None
    if "classifier" in settings:
        classifier = {key: settings.get(key, {}) for key in ("classifier", "arguments")}
    elif "backbone" in settings:
        network = {
            "backbone": settings["backbone"],
            "arguments": settings.get("arguments", {}),
            "input_size": settings["input_size"],
            "head": settings.get("head", config["head"]),
        }
    else:
        network = {
            "architecture": config["architectures"][settings["architecture"]],
            "input_size": settings.get("input_size", GREY_LEVELS),
        }
    return Model(
        network,
        classifier,
        training,
        settings.get("tune"),
        settings.get("threshold"),
        config["models"][name].get("like"),
    )


def problems(config: Mapping) -> Iterator[str]:
    """Yield one line per problem of the models, in a configuration that matches the schema.

    Lines begin with the key, such as ``models.vgg16.backbone``.
    """
    yield from (f"head: {problem}" for problem in layers.problems(config["head"], head=True))
    yield from _last_stage_problems(config["training"])
    for name, architecture in config["architectures"].items():
        for problem in layers.problems(architecture, head=False):
            yield f"architectures.{name}: {problem}"
    for name in config["models"]:
        try:
            settings = settings_of(config, name)
        except ValueError as error:
            yield f"models.{name}.{error}"
            continue
        yield from (f"models.{name}{problem}" for problem in _model_problems(config, settings))


def _model_problems(config: Mapping, settings: Mapping) -> Iterator[str]:
    kinds = [kind for kind in KINDS[:3] if kind in settings]
    if len(kinds) != 1:
        yield f": give exactly one of {', '.join(KINDS)}"
        return
    known: Mapping = {}
    taken: Mapping = settings
    if kinds == ["classifier"]:
        for key in ("head", "input_size", "tune", "training"):
            if settings.get(key):
                yield f".{key}: a classifier has none"
        yield from (f": {problem}" for problem in classifiers.problems(settings))
        return
    if kinds == ["architecture"]:
        yield from _unknown(".architecture", settings["architecture"], config["architectures"])
        for key in ("arguments", "head"):
            if key in settings:
                yield f".{key}: goes with a backbone, not an architecture"
        taken = settings | {
            "architecture": config["architectures"].get(settings["architecture"], [])
        }
        if layers.takes_histograms(taken["architecture"]):
            size = GREY_LEVELS
        elif (size := settings.get("input_size")) is None:
            yield ".input_size: is missing, in pixels"
        if size and (reason := layers.no_room(taken["architecture"], size)):
            yield f".architecture: {settings['architecture']}: {reason}"
    else:
        yield from _unknown(".backbone", settings["backbone"], backbones.BACKBONES)
        known = backbones.BACKBONES
        yield from _backbone_problems(settings)
        taken = settings | {"head": settings.get("head", config["head"])}
        if "head" in settings:
            for problem in layers.problems(settings["head"], head=True):
                yield f".head: {problem}"
    yield from _stage_problems(config, settings, known.get(settings.get("backbone")))
    if "tune" in settings:
        variant = settings["tune"]["variant"]
        yield from _unknown(".tune.variant", variant, config["variants"])
        if config["variants"].get(variant, {}).get("augment"):
            yield f".tune.variant: {variant!r} augments, and a search does not"
        wrong = hyperparameters.problems(taken) or [hyperparameters.too_few(taken["tune"])]
        yield from (f".tune: {problem}" for problem in wrong if problem)
    elif names := sorted(hyperparameters.names(taken)):
        yield f": ${names[0]} appears in its layers, but it has no tune to find it"


def _backbone_problems(settings: Mapping) -> Iterator[str]:
    backbone = backbones.BACKBONES.get(settings["backbone"])
    if backbone is None:
        return
    if "input_size" not in settings:
        yield ".input_size: is missing, in pixels"
    elif settings["input_size"] < backbone.smallest:
        yield (
            f".input_size: {settings['input_size']} is too small: "
            f"{settings['backbone']} needs {backbone.smallest} pixels"
        )
    known = backbone.arguments
    for key, value in settings.get("arguments", {}).items():
        if key not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            yield f".arguments: {settings['backbone']} takes no {key!r}: {takes}"
        elif reason := backbones.expected(settings["backbone"], key, value):
            yield f".arguments.{key}: {value!r} is not {reason}"


def _stage_problems(
    config: Mapping, settings: Mapping, backbone: backbones.Backbone | None
) -> Iterator[str]:
    entries = (config["training"] | settings["training"]).get("stages") or []
    yield from (f".{problem}" for problem in _last_stage_problems(settings["training"]))
    for entry in entries[:-1]:
        unfreeze = str(entry.get("unfreeze", "all"))
        if backbone is None and unfreeze != "all":
            yield f".training.stages: unfreeze {unfreeze}: there is no pre-trained part"
        elif backbone and unfreeze.isdecimal() and int(unfreeze) > backbone.layers:
            yield (
                f".training.stages: unfreeze {unfreeze}: "
                f"{settings['backbone']} has {backbone.layers} layers"
            )


def _last_stage_problems(training: Mapping) -> Iterator[str]:
    entries = training.get("stages") or []
    if entries and "unfreeze" in entries[-1]:
        yield "training.stages: the last stage unfreezes what the run says, not its own"


def _unknown(key: str, value: str, known: Mapping) -> Iterator[str]:
    if value not in known:
        yield f"{key}: {spelling.unknown(value, known)}"
