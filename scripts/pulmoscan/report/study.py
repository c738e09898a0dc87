"""The results of a study as the report reads them: every file once, and only when it is needed.

All paths are those that the report's rule declares as its inputs. Nothing is searched for, and what
a section needs is either a table or a column, never the presence of a file.
"""

import math
import os
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from pulmoscan.config import runs
from pulmoscan.data.describe import ALL
from pulmoscan.data.layout import file_stem
from pulmoscan.inputs import pixels
from pulmoscan.results import gather
from pulmoscan.results.selection import RUN
from pulmoscan.results.verification import State, is_selected, verify
from pulmoscan.storage import arrays, tables

# Columns of the TSV tables that hold names or sentences: they stay text whatever they look like.
TEXT = frozenset(
    [
        *("split_name", "split", "model", "unfreeze", "variant", "tables", "kind", "sampling"),
        *("recommended_model", "metric", "published", "published_recommended", "searched_on"),
        *(
            "differs_in",
            "difference_reason",
            "status",
            "reason",
            "note",
            "first_trained",
            "positive",
        ),
        *("image", "image_a", "image_b", "class", "label", "predicted", "most_predicted", "source"),
        *("group", "region", "column", "mode", "error", "expected", "value", "defect", "warning"),
        *("shortfall", "fact", "class_or_set", "key", "rule", "wildcards"),
        *("set", "shared", "measure", "unit"),
    ]
)
THREADS = 8  # files that are compared with their digests at a time, at most
EXAMPLES = 3  # images of each class that are drawn
KEY = runs.TRAINING
Training = tuple[str, str, str, str, int]  # the values of KEY


