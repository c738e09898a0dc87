"""Pre-trained weights, features of frozen backbones, and trainings.

weights:  Keras, a folder, or nothing                  -> weights/{backbone}.weights.h5
features: packed arrays, samplings, weights            -> features/{backbone}/{pixels}.npy and its rows
train:    a sampling, and either features or the arrays -> runs/{variant}/{model}/unfreeze-.../seed-...
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
        mem_mb=4000,
        runtime=60,
    params:
        settings=weights_settings,
        backbone=lambda wildcards: weights_network(wildcards)["backbone"],
        arguments=lambda wildcards: as_json(weights_network(wildcards)["arguments"]),
        source=config["weights"]["source"],
        seed=config["weights"]["seed"] if config["weights"]["source"] == "none" else 0,
        backend=KERAS_BACKEND,
        code=code("scripts/weights.py"),
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
    log:
        "results/logs/features/{backbone}/{pixels}.log",
    benchmark:
        "results/benchmarks/features/{backbone}/{pixels}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        network=lambda wildcards: as_json(backbone_settings(wildcards.backbone)),
        pixels=lambda wildcards: as_json(config["pixels"][wildcards.pixels]),
        batch_size=config["training"]["batch_size"],
        threads=config["training"]["threads"],
        backend=KERAS_BACKEND,
        code=code("scripts/features.py"),
    shell:
        "python scripts/features.py --network {params.network:q} --weights {input.weights:q} "
        "--images {input.images:q} --masks {input.masks:q} --pixels {params.pixels:q} "
        "--samplings {input.samplings:q} --batch-size {params.batch_size} "
        "--threads {params.threads} --output {output.features:q} --rows {output.rows:q} "
        "2>&1 | tee {log:q}"


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
    conda:
        "../../envs/pulmoscan.yaml"
    threads: lambda wildcards: training(wildcards.model)["threads"]
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        inputs=lambda wildcards, input: [
            word for name, path in input.items() for word in (f"--{name}", path)
        ],
        network=lambda wildcards: as_json(network(wildcards.model)),
        pixels=variant_pixels,
        augment=augmentation,
        training=lambda wildcards: as_json(training(wildcards.model)),
        backend=KERAS_BACKEND,
        code=code("scripts/train.py"),
        # Not an output: Snakemake removes those of a job that failed.
        checkpoint=f"results/checkpoints/{RUN}/seed-{{seed}}",
        folder=subpath(output.model, parent=True),
    shell:
        "python scripts/train.py {params.inputs:q} --network {params.network:q} "
        "--unfreeze {wildcards.unfreeze} --pixels {params.pixels:q} --augment {params.augment:q} "
        "--training {params.training:q} --seed {wildcards.seed} --fingerprint {params.code} "
        "--checkpoint {params.checkpoint:q} --output {params.folder:q} 2>&1 | tee {log:q}"
