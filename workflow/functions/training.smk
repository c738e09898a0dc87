"""What a training or a search is made from."""

CLASSIFIERS = [name for name, model in MODELS.items() if model.classifier]
NETWORKS = [name for name, model in MODELS.items() if model.network]


def tuning_files(name):
    """Return an input function: one file per search of the runs that are made."""

    def files(wildcards):
        return [
            f"{PLAN.search_of(search.split_name, search.model)}/{name}"
            for search in PLAN.searches(runs_to_make(RUNS))
        ]

    return files


def variant_sampling(wildcards):
    return PLAN.sampling_file(wildcards.split, wildcards.variant)


def variant_pixels(wildcards):
    return as_json(config["pixels"][config["variants"][wildcards.variant]["pixels"]])


def augmentation(wildcards):
    augments = config["variants"][wildcards.variant].get("augment")
    return as_json(config["augmentation"] if augments else None)


def unfreeze_of(wildcards):
    """Return what a training unfreezes, or a search, which has no such wildcard."""
    return wildcards.get("unfreeze", PLAN.searched_unfreeze(wildcards.model))


def features_of(wildcards):
    """Return the features that a job trains on, by what its stages unfreeze; without suffix."""
    return PLAN.features(wildcards.model, unfreeze_of(wildcards), wildcards.variant)


def network_inputs(wildcards):
    """Return what a network is trained from, by option: images, weights and cached features."""
    inputs = {
        "sampling": variant_sampling(wildcards),
        "images": rules.pack.output.images,
        "masks": rules.pack.output.masks,
    }
    if weights := PLAN.weights_file(wildcards.model):
        inputs["weights"] = weights
    if features := features_of(wildcards):
        inputs["features"] = [
            path + suffix for path in features.values() for suffix in (".npy", ".rows.npy", ".json")
        ]
    return inputs


def train_inputs(wildcards):
    """Return a training's inputs, and for a tuned model what its search found."""
    search = PLAN.search_of(wildcards.split, wildcards.model)
    return network_inputs(wildcards) | ({"best": f"{search}/best.json"} if search else {})


def network_options(wildcards, input):
    """Return the inputs as words of a command line."""
    words = [
        word for name, path in input.items() if name != "features" for word in (f"--{name}", path)
    ]
    return words + [
        word
        for unfreeze, path in features_of(wildcards).items()
        for word in ("--features", f"{unfreeze}={path}.npy")
    ]


def features_settings(wildcards):
    """Return what a training's features depend on beside its own inputs and parameters.

    Features that are gone cannot be seen to have changed.
    """
    features = features_of(wildcards)
    if not features:
        return ""
    settings = {key: config["training"][key] for key in ("batch_size", "threads")}
    if any(Path(path).parent.name.startswith("unfreeze") for path in features.values()):
        settings |= config["features"]
    return as_json(settings)


def code_of_features():
    """Return the code of a training's features as its parameters, empty where it has none."""

    def only_with_features(module):
        return lambda wildcards: module if features_of(wildcards) else ""

    return [only_with_features(module) for module in code("scripts/features.py")]