class Study:
    """What the report shows, from the folder of a workflow's results."""

    def __init__(self, results: str | Path, *, published: bool = True) -> None:
        """Read the results in a folder; ``published``: whether those of the study stand beside."""
        self.folder = Path(results)
        self.published = published
        self.figures = self.folder / "report/figures"
        self._tables: dict[str, pd.DataFrame] = {}
        self._gathered: dict[str, pd.DataFrame] = {}

    # -------------------------------------------------------------------------------- configuration

    @cached_property
    def config(self) -> dict:
        """The configuration, without the paths of the machine."""
        return tables.read_json(
            self.folder / "config.json", "provenance", {"dataset": dict}, unchanged=False
        )

    @cached_property
    def verified(self) -> dict[PurePosixPath, State]:
        """What became of the results that this report is made from, by name, see `verify`."""
        selected = is_selected(self.folder)

        def wanted(name: PurePosixPath) -> bool:
            return name.parts[0] != "report" and selected(name)

        return verify(self.folder, min(THREADS, os.cpu_count() or 1), wanted, seconds=math.inf)

    @property
    def title(self) -> str | None:
        """The title that the configuration gives, None for the usual one."""
        return self.config["report"]["title"]

    @property
    def synthetic(self) -> bool:
        """Whether the images are phantoms."""
        return self.config["dataset"]["source"] == "phantom"

    @property
    def untrained(self) -> bool:
        """Whether the networks start from random weights."""
        return self.config["weights"]["source"] == "none"

    @cached_property
    def samplings(self) -> dict[str, str]:
        """The sampling of each variant."""
        return {name: entry["sampling"] for name, entry in self.config["variants"].items()}

    # --------------------------------------------------------------------------------------- tables

    def table(self, name: str) -> pd.DataFrame:
        """Return a copy of ``tables/<name>.tsv``.

        The columns `TEXT` are text, with "" for an empty cell. Any other column is one of numbers,
        with NaN for an empty cell, unless a cell holds something else.
        """
        if name not in self._tables:
            self._tables[name] = read_tsv(self.folder / f"tables/{name}.tsv")
        return self._tables[name].copy()

    def gathered(self, name: str) -> pd.DataFrame:
        """Return a copy of ``gathered/<name>.parquet``; without rows, it has its key's columns."""
        if name not in self._gathered:
            path = self.folder / f"gathered/{name}.parquet"
            self._gathered[name] = gather.read(path, name, unchanged=False)
        return self._gathered[name].copy()

    def by_training(self, name: str) -> dict[Training, pd.DataFrame]:
        """Return the rows of a gathered table by training."""
        return dict(iter(self.gathered(name).groupby(KEY, sort=False)))

    # ----------------------------------------------------------------------------------------- runs

    @cached_property
    def selection(self) -> pd.DataFrame:
        """One row per run of the run table and seed, with the name of its split."""
        return read_tsv(self.folder / "gathered/selection.tsv")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per selected run and seed: key, split, status, reason, metrics, and a name."""
        table = self.table("runs").merge(self.selection[[*KEY, "split"]], on=KEY)
        several = table["split_name"].nunique() > 1
        table["name"] = [
            (f"{row.split_name}: " if several else "")
            + runs.name(row.model, row.unfreeze, row.variant)
            for row in table.itertuples()
        ]
        return table

    @property
    def made(self) -> pd.DataFrame:
        """The rows of `runs` whose training was made."""
        return self.runs[self.runs["status"] == RUN].reset_index(drop=True)

    @property
    def first_seed(self) -> pd.DataFrame:
        """The rows of `made` with the first seed."""
        return self.made[self.made["seed"] == self.config["seeds"][0]]

    def made_for(self, table: str) -> pd.DataFrame:
        """Return the rows of `made` whose runs appear in a published table."""
        listed = self.table(table)[runs.KEY].drop_duplicates()
        return self.made.merge(listed, on=runs.KEY)

    def panel(self, run: tuple, image: str) -> Path:
        """Return the Grad-CAM panel of an image; ``run`` has the attributes of a training's key."""
        name = runs.name(run.model, run.unfreeze, run.variant)
        panels = self.folder / "explain" / run.split_name / name / "panels"
        return panels / f"{file_stem(image)}.png"

    # ------------------------------------------------------------------------------------- data set

    @cached_property
    def audit(self) -> pd.DataFrame:
        """One row per image, in the order of the packed arrays."""
        # Of any classes: what the report is made of has passed the stages that know them.
        text = ("image", "class", "source", "defects")
        return tables.read(self.folder / "audit/images.parquet", "the audit", text, unchanged=False)

    @property
    def usable(self) -> pd.DataFrame:
        """The rows of `audit` without defects."""
        return self.audit[self.audit["defects"] == ""]

    @property
    def masked_rows(self) -> pd.Series:
        """Which rows of `audit` have a lung mask."""
        return self.audit["useful_area"].notna()

    @property
    def has_masks(self) -> bool:
        """Whether any usable image has a lung mask."""
        return bool(self.masked_rows[self.usable.index].any())

    @property
    def has_sources(self) -> bool:
        """Whether the images are known to come from several sources, or some of them from one."""
        return len(self.table("sources")) > 1

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the tables and of `mean_images`."""
        names = self.table("classes")["class"]
        return names[names != ALL].tolist()

    @cached_property
    def images(self) -> np.ndarray:
        """The packed images (n x s x s uint8), memory-mapped."""
        return self._array("packed/images.npy")

    @cached_property
    def masks(self) -> np.ndarray:
        """The packed masks (n x s x s uint8, 1 inside the lungs), memory-mapped."""
        return self._array("packed/masks.npy")

    @cached_property
    def histograms(self) -> np.ndarray:
        """Grey levels of each packed image (n x 2 x 256): whole, inside the mask."""
        return self._array("audit/histograms.npy")

    @cached_property
    def mean_images(self) -> np.ndarray:
        """The mean image of each class (classes x 2 x s x s): whole, lungs; NaN without images."""
        return self._array("audit/mean_images.npy")

    @cached_property
    def examples(self) -> dict[str, list[int]]:
        """The rows of a few usable images of each class that has any, drawn by seed."""
        draw = np.random.default_rng(self.config["explain"]["seed"])
        rows = {
            name: sorted(
                draw.permutation(self.usable.index[self.usable["class"] == name])[
                    :EXAMPLES
                ].tolist()
            )
            for name in self.classes
        }
        return {name: chosen for name, chosen in rows.items() if chosen}

    def masked(self, row: int, region: str = "lungs") -> np.ndarray:
        """Return a packed image with everything black outside a region."""
        image, mask = self.images[row][None], self.masks[row][None]
        return pixels.apply(image, mask, {"region": region})[0]

    def _array(self, name: str) -> np.ndarray:
        arrays.NpyFile(self.folder / name, "the packing" if "packed" in name else "the audit")
        return np.load(self.folder / name, mmap_mode="r")


def read_tsv(path: Path) -> pd.DataFrame:
    """Return a TSV table, see `Study.table`."""
    table = tables.read(path, f"what makes {path.name}", all_text=True, unchanged=False)
    for name in table.columns.difference(list(TEXT), sort=False):
        numbers = pd.to_numeric(table[name].replace("", None), errors="coerce")
        if numbers.notna().eq(table[name] != "").all():
            table[name] = numbers
    return table
