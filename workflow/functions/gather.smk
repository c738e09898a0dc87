"""The runs and searches that gathered tables hold."""

from functools import cache

GATHERED = [
    "predictions",
    "history",
    "stages",
    "metrics",
    "per_class",
    "confusion",
    "searches",
    "trials",
]
OF_A_TABLE = ["metrics", "per_class", "searches"]


@cache  # several inputs and parameters of each table ask for them
def runs_of(table):
    return PLAN.of_table(table, FIGURES)


def runs_of_table(wildcards):
    return runs_of(wildcards.table)


def searches_of_table(wildcards):
    return [
        f"{PLAN.search_of(search.split_name, search.model)}/best.json"
        for search in PLAN.searches(runs_to_make(runs_of_table(wildcards)))
    ]


def searched_variants(runs):
    """Return the variant that each tuned model of some runs is searched on."""
    return as_json({search.model: search.variant for search in PLAN.searches(runs)})


def tuned_of_table(wildcards):
    return searched_variants(runs_of_table(wildcards))


def kind(model):
    """Return what a model is: a network on images or on histograms, or a classifier."""
    if not is_network(model):
        return "classifier"
    return "network" if is_explained(model) else "histogram network"
