"""Searches and trainings.

tune:     a sampling, and features or the packed arrays -> tuning/{split}/{model}/{variant}/best.json, trials.tsv
train:    the same, and what a search found             -> runs/{split}/{variant}/{model}/unfreeze-.../seed-...
classify: a sampling and the packed arrays              -> the same folder, predictions only
"""

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


rule tune:
    input:
        unpack(network_inputs),
    output:
        best="results/tuning/{split}/{model}/{variant}/best.json",
        trials="results/tuning/{split}/{model}/{variant}/trials.tsv",
    log:
        "results/logs/tune/{split}/{model}/{variant}.log",
    benchmark:
        "results/benchmarks/tune/{split}/{model}/{variant}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: lambda wildcards: MODELS[wildcards.model].training["threads"]
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(720),
    params:
        *code("scripts/tune.py"),
        *code_of_features(),
        inputs=network_options,
        network=lambda wildcards: as_json(MODELS[wildcards.model].network),
        tune=lambda wildcards: as_json(MODELS[wildcards.model].tune),
        unfreeze=unfreeze_of,
        pixels=variant_pixels,
        training=lambda wildcards: as_json(MODELS[wildcards.model].training),
        features=features_settings,
        backend=KERAS_BACKEND,
        # Not an output: Snakemake removes those of a job that failed.
        checkpoint="results/checkpoints/tuning/{split}/{model}/{variant}",
        folder=subpath(output.best, parent=True),
    shell:
        r"""
        python scripts/tune.py {params.inputs:q} \
            --network {params.network:q} \
            --tune {params.tune:q} \
            --unfreeze {params.unfreeze} \
            --pixels {params.pixels:q} \
            --training {params.training:q} \
            --checkpoint {params.checkpoint:q} \
            --output {params.folder:q} \
            2>&1 | tee {log:q}
        """


rule train:
    input:
        unpack(train_inputs),
    output:
        model=f"results/runs/{RUN_SEED}/model.keras",
        history=f"results/runs/{RUN_SEED}/history.tsv",
        predictions=f"results/runs/{RUN_SEED}/predictions.parquet",
        training=f"results/runs/{RUN_SEED}/training.json",
    log:
        f"results/logs/train/{RUN_SEED}.log",
    benchmark:
        f"results/benchmarks/train/{RUN_SEED}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    # Before another cut is computed, so that not many of them fill the disk.
    priority: 1
    conda:
        "../../envs/pulmoscan.yaml"
    threads: lambda wildcards: MODELS[wildcards.model].training["threads"]
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(480),
    params:
        *code("scripts/train.py"),
        *code_of_features(),
        inputs=network_options,
        network=lambda wildcards: as_json(MODELS[wildcards.model].network),
        pixels=variant_pixels,
        augment=augmentation,
        training=lambda wildcards: as_json(MODELS[wildcards.model].training),
        features=features_settings,
        backend=KERAS_BACKEND,
        checkpoint=f"results/checkpoints/runs/{RUN_SEED}",
        folder=subpath(output.model, parent=True),
    shell:
        r"""
        python scripts/train.py {params.inputs:q} \
            --network {params.network:q} \
            --unfreeze {wildcards.unfreeze} \
            --pixels {params.pixels:q} \
            --augment {params.augment:q} \
            --training {params.training:q} \
            --seed {wildcards.seed} \
            --checkpoint {params.checkpoint:q} \
            --output {params.folder:q} \
            2>&1 | tee {log:q}
        """


rule classify:
    input:
        sampling=variant_sampling,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
    output:
        predictions=f"results/runs/{RUN_SEED}/predictions.parquet",
        training=f"results/runs/{RUN_SEED}/training.json",
    log:
        f"results/logs/classify/{RUN_SEED}.log",
    benchmark:
        f"results/benchmarks/classify/{RUN_SEED}.tsv"
    wildcard_constraints:
        model=one_of(CLASSIFIERS),
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/classify.py"),
        classifier=lambda wildcards: as_json(MODELS[wildcards.model].classifier),
        pixels=variant_pixels,
        folder=subpath(output.predictions, parent=True),
    shell:
        r"""
        python scripts/classify.py \
            --classifier {params.classifier:q} \
            --pixels {params.pixels:q} \
            --seed {wildcards.seed} \
            --sampling {input.sampling:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --output {params.folder:q} \
            2>&1 | tee {log:q}
        """
