"""The PulmoSCAN study, from the raw download to the report.

The stages in their order; each rule file names its inputs and outputs at the top.
"""

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/paths.smk"


configfile: own_file("config.yaml")


# A study in a folder of its own may have a config.yaml, which names what differs.
if not IS_MODULE and Path.cwd() != ROOT and Path("config.yaml").is_file():

    configfile: "config.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst" if DATA.of_study else "workflow/report/own_data.rst"


include: "workflow/rules/data.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/gather.smk"
include: "workflow/rules/external.smk"
include: "workflow/rules/predictions.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/report.smk"


# They need the network, which the nodes of a cluster may not have.
localrules:
    all,
    download,
    weights,


rule all:
    default_target: True
    input:
        "results/report/report.html",
        # The files of a job that failed are gone, and Snakemake makes again what is missing only
        # where it is asked for: it would take what was made of the former files for finished.
        rules.download.output.table,
        rules.pack.output.decoded,
        rules.audit.output.images,
        expand("results/splits/{split}.parquet", split=sorted(set(RUNS["split_name"]))),
        rules.source_oracle.input.samplings,
        weights_records,
        tuning_files("best.json"),
        run_files(rules.train.output.predictions),
        run_files(rules.describe.output.description, of=is_network),
        run_files(rules.evaluate.output.metrics),
        expand(rules.gather_table.output.tables[0], table=COMPARED_TABLES),
        expand(rules.external_audit.output.tables[0], set=EXTERNAL),
        rules.gather_external.output if EXTERNAL else [],
        rules.report.input,
