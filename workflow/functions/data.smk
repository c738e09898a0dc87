"""What the download depends on."""

from pulmoscan.acquire import sources
from pulmoscan.acquire.local import content_digest

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
]


def source_settings():
    """Return what the download depends on: settings, and for local files a digest of their content."""
    dataset = config["dataset"]
    settings = {"source": dataset["source"]}
    if dataset["source"] == "local":
        try:
            settings["content"] = content_digest(
                dataset["path"], "results/cache/local-digests.json"
            )
        except (ValueError, OSError) as error:
            raise WorkflowError(str(error)) from None
    return as_json(settings)
