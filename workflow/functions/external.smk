"""External test sets: their images, and the runs that predict them."""

OF_SETS = "results/external/{set}"
ON_SETS = {
    name: {
        "settings": source_settings(of_set, SETS[name], f"results/cache/digests/{name}.json"),
        "packing": as_json(asdict(options.of_data_set(of_set))),
    }
    for name, of_set in EXTERNAL.items()
}


def of_set(value):
    """Return a parameter: what a function says of the settings of a set."""
    return lambda wildcards: value(EXTERNAL[wildcards.set])


def uncompared_of_set(value):
    """Return the same as a parameter that reruns nothing, see `uncompared`."""
    return lambda wildcards, input: value(EXTERNAL[wildcards.set])


def predicting(name):
    """Return the runs that predict a set."""
    made = runs_to_make(RUNS)
    unable = UNPREDICTED[name]
    return made.loc[[f"{run.model}/{run.variant}" not in unable for run in made.itertuples()]]


def external_predictions(wildcards):
    """Return one file of predictions per set, run and seed."""
    return [
        path
        for name in EXTERNAL
        for path in run_files(
            f"results/external/{name}/runs/{RUN_SEED}/predictions.parquet",
            runs=lambda wildcards: predicting(name),
        )(wildcards)
    ]


def external_jobs():
    """Return the jobs that predict a set, as set and run."""
    return [
        f"{name}/{RUN}".format(
            split=run.split_name, variant=run.variant, model=run.model, unfreeze=run.unfreeze
        )
        for name in EXTERNAL
        for run in predicting(name).itertuples()
    ]


def external_labels():
    """Return what the runs of each variant call the classes that they know."""
    variants = sorted(set(RUNS["variant"])) if EXTERNAL else []
    return as_json({variant: external.labels(config, variant, DATA) for variant in variants})
