"""Put everything on one page.

provenance: configuration, hashes, benchmarks -> config.json, tables/provenance.tsv, tables/costs.tsv
report:     all tables, panels, predictions    -> report/report.ipynb, report/report.html
"""


rule provenance:
    input:
        raw=rules.download.output.table,
        weights=weights_records,
        # What the costs are those of: the report's other inputs.
        runs=rules.compare.output.runs,
        facts=rules.dataset_facts.output.table,
        explained=run_files(rules.gradcam.output.scores, of=is_explained),
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
    resources:
        mem_mb=more_each_attempt(1000),
        runtime=more_each_attempt(10),
    params:
        *code("scripts/provenance.py"),
        settings=published_settings(),
    shell:
        "python scripts/provenance.py --config {params.settings:q} --raw {input.raw:q} "
        "--weights {input.weights:q} --benchmarks results/benchmarks --settings {output.settings:q} "
        "--provenance {output.provenance:q} --costs {output.costs:q} 2>&1 | tee {log:q}"


rule report:
    input:
        notebook="notebooks/report.ipynb",
        settings=rules.provenance.output.settings,
        provenance=rules.provenance.output.provenance,
        costs=rules.provenance.output.costs,
        audit=rules.audit.output,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
        resampling=rules.resampling.output.table,
        facts=rules.dataset_facts.output.table,
        oracle=rules.source_oracle.output.table,
        tables=rules.compare.output,
        histories=run_files(rules.train.output.history, of=is_network),
        confusions=run_files(rules.evaluate.output.confusion),
        per_class=run_files(rules.evaluate.output.per_class),
        panels=run_files(rules.gradcam.output.panels, of=is_explained),
        scores=run_files(rules.gradcam.output.scores, of=is_explained),
        best=tuning_files("best.json"),
        trials=tuning_files("trials.tsv"),
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
    shell:
        "(python -m papermill {input.notebook:q} {output.notebook:q} -p results results "
        "--cwd . --no-progress-bar --log-level WARNING && "
        "python -m nbconvert --to html --no-input --log-level WARN --HTMLExporter.mathjax_url= "
        "--HTMLExporter.require_js_url= --HTMLExporter.jquery_url= {output.notebook:q}) "
        "2>&1 | tee {log:q}"
