"""Radiographs from elsewhere (`external:`), which the trained networks predict.

external_download, external_pack, external_audit: a set -> external/{set}/..., as data.smk does
external_duplicates: two packed sets              -> external/{set}/copies.parquet: images of the data set trained on
external_predict: a run's networks and a set      -> external/{set}/runs/.../predictions.parquet
gather_external:  predictions of all runs         -> gathered/external.parquet, tables/external_duplicates.tsv
"""


include: "../functions/external.smk"


use rule download as external_download with:
    input:
        manifest=[],
    output:
        raw=directory(f"{OF_SETS}/raw"),
        table=f"{OF_SETS}/raw.tsv",
        unread=f"{OF_SETS}/unread.tsv",
        images=f"{OF_SETS}/raw_images.tsv",
    log:
        "results/logs/external_download/{set}.log",
    benchmark:
        "results/benchmarks/external_download/{set}.tsv"
    params:
        code_of_source=of_set(lambda one: code_of_source(one["source"])),
        path=uncompared_of_set(lambda one: one["path"]),
        dataset=uncompared_of_set(lambda one: as_json(own_settings(one))),
        settings=lambda wildcards: ON_SETS[wildcards.set]["settings"],
        source=of_set(lambda one: one["source"]),
        phantom="null",


use rule pack as external_pack with:
    input:
        raw=rules.external_download.output.raw,
        files=rules.external_download.output.table,
        listed=rules.external_download.output.images,
    output:
        images=f"{OF_SETS}/packed/images.npy",
        masks=f"{OF_SETS}/packed/masks.npy",
        decoded=f"{OF_SETS}/packed/decoded.parquet",
    log:
        "results/logs/external_pack/{set}.log",
    benchmark:
        "results/benchmarks/external_pack/{set}.tsv"
    params:
        options=lambda wildcards: ON_SETS[wildcards.set]["packing"],


use rule audit as external_audit with:
    input:
        raw=rules.external_download.output.raw,
        files=rules.external_download.output.table,
        unread=rules.external_download.output.unread,
        listed=rules.external_download.output.images,
        decoded=rules.external_pack.output.decoded,
        images=rules.external_pack.output.images,
        masks=rules.external_pack.output.masks,
    output:
        images=f"{OF_SETS}/audit/images.parquet",
        histograms=f"{OF_SETS}/audit/histograms.npy",
        mean_images=f"{OF_SETS}/audit/mean_images.npy",
        tables=expand(f"{OF_SETS}/tables/{{table}}.tsv", table=AUDIT_TABLES, allow_missing=True),
    log:
        "results/logs/external_audit/{set}.log",
    benchmark:
        "results/benchmarks/external_audit/{set}.tsv"


rule external_duplicates:
    input:
        images=rules.external_pack.output.images,
        decoded=rules.external_pack.output.decoded,
        trained_images=rules.pack.output.images,
        trained_decoded=rules.pack.output.decoded,
    output:
        table=f"{OF_SETS}/copies.parquet",
    log:
        "results/logs/external_duplicates/{set}.log",
    benchmark:
        "results/benchmarks/external_duplicates/{set}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: 8
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/external_duplicates.py"),
        program=program("scripts/external_duplicates.py"),
    shell:
        r"""
        {params.program:q} \
            --images {input.images:q} \
            --decoded {input.decoded:q} \
            --trained-images {input.trained_images:q} \
            --trained-decoded {input.trained_decoded:q} \
            --threads {threads} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


# All seeds of a run at once: to load TensorFlow takes longer than to predict a set.
rule external_predict:
    input:
        models=expand(rules.train.output.model, seed=config["seeds"], allow_missing=True),
        descriptions=expand(
            rules.describe.output.description, seed=config["seeds"], allow_missing=True
        ),
        audit=rules.external_audit.output.images,
        images=rules.external_pack.output.images,
        masks=rules.external_pack.output.masks,
    output:
        predictions=expand(
            f"{OF_SETS}/runs/{RUN_SEED}/predictions.parquet",
            seed=config["seeds"],
            allow_missing=True,
        ),
    log:
        f"results/logs/external_predict/{{set}}/{RUN}.log",
    benchmark:
        f"results/benchmarks/external_predict/{{set}}/{RUN}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    conda:
        "../../envs/pulmoscan.yaml"
    threads: lambda wildcards: MODELS[wildcards.model].training["threads"]
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/external_predict.py"),
        program=program("scripts/external_predict.py"),
        threads=lambda wildcards: MODELS[wildcards.model].training["threads"],
        backend=KERAS_BACKEND,
    shell:
        r"""
        {params.program:q} \
            --models {input.models:q} \
            --audit {input.audit:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --threads {params.threads} \
            --outputs {output.predictions:q} \
            >{log:q} 2>&1
        """


rule gather_external:
    input:
        selection=rules.selection.output.table,
        audits=expand(rules.external_audit.output.images, set=EXTERNAL),
        copies=expand(rules.external_duplicates.output.table, set=EXTERNAL),
        predictions=external_predictions,
    output:
        table="results/gathered/external.parquet",
        duplicates="results/tables/external_duplicates.tsv",
    log:
        "results/logs/gather_external.log",
    benchmark:
        "results/benchmarks/gather_external.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(30),
    params:
        *code("scripts/gather_external.py"),
        program=program("scripts/gather_external.py"),
        labels=external_labels(),
        unpredicted=as_json(UNPREDICTED),
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --results results \
            --labels {params.labels:q} \
            --unpredicted {params.unpredicted:q} \
            --output {output.table:q} \
            --duplicates {output.duplicates:q} \
            >{log:q} 2>&1
        """
