"""Pre-trained weights, features of frozen backbones, and trainings.

weights:  Keras, a folder, or nothing                  -> weights/{backbone}.weights.h5
features: packed arrays, samplings, weights            -> features/{backbone}/{pixels}.npy and its rows
train:    a sampling, and either features or the arrays -> runs/{variant}/{model}/unfreeze-.../seed-...
"""


WEIGHTS_FOLDER = config["weights"]["folder"] or ""


def weights_settings(wildcards):
    """Return what a weights file depends on: source, network, and for a folder the file's content."""
    settings = {"source": config["weights"]["source"]} | weights_network(wildcards)
    if settings["source"] == "none":
        settings["seed"] = config["weights"]["seed"]
    if settings["source"] == "folder":
        try:
            file = backbones.find_file(
                WEIGHTS_FOLDER, settings["backbone"], settings["arguments"]
            )
            settings["content"] = local.content_digest(
                file, f"results/cache/{wildcards.weights}-digest.json"
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)


def weights_network(wildcards):
    """Return constructor and arguments of the backbone whose weights a file holds."""
    model = next(name for name in config["models"] if weights_name(name) == wildcards.weights)
    return {key: network(model)[key] for key in ("backbone", "arguments")}


rule weights:
    output:
        weights="results/weights/{weights}.weights.h5",
        record="results/weights/{weights}.tsv",
    params:
        settings=weights_settings,
        backbone=lambda wildcards: weights_network(wildcards)["backbone"],
        arguments=lambda wildcards: as_json(weights_network(wildcards)["arguments"]),
        source=config["weights"]["source"],
        code=code("scripts/weights.py"),
    log:
        "results/logs/weights/{weights}.log",
    benchmark:
        "results/benchmarks/weights/{weights}.tsv"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "python scripts/weights.py --backbone {params.backbone:q} --arguments {params.arguments:q} "
        "--source {params.source} --folder {WEIGHTS_FOLDER:q} --seed {config[weights][seed]} "
        "--cache results/cache/weights --record {output.record:q} --output {output.weights:q} "
        "2>&1 | tee {log:q}"


def runs_on_features(backbone, pixels):
    """Return the selected runs that train on the features of a backbone for one kind of pixels."""
    return [
        run
        for run in RUNS.itertuples()
        if on_features(run.model, run.unfreeze, run.variant)
        and backbone_name(run.model) == backbone
        and config["variants"][run.variant]["pixels"] == pixels
    ]


def features_samplings(wildcards):
    runs = runs_on_features(wildcards.backbone, wildcards.pixels)
    return sorted({sampling_file(run.variant) for run in runs})


rule features:
    input:
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
        samplings=features_samplings,
        weights=lambda wildcards: (
            f"results/weights/{wildcards.backbone.rpartition('-')[0]}.weights.h5"
        ),
    output:
        features="results/features/{backbone}/{pixels}.npy",
        rows="results/features/{backbone}/{pixels}.rows.npy",
    params:
        network=lambda wildcards: as_json(backbone_settings(wildcards.backbone)),
        pixels=lambda wildcards: as_json(config["pixels"][wildcards.pixels]),
        batch_size=config["training"]["batch_size"],
        threads=config["training"]["threads"],
        code=code("scripts/features.py"),
    log:
        "results/logs/features/{backbone}/{pixels}.log",
    benchmark:
        "results/benchmarks/features/{backbone}/{pixels}.tsv"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    shell:
        "python scripts/features.py --network {params.network:q} --weights {input.weights:q} "
        "--images {input.images:q} --masks {input.masks:q} --pixels {params.pixels:q} "
        "--samplings {input.samplings:q} --batch-size {params.batch_size} "
        "--threads {params.threads} --output {output.features:q} --rows {output.rows:q} "
        "2>&1 | tee {log:q}"


def train_inputs(wildcards):
    """Return a training's inputs: features for a frozen backbone, else its weights if it has one."""
    inputs = {
        "sampling": sampling_file(wildcards.variant),
        "images": rules.pack.output.images,
        "masks": rules.pack.output.masks,
    }
    if weights_name(wildcards.model) is not None:
        inputs["weights"] = f"results/weights/{weights_name(wildcards.model)}.weights.h5"
    if on_features(wildcards.model, wildcards.unfreeze, wildcards.variant):
        folder = f"results/features/{backbone_name(wildcards.model)}"
        inputs["features"] = f"{folder}/{variant(wildcards)['pixels']}.npy"
        inputs["feature-rows"] = f"{folder}/{variant(wildcards)['pixels']}.rows.npy"
    return inputs


rule train:
    input:
        unpack(train_inputs),
    output:
        model=f"results/runs/{RUN}/seed-{{seed}}/model.keras",
        history=f"results/runs/{RUN}/seed-{{seed}}/history.tsv",
        predictions=f"results/runs/{RUN}/seed-{{seed}}/predictions.parquet",
        training=f"results/runs/{RUN}/seed-{{seed}}/training.json",
    params:
        inputs=lambda wildcards, input: [
            word for name, path in input.items() for word in (f"--{name}", path)
        ],
        network=lambda wildcards: as_json(network(wildcards.model)),
        pixels=variant_pixels,
        augment=augmentation,
        training=lambda wildcards: as_json(training(wildcards.model)),
        code=code("scripts/train.py"),
        # Not an output: Snakemake removes those of a job that failed.
        checkpoint=f"results/checkpoints/{RUN}/seed-{{seed}}",
        folder=subpath(output.model, parent=True),
    log:
        f"results/logs/train/{RUN}/seed-{{seed}}.log",
    benchmark:
        f"results/benchmarks/train/{RUN}/seed-{{seed}}.tsv"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    shell:
        "python scripts/train.py {params.inputs:q} --network {params.network:q} "
        "--unfreeze {wildcards.unfreeze} --pixels {params.pixels:q} --augment {params.augment:q} "
        "--training {params.training:q} --seed {wildcards.seed} --fingerprint {params.code} "
        "--checkpoint {params.checkpoint:q} --output {params.folder:q} 2>&1 | tee {log:q}"
