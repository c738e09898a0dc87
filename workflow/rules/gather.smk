"""Score every training, and gather what all of them gave into a few tables.

evaluate:         predictions of a training       -> its metrics, confusion, per_class and stages
selection:        the run table                   -> gathered/selection.tsv: which runs are made, and why not
gather:           all trainings and searches      -> gathered/*.parquet
gather_explained: Grad-CAM of all explained runs  -> gathered/explained.parquet
gather_table:     trainings of a published table  -> gathered/published/{table}/*.parquet

Whatever comes after reads gathered tables: an analysis is one table in, tables out.
"""


include: "../functions/gather.smk"


rule evaluate:
    input:
        predictions=rules.train.output.predictions,
        training=rules.train.output.training,
        common="results/samplings/{split}/balanced.parquet",
    output:
        metrics=f"results/runs/{RUN_SEED}/metrics.tsv",
        confusion=f"results/runs/{RUN_SEED}/confusion.tsv",
        per_class=f"results/runs/{RUN_SEED}/per_class.tsv",
        stages=f"results/runs/{RUN_SEED}/stages.tsv",
    log:
        f"results/logs/evaluate/{RUN_SEED}.log",
    benchmark:
        f"results/benchmarks/evaluate/{RUN_SEED}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/evaluate.py"),
        program=program("scripts/evaluate.py"),
        threshold=lambda wildcards: as_json(MODELS[wildcards.model].threshold),
        positive=lambda wildcards: PLAN.positive(wildcards.variant),
        folder=subpath(output.metrics, parent=True),
    shell:
        r"""
        {params.program:q} \
            --predictions {input.predictions:q} \
            --training {input.training:q} \
            --common {input.common:q} \
            --split-name {wildcards.split:q} \
            --model {wildcards.model:q} \
            --unfreeze {wildcards.unfreeze} \
            --variant {wildcards.variant:q} \
            --seed {wildcards.seed} \
            --threshold={params.threshold} \
            --positive={params.positive:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """


rule selection:
    input:
        runs=local(RUNS_FILE),
        resampling=rules.resampling.output.table,
    output:
        table="results/gathered/selection.tsv",
    log:
        "results/logs/selection.log",
    benchmark:
        "results/benchmarks/selection.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/selection.py"),
        program=program("scripts/selection.py"),
        run_filter=RUN_FILTER,
        seeds=config["seeds"],
        split=config["split"],
        folds=as_json(
            {
                name: {"folds": scheme["folds"]} if "folds" in scheme else {}
                for name, scheme in config["splits"].items()
                if name in set(RUN_TABLE["split"])
            }
        ),
        samplings=as_json(
            {
                f"{model}/{variant}": sorted(PLAN.samplings(model, variant))
                for model, variant in sorted(set(zip(RUNS["model"], RUNS["variant"])))
            }
        ),
        unshown=as_json(UNSHOWN),
        kinds=as_json({model: kind(model) for model in sorted(set(RUNS["model"]))}),
    shell:
        r"""
        {params.program:q} \
            --runs {input.runs:q} \
            --resampling {input.resampling:q} \
            --filter={params.run_filter:q} \
            --seeds {params.seeds} \
            --split {params.split:q} \
            --folds {params.folds:q} \
            --samplings {params.samplings:q} \
            --kinds {params.kinds:q} \
            --unshown {params.unshown:q} \
            --output {output.table:q} \
            >{log:q} 2>&1
        """


rule gather:
    input:
        selection=rules.selection.output.table,
        predictions=run_files(rules.train.output.predictions),
        histories=run_files(rules.train.output.history, of=is_network),
        metrics=run_files(rules.evaluate.output.metrics),
        per_class=run_files(rules.evaluate.output.per_class),
        confusion=run_files(rules.evaluate.output.confusion),
        stages=run_files(rules.evaluate.output.stages),
        best=tuning_files("best.json"),
        trials=tuning_files("trials.tsv"),
    output:
        tables=expand("results/gathered/{name}.parquet", name=GATHERED),
    log:
        "results/logs/gather.log",
    benchmark:
        "results/benchmarks/gather.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(30),
    params:
        *code("scripts/gather.py"),
        program=program("scripts/gather.py"),
        tables=GATHERED,
        tuned=searched_variants(RUNS),
        folder=lambda wildcards, output: Path(output.tables[0]).parent,
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --results results \
            --tables {params.tables} \
            --tuned {params.tuned:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """


rule gather_explained:
    input:
        selection=rules.selection.output.table,
        scores=run_files(f"results/explain/{RUN}/scores.tsv", of=is_explained),
    output:
        table="results/gathered/explained.parquet",
    log:
        "results/logs/gather_explained.log",
    benchmark:
        "results/benchmarks/gather_explained.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/gather.py"),
        program=program("scripts/gather.py"),
        folder=subpath(output.table, parent=True),
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --results results \
            --tables explained \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """


rule gather_table:
    input:
        selection=rules.selection.output.table,
        metrics=run_files(rules.evaluate.output.metrics, runs=runs_of_table),
        per_class=run_files(rules.evaluate.output.per_class, runs=runs_of_table),
        best=searches_of_table,
    output:
        tables=[f"results/gathered/published/{{table}}/{name}.parquet" for name in OF_A_TABLE],
    log:
        "results/logs/gather_table/{table}.log",
    benchmark:
        "results/benchmarks/gather_table/{table}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/gather.py"),
        program=program("scripts/gather.py"),
        tables=OF_A_TABLE,
        runs=lambda wildcards: [
            f"{run.split_name}/{run_table.name(run.model, run.unfreeze, run.variant)}"
            for run in runs_of_table(wildcards).itertuples()
        ],
        tuned=tuned_of_table,
        folder=lambda wildcards, output: Path(output.tables[0]).parent,
    shell:
        r"""
        {params.program:q} \
            --selection {input.selection:q} \
            --results results \
            --tables {params.tables} \
            --runs {params.runs:q} \
            --tuned {params.tuned:q} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """
