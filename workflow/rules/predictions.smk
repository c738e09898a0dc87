"""Analyse what all trainings predicted.

hardest_images:     predictions, and the audit                -> tables/hardest_images.tsv
region_differences: the same, and which runs are made         -> tables/region_differences.tsv
subgroups:          the same                                  -> tables/subgroups.tsv
external_results:   the same, and those of external sets      -> tables/external.tsv
"""


include: "../functions/predictions.smk"


rule hardest_images:
    input:
        predictions="results/gathered/predictions.parquet",
        images=rules.audit.output.images,
    output:
        table=report(
            "results/tables/hardest_images.tsv",
            caption="../report/analysis.rst",
            category="Results",
            labels={"table": "Hardest images"},
        ),
    log:
        "results/logs/hardest_images.log",
    benchmark:
        "results/benchmarks/hardest_images.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/hardest_images.py"),
        program=program("scripts/hardest_images.py"),
    shell:
        r"""
        {params.program:q} \
            --predictions {input.predictions:q} \
            --images {input.images:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule region_differences:
    input:
        selection=rules.selection.output.table,
        predictions="results/gathered/predictions.parquet",
        images=rules.audit.output.images,
    output:
        table=report(
            "results/tables/region_differences.tsv",
            caption="../report/analysis.rst",
            category="Results",
            labels={"table": "Differences between regions"},
        ),
    log:
        "results/logs/region_differences.log",
    benchmark:
        "results/benchmarks/region_differences.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/region_differences.py"),
        program=program("scripts/region_differences.py"),
        variants=regions_of_variants(),
        resamples=config["analysis"]["resamples"],
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --predictions {input.predictions:q} \
            --images {input.images:q} \
            --variants {params.variants:q} \
            --resamples {params.resamples} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule subgroups:
    input:
        selection=rules.selection.output.table,
        predictions="results/gathered/predictions.parquet",
        images=rules.audit.output.images,
    output:
        table="results/tables/subgroups.tsv",
    log:
        "results/logs/subgroups.log",
    benchmark:
        "results/benchmarks/subgroups.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/subgroups.py"),
        program=program("scripts/subgroups.py"),
        resamples=config["analysis"]["resamples"],
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --predictions {input.predictions:q} \
            --images {input.images:q} \
            --resamples {params.resamples} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule external_results:
    input:
        selection=rules.selection.output.table,
        external=rules.gather_external.output.table,
        predictions="results/gathered/predictions.parquet",
        images=rules.audit.output.images,
    output:
        table=report(
            "results/tables/external.tsv",
            caption="../report/external.rst",
            category="Results",
            labels={"table": "Radiographs from elsewhere"},
        ),
    log:
        "results/logs/external_results.log",
    benchmark:
        "results/benchmarks/external_results.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/external_results.py"),
        program=program("scripts/external_results.py"),
        unpredicted=as_json(UNPREDICTED),
        resamples=config["analysis"]["resamples"],
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --external {input.external:q} \
            --predictions {input.predictions:q} \
            --images {input.images:q} \
            --unpredicted {params.unpredicted:q} \
            --resamples {params.resamples} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """
