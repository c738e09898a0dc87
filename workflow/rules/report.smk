"""Put everything on one page.

provenance: configuration, hashes, benchmarks        -> config.json, tables/provenance.tsv, tables/costs.tsv
report:     tables, gathered tables, panels of images -> report/report.ipynb, report/report.html
"""


include: "../functions/report.smk"


# Radiographs of one's own have a report without anything that the study published.
NOTEBOOK = f"notebooks/{'report' if DATA.of_study else 'own_data'}.ipynb"


rule provenance:
    input:
        raw=rules.download.output.table,
        weights=weights_records,
        selection=rules.selection.output.table,
        # What the costs are those of: the report's other inputs.
        published=expand(rules.compare.output.table, table=COMPARED_TABLES),
        analyses=[getattr(rules, name).output.table for name in ANALYSES],
        explained=rules.gather_explained.output.table,
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
        program=program("scripts/provenance.py"),
        # No inputs: a benchmark that is lost must not make Snakemake train again.
        benchmarks=shared_benchmarks,
        settings=published_settings(),
    shell:
        r"""
        {params.program:q} \
            --config {params.settings:q} \
            --raw {input.raw:q} \
            --weights {input.weights:q} \
            --selection {input.selection:q} \
            --benchmarks results/benchmarks \
            --shared {params.benchmarks:q} \
            --settings {output.settings:q} \
            --provenance {output.provenance:q} \
            --costs {output.costs:q} \
            >{log:q} 2>&1
        """


rule report:
    input:
        notebook=local(own_file(NOTEBOOK)),
        template=[
            local(own_file("notebooks/template/conf.json")),
            local(own_file("notebooks/template/index.html.j2")),
        ],
        style=local(own_file("scripts/pulmoscan/report/page.css")),
        settings=rules.provenance.output.settings,
        provenance=rules.provenance.output.provenance,
        costs=rules.provenance.output.costs,
        audit=rules.audit.output,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
        resampling=rules.resampling.output.table,
        published=expand(rules.compare.output.table, table=COMPARED_TABLES),
        analyses=[getattr(rules, name).output.table for name in ANALYSES],
        selection=rules.selection.output.table,
        gathered=rules.gather.output.tables,
        explained=rules.gather_explained.output.table,
        panels=run_files(rules.gradcam.output.panels, of=is_explained),
    output:
        notebook="results/report/report.ipynb",
        html=report(
            "results/report/report.html",
            caption="../report/report.rst" if DATA.of_study else "../report/own_data_report.rst",
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
        *code(NOTEBOOK),
        *code("scripts/report.py"),
        program=program("scripts/report.py"),
        template=uncompared(own_file("notebooks/template")),
    shell:
        r"""
        {params.program:q} \
            --notebook {input.notebook:q} \
            --template {params.template:q} \
            --results results \
            --output {output.notebook:q} \
            >{log:q} 2>&1
        """
