"""Put everything on one page.

provenance: configuration, hashes, benchmarks        -> config.json, tables/provenance.tsv, tables/costs.tsv
report:     tables, gathered tables, panels of images -> report/report.ipynb, report/report.html
"""


def published_settings():
    """Return the configuration as the report shows it: without where this machine keeps its files."""
    runs = Path(config["runs"])
    return as_json(
        config
        | {
            "dataset": config["dataset"] | {"path": None},
            "weights": config["weights"] | {"folder": None},
            "runs": runs.name if runs.is_absolute() else config["runs"],
        }
    )


def shared_benchmarks(wildcards):
    """Return the benchmarks of all jobs but those of one training."""
    made = runs_to_make(RUNS)
    features = sorted(
        path.removeprefix("results/features/")
        for run in made.itertuples()
        for path in PLAN.features(run.model, run.unfreeze, run.variant).values()
    )
    searches = [
        PLAN.search_of(search.split_name, search.model).removeprefix("results/tuning/")
        for search in PLAN.searches(made)
    ]
    jobs = {
        "download": [""],
        "pack": [""],
        "audit": [""],
        "split": sorted(set(RUNS["split_name"])),
        "sampling": ["/".join(pair) for pair in PLAN.used_samplings],
        "weights": [Path(record).stem for record in weights_records(wildcards)],
        "features": [name for name in features if "/unfreeze-" not in name],
        "cut": [name for name in features if "/unfreeze-" in name],
        "tune": searches,
        "gather": [""],
        "compare_runs": [""],
        "protocol": [""],
        "hardest_images": [""],
        "source_oracle": [""],
        "dataset_facts": [""],
        "compare": PUBLISHED_TABLES,
    }
    return [
        f"results/benchmarks/{'/'.join(filter(None, [rule, name]))}.tsv"
        for rule, names in jobs.items()
        for name in dict.fromkeys(names)
    ]


rule provenance:
    input:
        raw=rules.download.output.table,
        weights=weights_records,
        selection=rules.selection.output.table,
        # What the costs are those of: the report's other inputs.
        runs=rules.compare_runs.output.table,
        facts=rules.dataset_facts.output.table,
    output:
        settings="results/config.json",
        provenance="results/tables/provenance.tsv",
        costs="results/tables/costs.tsv",
    log:
        "results/logs/provenance.log",
    benchmark:
        "results/benchmarks/provenance.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    params:
        *code("scripts/provenance.py"),
        # No inputs: a benchmark that is lost must not make Snakemake train again.
        benchmarks=shared_benchmarks,
        settings=published_settings(),
    shell:
        r"""
        python scripts/provenance.py \
            --config {params.settings:q} \
            --raw {input.raw:q} \
            --weights {input.weights:q} \
            --selection {input.selection:q} \
            --benchmarks results/benchmarks \
            --shared {params.benchmarks:q} \
            --settings {output.settings:q} \
            --provenance {output.provenance:q} \
            --costs {output.costs:q} \
            2>&1 | tee {log:q}
        """


rule report:
    input:
        notebook="notebooks/report.ipynb",
        template=["notebooks/template/conf.json", "notebooks/template/index.html.j2"],
        style="scripts/pulmoscan/report/page.css",
        settings=rules.provenance.output.settings,
        provenance=rules.provenance.output.provenance,
        costs=rules.provenance.output.costs,
        audit=rules.audit.output,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
        resampling=rules.resampling.output.table,
        facts=rules.dataset_facts.output.table,
        oracle=rules.source_oracle.output.table,
        published=expand(rules.compare.output.table, table=PUBLISHED_TABLES),
        runs=rules.compare_runs.output.table,
        protocol=rules.protocol.output.table,
        hardest=rules.hardest_images.output.table,
        selection=rules.selection.output.table,
        gathered=rules.gather.output.tables,
        panels=run_files(rules.gradcam.output.panels, of=is_explained),
    output:
        notebook="results/report/report.ipynb",
        html=report(
            "results/report/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "The whole report"},
        ),
        figures=directory("results/report/figures"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    resources:
        mem_mb=more_each_attempt(4000),
        runtime=more_each_attempt(30),
    params:
        *code("notebooks/report.ipynb"),
        templates=subpath(input.notebook, parent=True),
    shell:
        r"""
        {{
            python -m papermill {input.notebook:q} {output.notebook:q} \
                -p results results --cwd . --no-progress-bar --log-level WARNING &&
            python -m nbconvert --to html --no-input --log-level WARN --template template \
                --TemplateExporter.extra_template_basedirs={params.templates:q} \
                --HTMLExporter.mathjax_url= --HTMLExporter.require_js_url= \
                --HTMLExporter.jquery_url= {output.notebook:q}
        }} 2>&1 | tee {log:q}
        """
