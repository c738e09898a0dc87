"""Pre-trained weights, and the output of frozen layers, computed once.

weights:  Keras, a folder, or nothing               -> weights/{backbone}.weights.h5
features: packed arrays, samplings, weights         -> features/{backbone}/{pixels}.npy, rows, description
cut:      the same, before the first unfrozen layer -> features/{backbone}/unfreeze-.../{pixels}.npy, temporary
"""


include: "../functions/features.smk"


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
        program=program("scripts/weights.py"),
        folder=uncompared(config["weights"]["folder"] or ""),
        settings=weights_settings,
        backbone=lambda wildcards: PLAN.weights[wildcards.weights].network["backbone"],
        arguments=lambda wildcards: as_json(PLAN.weights[wildcards.weights].network["arguments"]),
        source=config["weights"]["source"],
        seed=config["weights"]["seed"] if config["weights"]["source"] == "none" else 0,
        backend=KERAS_BACKEND,
    shell:
        r"""
        {params.program:q} \
            --backbone {params.backbone:q} \
            --arguments {params.arguments:q} \
            --source {params.source} \
            --folder={params.folder:q} \
            --seed {params.seed} \
            --cache results/cache/weights \
            --record {output.record:q} \
            --output {output.weights:q} \
            >{log:q} 2>&1
        """


rule features:
    input:
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
        samplings=features_samplings,
        weights=lambda wildcards: (
            f"results/weights/{PLAN.backbones[wildcards.backbone].weights}.weights.h5"
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
        program=program("scripts/features.py"),
        network=features_network("average_pooling"),
        unfreeze="0",
        pixels=lambda wildcards: as_json(config["pixels"][wildcards.pixels]),
        limit_gb=config["features"]["limit_gb"],
        dtype="float32",
        batch_size=config["training"]["batch_size"],
        threads=config["training"]["threads"],
        backend=KERAS_BACKEND,
    shell:
        r"""
        {params.program:q} \
            --network {params.network:q} \
            --unfreeze {params.unfreeze} \
            --weights {input.weights:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --pixels {params.pixels:q} \
            --samplings {input.samplings:q} \
            --limit-gb {params.limit_gb} \
            --dtype {params.dtype} \
            --batch-size {params.batch_size} \
            --threads {params.threads} \
            --output {output.features:q} \
            --rows {output.rows:q} \
            --description {output.description:q} \
            >{log:q} 2>&1
        """


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
        network=features_network("flatten"),
        unfreeze=lambda wildcards: wildcards.unfreeze,
        dtype=config["features"]["dtype"],
