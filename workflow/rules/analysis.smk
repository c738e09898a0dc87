"""Score every training from its predictions, and put the scores beside the published ones.

evaluate:      predictions of a training -> its metrics, confusion and per_class tables
compare:       metrics of all runs       -> tables/runs.tsv and one table a published one
source_oracle: the samplings of the runs -> tables/source_oracle.tsv, a baseline without an image
dataset_facts: tables of the audit       -> tables/dataset_facts.tsv
"""


rule evaluate:
    input:
        predictions=rules.train.output.predictions,
        training=rules.train.output.training,
        common=f"results/samplings/{SPLIT}/balanced.parquet",
    output:
        metrics=f"results/runs/{RUN}/seed-{{seed}}/metrics.tsv",
        confusion=f"results/runs/{RUN}/seed-{{seed}}/confusion.tsv",
        per_class=f"results/runs/{RUN}/seed-{{seed}}/per_class.tsv",
    log:
        f"results/logs/evaluate/{RUN}/seed-{{seed}}.log",
    benchmark:
        f"results/benchmarks/evaluate/{RUN}/seed-{{seed}}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(1000),
        runtime=more_each_attempt(10),
    params:
        *code("scripts/evaluate.py"),
        threshold=lambda wildcards: as_json(MODELS[wildcards.model].threshold),
        folder=subpath(output.metrics, parent=True),
    shell:
        "python scripts/evaluate.py --predictions {input.predictions:q} "
        "--training {input.training:q} --common {input.common:q} --model {wildcards.model:q} "
        "--unfreeze {wildcards.unfreeze} --variant {wildcards.variant:q} --seed {wildcards.seed} "
        "--threshold={params.threshold} --output {params.folder:q} 2>&1 | tee {log:q}"


rule compare:
    input:
        metrics=run_files(rules.evaluate.output.metrics),
        per_class=run_files(rules.evaluate.output.per_class),
        predictions=run_files(rules.train.output.predictions),
        tuning=tuning_files("best.json"),
        resampling=rules.resampling.output.table,
        runs=config["runs"],
        published="workflow/study/published_results.tsv",
    output:
        runs=report(
            "results/tables/runs.tsv",
            caption="../report/runs.rst",
            category="Results",
            labels={"table": "All runs"},
        ),
        tables=report(
            expand("results/tables/{table}.tsv", table=PUBLISHED_TABLES),
            caption="../report/published.rst",
            category="Published beside reproduced",
        ),
        protocol=report(
            "results/tables/protocol.tsv",
            caption="../report/protocol.rst",
            category="Results",
            labels={"table": "Published and recommended protocol"},
        ),
    log:
        "results/logs/compare.log",
    benchmark:
        "results/benchmarks/compare.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(1000),
        runtime=more_each_attempt(10),
    params:
        *code("scripts/compare.py"),
        run_filter=RUN_FILTER or "",
        seeds=config["seeds"],
        variants=as_json(config["variants"]),
        models=described_models(),
        tuned=as_json({model: MODELS[model].tune["variant"] for model in tuned_models()}),
    shell:
        "python scripts/compare.py --runs {input.runs:q} --filter={params.run_filter:q} "
        "--seeds {params.seeds} --variants {params.variants:q} --models {params.models:q} "
        "--tuned {params.tuned:q} --tuning results/tuning --results results/runs "
        "--resampling {input.resampling:q} --published {input.published:q} "
        "--output results/tables 2>&1 | tee {log:q}"


rule source_oracle:
    input:
        samplings=[f"results/samplings/{SPLIT}/{sampling}.parquet" for sampling in used_samplings()],
    output:
        table="results/tables/source_oracle.tsv",
    log:
        "results/logs/source_oracle.log",
    benchmark:
        "results/benchmarks/source_oracle.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(1000),
        runtime=more_each_attempt(10),
    params:
        *code("scripts/source_oracle.py"),
    shell:
        "python scripts/source_oracle.py --samplings {input.samplings:q} --output {output.table:q} "
        "2>&1 | tee {log:q}"


rule dataset_facts:
    input:
        tables=rules.audit.output.tables,
        resampling=rules.resampling.output.table,
        published="workflow/study/published_dataset.tsv",
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
    resources:
        mem_mb=more_each_attempt(1000),
        runtime=more_each_attempt(10),
    params:
        *code("scripts/dataset_facts.py"),
    shell:
        "python scripts/dataset_facts.py --tables results/tables --resampling {input.resampling:q} "
        "--published {input.published:q} --output {output.table:q} 2>&1 | tee {log:q}"
