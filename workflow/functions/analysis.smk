"""What the comparison with the published figures needs to know of the configuration."""

from pulmoscan.config import reference


def samplings_of_variants(names):
    """Return the sampling of each of some variants, where the configuration has them."""
    known = config["variants"]
    return as_json({name: known[name]["sampling"] for name in sorted(set(names)) if name in known})


def samplings_of_table(wildcards):
    return samplings_of_variants(
        [
            *FIGURES.loc[FIGURES["table"] == wildcards.table, "variant"],
            *runs_of_table(wildcards)["variant"],
        ]
    )


STUDY = reference.load(ROOT / "workflow/study/reference.yaml")


def redefined_runs(runs):
    """Return which of some runs are not made as in the study, though their figures were published."""
    published = set(FIGURES[run_table.NAME].itertuples(index=False, name=None))
    return as_json(reference.redefined(config, STUDY, runs, published))


def redefined_of_table(wildcards):
    return redefined_runs(runs_of_table(wildcards))


def described_models():
    """Return what tells the selected models apart from those that they are like."""
    names = {*RUNS["model"], *(MODELS[name].like for name in RUNS["model"])} - {None}
    return as_json(
        {
            name: {
                "like": MODELS[name].like,
                "stages": MODELS[name].training["stages"],
                "network": MODELS[name].network,
            }
            for name in sorted(names)
        }
    )


def counted_split():
    """Return the split whose samplings the published facts are about: that of most runs."""
    return RUNS["split_name"].mode()[0]


def redefined_samplings():
    """Return which samplings of the study the configuration takes in another way."""
    split = RUNS.loc[RUNS["split_name"] == counted_split(), "split"].iloc[0]
    return as_json(reference.redefined_samplings(config, STUDY, split))
