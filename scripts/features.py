"""Run a frozen backbone once over all images that some samplings need.

Settings: the network (backbone, arguments, input size) and the pixels. Inputs: the backbone's
weights, the packed images and masks, the samplings. Outputs: its pooled features (n x d float32,
``.npy``) and the sorted rows of the packed arrays they belong to (n int64, ``.npy``), so samplings
and seeds only select among them.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pulmoscan import arrays, backend, command
from pulmoscan.atomic import replacing

PROGRESS_EVERY = 30  # seconds between two lines


def main(argv: Sequence[str]) -> None:
    """Compute the features and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=json.loads, required=True, help="JSON, see models:")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--pixels", type=json.loads, required=True, help="JSON, see pixels:")
    parser.add_argument("--samplings", type=Path, nargs="+", required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    options = parser.parse_args(argv)
    rows = union_of_rows(options.samplings)
    backend.configure(options.threads)
    from pulmoscan import backbones, batches

    extractor = backbones.feature_extractor(options.network, options.weights)
    source = batches.Pixels(
        np.load(options.images, mmap_mode="r", allow_pickle=False),
        np.load(options.masks, mmap_mode="r", allow_pickle=False),
        options.pixels,
        options.network["input_size"],
    )
    with replacing(options.output) as path, path.open("wb") as file:
        arrays.begin(file, np.float32, (len(rows), extractor.output_shape[-1]))
        for part in _parts(len(rows), options.batch_size):
            x = source.read(rows[part])[..., None].astype("float32")
            arrays.append(file, np.asarray(extractor.predict_on_batch(x), dtype=np.float32))
    with replacing(options.rows) as path, path.open("wb") as file:
        np.save(file, rows, allow_pickle=False)


def union_of_rows(samplings: Sequence[Path]) -> np.ndarray:
    """Return the rows of the packed arrays that any sampling holds, sorted, int64.

    Raises ``ValueError`` when they hold none.
    """
    tables = [pd.read_parquet(path, columns=["row"])["row"].to_numpy() for path in samplings]
    rows = np.unique(np.concatenate(tables)).astype(np.int64)
    if not rows.size:
        raise ValueError(f"no image in {', '.join(map(str, samplings))}: the data do not fill them")
    return rows


def _parts(number: int, size: int) -> Iterator[slice]:
    """Yield the slices of the batches, with a line on how far the work is from time to time."""
    started = reported = time.perf_counter()
    for start in range(0, number, size):
        yield slice(start, start + size)
        now, done = time.perf_counter(), min(start + size, number)
        if done == number or now - reported > PROGRESS_EVERY:
            reported = now
            print(f"{done} of {number} images, {done / (now - started):.1f} a second", flush=True)


if __name__ == "__main__":
    command.run(main)
