"""Predictions outside the workflow: those of the workflow itself, to the last bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def predict(finished, run: str, *options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "scripts/predict.py", "--model"]
    command += [f"results/runs/grouped/{run}/seed-0/model.keras", *map(str, options)]
    return subprocess.run(
        command, cwd=finished.folder, env=finished.environment(), capture_output=True, text=True
    )


def folders(finished, kind: str) -> list[Path]:
    return sorted(finished.database.glob(f"*/{kind}"))


@pytest.mark.parametrize("run", ["lungs/lenet5/unfreeze-all", "outside/mobilenet-small/unfreeze-0"])
def test_predictions_for_files_are_those_of_the_workflow(finished, tmp_path, run):
    output = tmp_path / "predictions.parquet"
    images, masks = folders(finished, "images"), folders(finished, "masks")
    done = predict(finished, run, *images, "--masks", *masks, "--output", output)
    assert output.exists(), done.stderr
    own = pd.read_parquet(output)
    own.index = own["image"].map(lambda name: Path(name).stem)
    theirs = pd.read_parquet(
        finished.folder / f"results/runs/grouped/{run}/seed-0/predictions.parquet"
    )
    columns = [name for name in theirs if name.startswith("p_")]
    np.testing.assert_array_equal(own.loc[theirs["image"], columns], theirs[columns])
    told = own["warnings"].str.contains("one of the training images")
    sampling = pd.read_parquet(finished.folder / "results/samplings/grouped/balanced.parquet")
    trained = sampling.loc[sampling["split"] == "train", "image"]
    assert set(trained) <= set(told.index[told])


def test_a_network_of_lungs_asks_for_masks(finished):
    image = next(iter(folders(finished, "images")[0].glob("*.png")))
    done = predict(finished, "lungs/lenet5/unfreeze-all", image)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("predict: 1 of 1 images have no prediction: see defect")
    assert done.stdout.splitlines()[1].split("\t")[6:] == ["no mask", ""]
