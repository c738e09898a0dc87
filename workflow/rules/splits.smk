"""Divide the data set, and take from the division what the runs train and are tested on.

split:      audit/images.parquet -> splits/{split}.parquet
sampling:   a split              -> samplings/{split}/{sampling}.parquet and its counts
resampling: all used counts      -> tables/resampling.tsv
"""


include: "../functions/splits.smk"


rule split:
    input:
        images=rules.audit.output.images,
    output:
        table="results/splits/{split}.parquet",
    log:
        "results/logs/split/{split}.log",
    benchmark:
        "results/benchmarks/split/{split}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/split.py"),
        program=program("scripts/split.py"),
        scheme=lambda wildcards: as_json(SCHEMES[wildcards.split]),
    shell:
        r"""
        {params.program:q} \
            --images {input.images:q} \
            --scheme {params.scheme:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


# A checkpoint, since with `dataset.on_shortfall: skip` the counts decide which runs there are. First
# in the queue, so that a sampling that cannot be filled is known before anything trains.
checkpoint sampling:
    input:
        split=rules.split.output.table,
    output:
        table="results/samplings/{split}/{sampling}.parquet",
        counts="results/samplings/{split}/{sampling}.counts.tsv",
    log:
        "results/logs/sampling/{split}/{sampling}.log",
    benchmark:
        "results/benchmarks/sampling/{split}/{sampling}.tsv"
    priority: 10
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/sampling.py"),
        program=program("scripts/sampling.py"),
        settings=lambda wildcards: as_json(sampling_settings(wildcards.sampling)),
        shares=lambda wildcards: as_json(schemes.shares(SCHEMES[wildcards.split])),
        on_shortfall=config["dataset"]["on_shortfall"],
    shell:
        r"""
        {params.program:q} \
            --name {wildcards.sampling:q} \
            --split {input.split:q} \
            --settings {params.settings:q} \
            --shares {params.shares:q} \
            --on-shortfall {params.on_shortfall} \
            --output {output.table:q} \
            --counts {output.counts:q} \
            >{log:q} 2>&1
        """


# Otherwise nothing waits for the counts, and Snakemake plans everything behind a checkpoint twice.
if config["dataset"]["on_shortfall"] == "fail":
    rules.sampling.rule.is_checkpoint = False


rule resampling:
    input:
        counts=[
            f"results/samplings/{split}/{sampling}.counts.tsv"
            for split, sampling in PLAN.used_samplings
        ],
    output:
        table="results/tables/resampling.tsv",
    log:
        "results/logs/resampling.log",
    benchmark:
        "results/benchmarks/resampling.tsv"
    priority: 10
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/resampling.py"),
        program=program("scripts/resampling.py"),
    shell:
        r"""
        {params.program:q} \
            --counts {input.counts:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """
