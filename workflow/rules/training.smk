"""Searches and trainings.

tune:     a sampling, and features or the packed arrays -> tuning/{split}/{model}/{variant}/best.json, trials.tsv
train:    the same, and what a search found             -> runs/{split}/{variant}/{model}/unfreeze-.../seed-...
describe: a trained network and its sampling            -> model.json beside it, for scripts/predict.py
classify: a sampling and the packed arrays              -> the same folder, predictions only
"""


include: "../functions/training.smk"


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
        program=program("scripts/tune.py"),
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
        {params.program:q} {params.inputs:q} \
            --network {params.network:q} \
            --tune {params.tune:q} \
            --unfreeze {params.unfreeze} \
            --pixels {params.pixels:q} \
            --training {params.training:q} \
            --checkpoint {params.checkpoint:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
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
        program=program("scripts/train.py"),
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
        {params.program:q} {params.inputs:q} \
            --network {params.network:q} \
            --unfreeze {wildcards.unfreeze} \
            --pixels {params.pixels:q} \
            --augment {params.augment:q} \
            --training {params.training:q} \
            --seed {wildcards.seed} \
            --checkpoint {params.checkpoint:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """


rule describe:
    input:
        model_file=rules.train.output.model,
        sampling=variant_sampling,
        decoded=rules.pack.output.decoded,
        images=rules.pack.output.images,
    output:
        description=f"results/runs/{RUN_SEED}/model.json",
    log:
        f"results/logs/describe/{RUN_SEED}.log",
    benchmark:
        f"results/benchmarks/describe/{RUN_SEED}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/describe.py"),
        program=program("scripts/describe.py"),
        packing=PACKING,
        pixels=variant_pixels,
        image_size=config["image_size"],
        input_size=lambda wildcards: MODELS[wildcards.model].network["input_size"],
        batch_size=lambda wildcards: MODELS[wildcards.model].training["batch_size"],
        threshold=lambda wildcards: as_json(MODELS[wildcards.model].threshold),
        positive=lambda wildcards: PLAN.positive(wildcards.variant),
    shell:
        r"""
        {params.program:q} \
            --model-file {input.model_file:q} \
            --sampling {input.sampling:q} \
            --decoded {input.decoded:q} \
            --images {input.images:q} \
            --packing {params.packing:q} \
            --pixels {params.pixels:q} \
            --image-size {params.image_size} \
            --input-size {params.input_size} \
            --batch-size {params.batch_size} \
            --threshold {params.threshold} \
            --positive={params.positive:q} \
            --split-name {wildcards.split:q} \
            --model {wildcards.model:q} \
            --unfreeze {wildcards.unfreeze} \
            --variant {wildcards.variant:q} \
            --seed {wildcards.seed} \
            --output {output.description:q} \
            >{log:q} 2>&1
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
        program=program("scripts/classify.py"),
        classifier=lambda wildcards: as_json(MODELS[wildcards.model].classifier),
        pixels=variant_pixels,
        folder=subpath(output.predictions, parent=True),
    shell:
        r"""
        {params.program:q} \
            --classifier {params.classifier:q} \
            --pixels {params.pixels:q} \
            --seed {wildcards.seed} \
            --sampling {input.sampling:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """
