"""Score every training from its predictions, and put the scores beside the published ones.

evaluate:      predictions of a training -> its metrics, confusion and per_class tables
compare:       metrics of all runs       -> tables/runs.tsv and one table a published one
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
    params:
        code=code("scripts/evaluate.py"),
        folder=subpath(output.metrics, parent=True),
    log:
        f"results/logs/evaluate/{RUN}/seed-{{seed}}.log",
    benchmark:
        f"results/benchmarks/evaluate/{RUN}/seed-{{seed}}.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python scripts/evaluate.py --predictions {input.predictions:q} "
        "--training {input.training:q} --common {input.common:q} --model {wildcards.model:q} "
        "--unfreeze {wildcards.unfreeze} --variant {wildcards.variant:q} --seed {wildcards.seed} "
        "--output {params.folder:q} 2>&1 | tee {log:q}"


rule compare:
    input:
        metrics=run_files(rules.evaluate.output.metrics),
        per_class=run_files(rules.evaluate.output.per_class),
        resampling=rules.resampling.output.table,
        runs=config["runs"],
        published="workflow/published.tsv",
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
    params:
        run_filter=config["run_filter"] or "",
        seeds=config["seeds"],
        variants=as_json(config["variants"]),
        code=code("scripts/compare.py"),
    log:
        "results/logs/compare.log",
    benchmark:
        "results/benchmarks/compare.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python scripts/compare.py --runs {input.runs:q} --filter {params.run_filter:q} "
        "--seeds {params.seeds} --variants {params.variants:q} --results results/runs "
        "--resampling {input.resampling:q} --published {input.published:q} "
        "--output results/tables 2>&1 | tee {log:q}"
