"""Pre-trained weights, features of frozen layers, searches, and trainings.

weights:  Keras, a folder, or nothing                  -> weights/{backbone}.weights.h5
features: packed arrays, samplings, weights            -> features/{backbone}/{pixels}.npy, rows and description
cut:      the same, before the first unfrozen layer    -> features/{backbone}/unfreeze-.../{pixels}.npy, temporary
tune:     a sampling, and either features or the arrays -> tuning/{model}/{variant}/best.json, trials.tsv
train:    the same, and what a search found            -> runs/{variant}/{model}/unfreeze-.../seed-...
classify: a sampling and the arrays                    -> the same folder, predictions only
"""


rule weights:
    output:
        weights="results/weights/{weights}.weights.h5",
        record="results/weights/{weights}.tsv",
    log:
        "results/logs/weights/{weights}.log",
    benchmark:
        "results/benchmarks/weights/{weights}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/weights.py"),
        settings=weights_settings,
        backbone=lambda wildcards: weights_network(wildcards)["backbone"],
        arguments=lambda wildcards: as_json(weights_network(wildcards)["arguments"]),
        source=config["weights"]["source"],
        seed=config["weights"]["seed"] if config["weights"]["source"] == "none" else 0,
        backend=KERAS_BACKEND,
    shell:
        "python scripts/weights.py --backbone {params.backbone:q} --arguments {params.arguments:q} "
        '--source {params.source} --folder="$WEIGHTS_FOLDER" --seed {params.seed} '
        "--cache results/cache/weights --record {output.record:q} --output {output.weights:q} "
        "2>&1 | tee {log:q}"


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
        description="results/features/{backbone}/{pixels}.json",
    log:
        "results/logs/features/{backbone}/{pixels}.log",
    benchmark:
        "results/benchmarks/features/{backbone}/{pixels}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(240),
    params:
        *code("scripts/features.py"),
        network=lambda wildcards: backbone_settings(wildcards.backbone, "average_pooling"),
        unfreeze="0",
        pixels=lambda wildcards: as_json(config["pixels"][wildcards.pixels]),
        limit_gb=config["features"]["limit_gb"],
        dtype="float32",
        batch_size=config["training"]["batch_size"],
        threads=config["training"]["threads"],
        backend=KERAS_BACKEND,
    shell:
        "python scripts/features.py --network {params.network:q} --unfreeze {params.unfreeze} "
        "--weights {input.weights:q} --images {input.images:q} --masks {input.masks:q} "
        "--pixels {params.pixels:q} --samplings {input.samplings:q} "
        "--limit-gb {params.limit_gb} --dtype {params.dtype} --batch-size {params.batch_size} "
        "--threads {params.threads} --output {output.features:q} --rows {output.rows:q} "
        "--description {output.description:q} 2>&1 | tee {log:q}"


# Up to 20 GB each, so they go when the trainings that read them are done.
use rule features as cut with:
    output:
        features=temp("results/features/{backbone}/unfreeze-{unfreeze}/{pixels}.npy"),
        rows=temp("results/features/{backbone}/unfreeze-{unfreeze}/{pixels}.rows.npy"),
        description="results/features/{backbone}/unfreeze-{unfreeze}/{pixels}.json",
    log:
        "results/logs/cut/{backbone}/unfreeze-{unfreeze}/{pixels}.log",
    benchmark:
        "results/benchmarks/cut/{backbone}/unfreeze-{unfreeze}/{pixels}.tsv"
    params:
        network=lambda wildcards: backbone_settings(wildcards.backbone, "flatten"),
        unfreeze=lambda wildcards: wildcards.unfreeze,
        dtype=config["features"]["dtype"],


rule tune:
    input:
        unpack(
            lambda wildcards: network_inputs(
                wildcards.model, tuned_unfreeze(wildcards.model), wildcards.variant
            )
        ),
    output:
        best="results/tuning/{model}/{variant}/best.json",
        trials="results/tuning/{model}/{variant}/trials.tsv",
    log:
        "results/logs/tune/{model}/{variant}.log",
    benchmark:
        "results/benchmarks/tune/{model}/{variant}.tsv"
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
        inputs=lambda wildcards: network_options(
            wildcards.model, tuned_unfreeze(wildcards.model), wildcards.variant
        ),
        network=lambda wildcards: as_json(MODELS[wildcards.model].network),
        tune=lambda wildcards: as_json(MODELS[wildcards.model].tune),
        unfreeze=lambda wildcards: tuned_unfreeze(wildcards.model),
        pixels=variant_pixels,
        training=lambda wildcards: as_json(MODELS[wildcards.model].training),
        features=features_settings,
        backend=KERAS_BACKEND,
        checkpoint="results/checkpoints/tuning/{model}/{variant}",
        folder=subpath(output.best, parent=True),
    shell:
        "python scripts/tune.py {params.inputs:q} --network {params.network:q} "
        "--tune {params.tune:q} --unfreeze {params.unfreeze} --pixels {params.pixels:q} "
        "--training {params.training:q} "
        "--checkpoint {params.checkpoint:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule train:
    input:
        unpack(train_inputs),
    output:
        model=f"results/runs/{RUN}/seed-{{seed}}/model.keras",
        history=f"results/runs/{RUN}/seed-{{seed}}/history.tsv",
        predictions=f"results/runs/{RUN}/seed-{{seed}}/predictions.parquet",
        training=f"results/runs/{RUN}/seed-{{seed}}/training.json",
    log:
        f"results/logs/train/{RUN}/seed-{{seed}}.log",
    benchmark:
        f"results/benchmarks/train/{RUN}/seed-{{seed}}.tsv"
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
        inputs=train_options,
        network=lambda wildcards: as_json(MODELS[wildcards.model].network),
        pixels=variant_pixels,
        augment=augmentation,
        training=lambda wildcards: as_json(MODELS[wildcards.model].training),
        backend=KERAS_BACKEND,
        features=features_settings,
        # Not an output: Snakemake removes those of a job that failed.
        checkpoint=f"results/checkpoints/{RUN}/seed-{{seed}}",
        folder=subpath(output.model, parent=True),
    shell:
        "python scripts/train.py {params.inputs:q} --network {params.network:q} "
        "--unfreeze {wildcards.unfreeze} --pixels {params.pixels:q} --augment {params.augment:q} "
        "--training {params.training:q} --seed {wildcards.seed} "
        "--checkpoint {params.checkpoint:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule classify:
    input:
        sampling=lambda wildcards: sampling_file(wildcards.variant),
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
    output:
        predictions=f"results/runs/{RUN}/seed-{{seed}}/predictions.parquet",
        training=f"results/runs/{RUN}/seed-{{seed}}/training.json",
    log:
        f"results/logs/classify/{RUN}/seed-{{seed}}.log",
    benchmark:
        f"results/benchmarks/classify/{RUN}/seed-{{seed}}.tsv"
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
        "python scripts/classify.py --classifier {params.classifier:q} --pixels {params.pixels:q} "
        "--seed {wildcards.seed} --sampling {input.sampling:q} --images {input.images:q} "
        "--masks {input.masks:q} --output {params.folder:q} 2>&1 | tee {log:q}"
