"""What analyses of predictions need to know of the configuration."""


def regions_of_variants():
    """Return region and sampling of each variant of the selected runs, and what else it consists of.

    Histograms are left out: they show no region to anybody.
    """
    found = {}
    for name in sorted(set(RUNS["variant"])):
        variant = config["variants"][name]
        pixels = config["pixels"][variant["pixels"]]
        if "reduce" not in pixels:
            rest = {key: value for key, value in pixels.items() if key != "region"}
            augment = config["augmentation"] if variant.get("augment") else None
            found[name] = {
                "region": pixels["region"],
                "sampling": variant["sampling"],
                "apart": as_json({"pixels": rest, "augment": augment}),
            }
    return as_json(found)
