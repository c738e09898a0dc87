"""Get the data set, decode it once, and audit it. external.smk does the same with other sets.

download: a source                      -> raw/, raw.tsv, unread.tsv, raw_images.tsv
pack:     raw/                          -> packed/{images,masks}.npy, packed/decoded.parquet
audit:    packed/, the metadata of raw/ -> audit/, the tables about the data set
"""


include: "../functions/data.smk"


rule download:
    input:
        manifest=local(MANIFEST) if config["dataset"]["source"] == "sample" else [],
    output:
        raw=directory("results/raw"),
        table="results/raw.tsv",
        unread="results/unread.tsv",
        images="results/raw_images.tsv",
    log:
        "results/logs/download.log",
    benchmark:
        "results/benchmarks/download.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: 2
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=more_each_attempt(240),
    params:
        *CODE_OF_DOWNLOAD,
        code_of_source=code_of_source(config["dataset"]["source"]),
        program=program("scripts/download.py"),
        manifest=uncompared(MANIFEST),
        path=uncompared(config["dataset"]["path"] or ""),
        dataset=uncompared(as_json(own_settings(config["dataset"]))),
        settings=source_settings(config["dataset"], DATA),
        source=config["dataset"]["source"],
        phantom=as_json(
            config["dataset"]["phantom"] if config["dataset"]["source"] == "phantom" else None
        ),
    shell:
        r"""
        {params.program:q} \
            --source {params.source:q} \
            --path={params.path:q} \
            --dataset {params.dataset:q} \
            --manifest {params.manifest:q} \
            --phantom {params.phantom:q} \
            --threads {threads} \
            --cache results/cache/download \
            --raw {output.raw:q} \
            --table {output.table:q} \
            --unread {output.unread:q} \
            --images {output.images:q} \
            >{log:q} 2>&1
        """


rule pack:
    input:
        raw=rules.download.output.raw,
        files=rules.download.output.table,
        listed=rules.download.output.images,
    output:
        images="results/packed/images.npy",
        masks="results/packed/masks.npy",
        decoded="results/packed/decoded.parquet",
    log:
        "results/logs/pack.log",
    benchmark:
        "results/benchmarks/pack.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: 8
    resources:
        mem_mb=more_each_attempt(2000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/pack.py"),
        program=program("scripts/pack.py"),
        size=config["image_size"],
        options=PACKING,
    shell:
        r"""
        {params.program:q} \
            --raw {input.raw:q} \
            --files {input.files:q} \
            --listed {input.listed:q} \
            --size {params.size} \
            --threads {threads} \
            --options {params.options:q} \
            --images {output.images:q} \
            --masks {output.masks:q} \
            --decoded {output.decoded:q} \
            >{log:q} 2>&1
        """


rule audit:
    input:
        raw=rules.download.output.raw,
        files=rules.download.output.table,
        unread=rules.download.output.unread,
        listed=rules.download.output.images,
        decoded=rules.pack.output.decoded,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
    output:
        images="results/audit/images.parquet",
        histograms="results/audit/histograms.npy",
        mean_images="results/audit/mean_images.npy",
        tables=expand("results/tables/{table}.tsv", table=AUDIT_TABLES),
    log:
        "results/logs/audit.log",
    benchmark:
        "results/benchmarks/audit.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: 8
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/audit.py"),
        program=program("scripts/audit.py"),
        on_defect=config["dataset"]["on_defect"],
        audit=subpath(output.images, parent=True),
        tables=lambda wildcards, output: Path(output.tables[0]).parent,
    shell:
        r"""
        {params.program:q} \
            --raw {input.raw:q} \
            --files {input.files:q} \
            --unread {input.unread:q} \
            --listed {input.listed:q} \
            --decoded {input.decoded:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --on-defect {params.on_defect} \
            --threads {threads} \
            --audit {params.audit:q} \
            --tables {params.tables:q} \
            >{log:q} 2>&1
        """
