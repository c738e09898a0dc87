"""What the download and the packing depend on."""

from dataclasses import asdict

from pulmoscan.acquire import sources
from pulmoscan.acquire.listing import digest
from pulmoscan.acquire.local import content_digest
from pulmoscan.config.places import OWN
from pulmoscan.data import options

MANIFEST = own_file("workflow/study/sample_manifest.tsv")
AUDIT_TABLES = [
    "classes",
    "modes",
    "sizes",
    "sources",
    "class_by_source",
    "useful_area",
    "intensity",
    "metadata_errors",
    "duplicates",
    "defects",
    "warnings",
    "attributes",
]
# How files become arrays, in training and in prediction.
PACKING = as_json(asdict(options.of_data_set(config["dataset"])))
DIGESTS = "results/cache/local-digests.json"
CODE_OF_DOWNLOAD = code(
    "scripts/download.py",
    without={module for source in sources.SOURCES.values() for module in source.modules},
)


def code_of_source(source):
    """Return what a download depends on beside `CODE_OF_DOWNLOAD`: the code of its source."""
    modules = code("scripts/download.py", without=sources.modules_of_others(source))
    return [module for module in modules if module not in CODE_OF_DOWNLOAD]


def own_settings(dataset):
    """Return the settings of the user's own images, without where they are; nothing for others."""
    if dataset["source"] not in OWN:
        return {}
    return {key: dataset.get(key) for key in ("root", "columns", "classes", "masks")}


def source_settings(dataset, data, cache=DIGESTS):
    """Return what the download depends on: settings, and for local files a digest of their content.

    ``cache`` is the file that keeps the digests of the files of this data set.
    """
    settings = {"source": dataset["source"]}
    if data.listing is None and dataset["classes"]:
        settings["classes"] = dataset["classes"]
    if dataset["source"] in OWN:
        try:
            settings["content"] = (
                content_digest(dataset["path"], cache)
                if data.listing is None
                else digest(data.listing, cache)
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)
