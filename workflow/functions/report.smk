"""What the last page of the report says of the configuration and of costs."""


def published_settings():
    """Return the configuration as the report shows it: without where this machine keeps its files."""
    runs = Path(config["runs"])
    return as_json(
        {key: value for key, value in config.items() if key != "replace_results"}
        | {
            "dataset": config["dataset"] | {"path": None, "root": None},
            "external": {
                name: {key: value for key, value in of_set.items() if key not in ("path", "root")}
                for name, of_set in config["external"].items()
            },
            "weights": config["weights"] | {"folder": None},
            "explain": EXPLAIN,
            "runs": runs.name if runs.is_absolute() else config["runs"],
        }
    )


def is_cut(features):
    """Return whether features are those before a cut inside a backbone, by their path."""
    return Path(features).parent.name.startswith("unfreeze-")


def shared_benchmarks(wildcards):
    """Return the benchmarks of all jobs but those of one training."""
    features = [
        path.removeprefix("results/features/") for path in sorted(PLAN.samplings_of_features)
    ]
    searches = [
        PLAN.search_of(search.split_name, search.model).removeprefix("results/tuning/")
        for search in PLAN.searches(RUNS)
    ]
    sets = [*EXTERNAL]
    jobs = {
        "download": [""],
        "pack": [""],
        "audit": [""],
        "split": sorted(set(RUNS["split_name"])),
        "sampling": ["/".join(pair) for pair in PLAN.used_samplings],
        "weights": [Path(record).stem for record in weights_records(wildcards)],
        "features": [name for name in features if not is_cut(name)],
        "cut": [name for name in features if is_cut(name)],
        "tune": searches,
        "resampling": [""],
        "selection": [""],
        "gather": [""],
        "gather_explained": [""],
        "gather_table": COMPARED_TABLES,
        "compare": COMPARED_TABLES,
        "external_download": sets,
        "external_pack": sets,
        "external_audit": sets,
        "external_duplicates": sets,
        "external_predict": external_jobs(),
        "gather_external": [""] if sets else [],
    } | {name: [""] for name in ANALYSES}
    return [
        f"results/benchmarks/{'/'.join(filter(None, [rule, name]))}.tsv"
        for rule, names in jobs.items()
        for name in dict.fromkeys(names)
    ]
