"""Sample one synthetic patient: position on the film, proportions, build.

The spreads are wide on purpose: no two radiographs may look like copies of each other unless one is
meant to be a copy. The means were fitted by eye to real films.
"""

from dataclasses import dataclass

import numpy as np

from pulmoscan.phantom.shapes import Frame


@dataclass(frozen=True)
class Patient:
    """One patient on the film; lengths in thorax units, attenuations in those of the map."""

    frame: Frame
    child: bool
    turn: float  # shift of the mediastinum: a patient turned to one side
    build: float  # thickness of the chest wall
    heart: tuple[float, float]  # width of the heart (1: adult), shift to its left
    domes: tuple[float, float]  # how much lower than usual the right and the left dome are
    shoulder: float  # height of the shoulders
    arms: float  # distance of the arms from the midline
    breast: float
    stomach: float  # gas in the stomach
    ribs: int
    first_rib: float
    rib_width: float
    rib_drop: float  # how far a posterior rib descends on its way to the chest wall
    bone: float
    seed: int  # of the individual outlines and vessels


def draw_patient(rng: np.random.Generator, child: bool, fill: float) -> Patient:
    """Return a random patient; ``fill`` scales the thorax on the film (1: the usual size)."""
    width = float(np.clip(rng.normal(0.33 if child else 0.36, 0.035) * fill, 0.24, 0.43))
    height = float(np.clip(width * rng.normal(1.14 if child else 0.94, 0.09), 0.24, 0.43))
    bend = [rng.normal(0, 0.022, 2), rng.uniform(1.2, 3.0, 2), rng.uniform(0, 2 * np.pi, 2)]
    return Patient(
        frame=Frame(
            centre=(rng.normal(0.5, 0.035), rng.normal(0.48, 0.045)),
            half=(width, height),
            rotation=rng.normal(0, 0.045),
            bend=np.stack(bend),
        ),
        child=child,
        turn=rng.normal(0, 0.04),
        build=float(np.clip(rng.normal(0.12, 0.08), 0.03, 0.35)),
        heart=(
            float(np.clip(rng.normal(1.2 if child else 1.0, 0.13), 0.75, 1.5)),
            rng.normal(0, 0.03),
        ),
        domes=(rng.normal(0, 0.07), rng.normal(0, 0.07)),
        shoulder=rng.normal(-1.1, 0.08),
        arms=rng.uniform(1.2, 2.0),
        breast=0.0 if child else max(0.0, rng.normal(0.0, 0.10)),
        stomach=max(0.0, rng.normal(0.05, 0.15)),
        ribs=int(rng.integers(9, 12)),
        first_rib=rng.uniform(-1.10, -0.92),
        rib_width=float(np.clip(rng.normal(0.07, 0.01), 0.04, 0.1)),
        rib_drop=rng.normal(0.26 if child else 0.38, 0.07),
        bone=float(np.clip(rng.normal(0.13 if child else 0.10, 0.025), 0.04, 0.2)),
        seed=int(rng.integers(2**32)),
    )
