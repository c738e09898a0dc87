"""The registry of data sources: complete, light to load, and precise about whose code is whose."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pulmoscan.acquire import sources
from pulmoscan.storage import code_digest


def test_the_schema_names_the_sources(repository: Path) -> None:
    schema = yaml.safe_load((repository / "workflow/schemas/config.schema.yaml").read_text())
    named = schema["properties"]["dataset"]["properties"]["source"]["enum"]
    assert named == list(sources.SOURCES)


@pytest.mark.parametrize("name", sources.SOURCES)
def test_a_download_depends_on_the_code_of_its_source_alone(name: str, repository: Path) -> None:
    others = sources.modules_of_others(name)
    found = code_digest.module_digests(repository / "scripts/download.py", others)
    modules = {file.removesuffix(".py").replace("/", ".") for file in found}

    def used(module: str) -> bool:
        return any(file == module or file.startswith(f"{module}.") for file in modules)

    assert all(used(module) for module in sources.SOURCES[name].modules)
    assert not any(used(module) for module in others)


def test_modules_of_others() -> None:
    others = sources.modules_of_others("phantom")
    assert {"pulmoscan.acquire.kaggle", "pulmoscan.acquire.label_table"} <= {*others}
    assert "pulmoscan.acquire.local" not in others
    assert "pulmoscan.phantom" in sources.modules_of_others("local")


def test_nothing_heavy_is_imported_before_a_source_is_used(repository: Path) -> None:
    program = (
        "import sys\n"
        "from pulmoscan.acquire import sources\n"
        "print({'numpy', 'pandas', 'cv2', 'requests', 'kagglehub'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=repository / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_the_other_sources_are_suggested() -> None:
    assert sources.alternatives("kaggle") == (
        "or choose another dataset.source: sample (1,076 public images, from GitHub), "
        "local (your own copy, at dataset.path) or phantom (synthetic, without network)"
    )
