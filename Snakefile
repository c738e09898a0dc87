"""The PulmoSCAN study, from the raw download to the report.

The stages in their order; each rule file names its inputs and outputs at the top.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/report.smk"


# They need the network, which the nodes of a cluster may not have.
localrules:
    all,
    download,
    weights,


onstart:
    record_command()


rule all:
    default_target: True
    input:
        "results/report/report.html",
