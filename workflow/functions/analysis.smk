"""What the comparison with the published figures needs to know of the configuration."""


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
