"""Backbones, their weights, and the samplings whose images features must hold."""

from pulmoscan.acquire.local import content_digest
from pulmoscan.networks import backbones


def weights_settings(wildcards):
    """Return what a weights file depends on: source, network, and for a folder the file's content."""
    network = PLAN.weights[wildcards.weights].network
    settings = {"source": config["weights"]["source"]} | {
        key: network[key] for key in ("backbone", "arguments")
    }
    if settings["source"] == "folder":
        try:
            file = backbones.find_file(
                config["weights"]["folder"], settings["backbone"], settings["arguments"]
            )
            settings["content"] = content_digest(
                file, f"results/cache/{wildcards.weights}-digest.json"
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)


def weights_records(wildcards):
    """Return the record of every weights file that a selected run starts from."""
    names = {backbone.weights for model in RUNS["model"] if (backbone := PLAN.backbone(model))}
    return [f"results/weights/{name}.tsv" for name in sorted(names)]


def features_network(joint):
    """Return a parameter: a backbone, and the layer after it, as a network of the configuration."""
    return lambda wildcards: as_json(
        {**PLAN.backbones[wildcards.backbone].network, "head": [joint]}
    )


def features_samplings(wildcards):
    """Return the samplings whose images a file of features must hold."""
    folder = Path("results/features", wildcards.backbone)
    if "unfreeze" in wildcards.keys():
        folder /= f"unfreeze-{wildcards.unfreeze}"
    return PLAN.samplings_of_features.get(str(folder / wildcards.pixels), ())
