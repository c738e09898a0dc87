"""Put what was gathered beside the published figures, and analyse it.

compare:            trainings of a published table      -> tables/{table}.tsv
compare_runs:       metrics of all trainings            -> tables/runs.tsv
protocol:           metrics and predictions             -> tables/protocol.tsv
source_oracle:      the samplings of the runs           -> tables/source_oracle.tsv, a baseline that never looks at an image
dataset_facts:      tables of the audit, and resampling -> tables/dataset_facts.tsv
"""


include: "../functions/analysis.smk"


rule compare:
    input:
        selection=rules.selection.output.table,
        metrics="results/gathered/published/{table}/metrics.parquet",
        per_class="results/gathered/published/{table}/per_class.parquet",
        searches="results/gathered/published/{table}/searches.parquet",
        resampling=rules.resampling.output.table,
        published=local(own_file("workflow/study/published_results.tsv")),
    output:
        table=report(
            "results/tables/{table}.tsv",
            caption="../report/published.rst",
            category="Published beside reproduced",
        ),
    log:
        "results/logs/compare/{table}.log",
    benchmark:
        "results/benchmarks/compare/{table}.tsv"
    wildcard_constraints:
        table=one_of(PUBLISHED_TABLES),
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/compare.py"),
        program=program("scripts/compare.py"),
        samplings=samplings_of_table,
        tuned=tuned_of_table,
        redefined=redefined_of_table,
    shell:
        r"""
        {params.program:q} \
            --table {wildcards.table:q} \
            --selection {input.selection:q} \
            --metrics {input.metrics:q} \
            --per-class {input.per_class:q} \
            --searches {input.searches:q} \
            --resampling {input.resampling:q} \
            --published {input.published:q} \
            --samplings {params.samplings:q} \
            --tuned {params.tuned:q} \
            --redefined {params.redefined:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule compare_runs:
    input:
        selection=rules.selection.output.table,
        metrics="results/gathered/metrics.parquet",
    output:
        table=report(
            "results/tables/runs.tsv",
            caption="../report/runs.rst",
            category="Results",
            labels={"table": "All runs"},
        ),
    log:
        "results/logs/compare_runs.log",
    benchmark:
        "results/benchmarks/compare_runs.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/compare_runs.py"),
        program=program("scripts/compare_runs.py"),
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --metrics {input.metrics:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule protocol:
    input:
        selection=rules.selection.output.table,
        metrics="results/gathered/metrics.parquet",
        predictions="results/gathered/predictions.parquet",
        resampling=rules.resampling.output.table,
        published=local(own_file("workflow/study/published_results.tsv")),
    output:
        table=report(
            "results/tables/protocol.tsv",
            caption="../report/protocol.rst",
            category="Results",
            labels={"table": "Published and recommended protocol"},
        ),
    log:
        "results/logs/protocol.log",
    benchmark:
        "results/benchmarks/protocol.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/protocol.py"),
        program=program("scripts/protocol.py"),
        samplings=samplings_of_variants(RUNS["variant"]),
        models=described_models(),
        redefined=redefined_runs(RUNS),
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --metrics {input.metrics:q} \
            --predictions {input.predictions:q} \
            --resampling {input.resampling:q} \
            --published {input.published:q} \
            --samplings {params.samplings:q} \
            --models {params.models:q} \
            --redefined {params.redefined:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule source_oracle:
    input:
        samplings=[
            f"results/samplings/{split}/{sampling}.parquet"
            for split, sampling in PLAN.used_samplings
        ],
    output:
        table="results/tables/source_oracle.tsv",
    log:
        "results/logs/source_oracle.log",
    benchmark:
        "results/benchmarks/source_oracle.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/source_oracle.py"),
        program=program("scripts/source_oracle.py"),
    shell:
        r"""
        {params.program:q} \
            --samplings {input.samplings:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule dataset_facts:
    input:
        tables=rules.audit.output.tables,
        resampling=rules.resampling.output.table,
        published=local(own_file("workflow/study/published_dataset.tsv")),
    output:
        table=report(
            "results/tables/dataset_facts.tsv",
            caption="../report/dataset_facts.rst",
            category="Published beside reproduced",
            labels={"table": "dataset_facts"},
        ),
    log:
        "results/logs/dataset_facts.log",
    benchmark:
        "results/benchmarks/dataset_facts.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/dataset_facts.py"),
        program=program("scripts/dataset_facts.py"),
        split=counted_split(),
        redefined=redefined_samplings(),
    shell:
        r"""
        {params.program:q} \
            --tables {input.tables:q} \
            --resampling {input.resampling:q} \
            --split-name {params.split:q} \
            --redefined {params.redefined:q} \
            --published {input.published:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


# What stands in the report besides the published tables: a new analysis is a rule above, and its
# name here.
ANALYSES = [
    "compare_runs",
    "protocol",
    "hardest_images",
    "region_differences",
    "subgroups",
    "source_oracle",
    "dataset_facts",
    *(["external_results"] if EXTERNAL else []),
]
if not DATA.of_study:  # what compares with the study has nothing to compare
    ANALYSES = [name for name in ANALYSES if name not in ("protocol", "dataset_facts")]
