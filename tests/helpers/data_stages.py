"""Command lines of the data stages, and databases that are large enough to be split."""

from pathlib import Path

import pandas as pd
import small_database as small

FULL = {"COVID": 8, "Lung_Opacity": 8, "Normal": 8, "Viral Pneumonia": 8}
SCHEME = '{"test": 0.2, "validation": 0.2, "seed": 1, "group": "duplicates"}'


OUTPUTS = (("table", "raw"), ("unread", "unread"), ("images", "raw_images"))


def table(results: Path, name: str) -> pd.DataFrame:
    """One of the audit's tables."""
    return pd.read_csv(results / "tables" / f"{name}.tsv", sep="\t", keep_default_na=False)


def download_arguments(source: Path, results: Path) -> list[str]:
    places = {"path": source, "cache": results / "cache", "raw": results / "raw"}
    places |= {name: results / f"{file}.tsv" for name, file in OUTPUTS}
    words = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    return ["--source", "local", "--threads", "2", *words]


def split_arguments(results: Path, output: Path) -> list[str]:
    images = results / "audit/images.parquet"
    return ["--images", str(images), "--scheme", SCHEME, "--output", str(output)]


def sampling_arguments(table: Path, folder: Path) -> list[str]:
    settings = ["--name", "balanced", "--settings", '{"per_class": "smallest"}']
    shares = ["--shares", '{"test": 0.2, "validation": 0.2}']
    outputs = ["--output", str(folder / "s.parquet"), "--counts", str(folder / "s.counts.tsv")]
    return ["--split", str(table), *settings, *shares, *outputs]


def left(folder: Path) -> list[str]:
    """The names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def with_images(folder: Path, images: dict[str, int]) -> Path:
    """Write a database with the given number of small radiographs in each class."""
    seed = 0
    for class_name, count in images.items():
        for part in ("images", "masks"):
            (folder / class_name / part).mkdir(parents=True)
        for number in range(1, count + 1):
            seed += 1
            name = f"{class_name}-{number}.png"
            pixels = small.encoded(small.radiograph(seed))
            (folder / class_name / "images" / name).write_bytes(pixels)
            (folder / class_name / "masks" / name).write_bytes(small.encoded(small.mask()))
    return folder
