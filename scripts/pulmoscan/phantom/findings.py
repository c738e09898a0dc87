"""What a disease adds to a synthetic radiograph: fluid and tissue where the lungs held air.

Every finding is a float32 map of attenuation to add, made for one patient. Strengths range from 0
(invisible) to 1, so that the classes overlap as they do on real films: a weak finding cannot be
told from a clear lung.
"""

import numpy as np

from pulmoscan.phantom.patient import Patient
from pulmoscan.phantom.shapes import blurred, enlarged, step


def add_findings(
    class_name: str, patient: Patient, air: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the attenuation (float32, the shape of ``air``) that a class's disease adds.

    ``air`` is the share of aerated lung along the ray. Normal lungs get no finding.
    """
    size = len(air)
    strength = rng.beta(1.7, 1.2)
    if class_name == "COVID":
        return strength * air * _ground_glass(patient, size, rng)
    if class_name == "Lung_Opacity":
        return strength * air * _consolidations(patient, size, rng)
    if class_name == "Viral Pneumonia":
        return strength * air * _interstitial(patient, size, rng)
    return np.zeros_like(air)


def _ground_glass(patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return hazy patches in both lungs, in the periphery and the lower zones."""
    side = max(size // 4, 16)
    patches = int(rng.integers(4, 10))
    sign = np.where(np.arange(patches) % 2, 1.0, -1.0)
    x = sign * rng.uniform(0.5, 0.95, patches)
    y = 0.85 - 1.3 * rng.beta(1.2, 2.2, patches)
    radius = rng.uniform(0.12, 0.34, (2, patches))
    haze = _blobs(patient, side, x, y, radius, rng.uniform(0.4, 1, patches))
    texture = 1 + 0.45 * enlarged(rng.normal(0, 1, (18, 18)), side)
    return 0.40 * enlarged(np.minimum(haze, 1.1) * np.clip(texture, 0, 2), size)


def _consolidations(patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one or two dense opacities with an uneven edge, most often in one lung."""
    side = max(size // 4, 16)
    first = rng.choice((-1.0, 1.0))
    count = int(rng.integers(1, 3))
    sign = first * np.where(rng.random(count) < 0.75, 1, -1)
    x = sign * rng.uniform(0.3, 0.75, count)
    y = rng.uniform(-0.65, 0.7, count)
    radius = rng.uniform(0.2, 0.45, (2, count))
    shape = _blobs(patient, side, x, y, radius, np.ones(count))
    shape += 0.16 * enlarged(rng.normal(0, 1, (14, 14)), side) * (shape > 0.05)
    return 0.48 * enlarged(step((shape - 0.5) / 0.28), size)


def _interstitial(patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return streaks that radiate from both hila, and a thin perihilar haze."""
    streaks = int(rng.integers(60, 130))
    side = np.where(np.arange(streaks) % 2, 1.0, -1.0)[:, None]
    angle = rng.uniform(-1.45, 1.45, (streaks, 1))
    near = 0.10 + 0.55 * rng.beta(1.2, 1.8, (streaks, 1))
    t = near + np.linspace(0, 1, 5) * rng.uniform(0.05, 0.18, (streaks, 1))
    bent = angle + rng.normal(0, 0.5, (streaks, 1)) * (t - near)
    x = side * (0.2 + t * np.cos(bent)) + patient.turn
    lines = np.stack([x, t * np.sin(bent) - 0.05], axis=-1)
    drawn = patient.frame.lines(lines, size, 0.005, 1)
    coarse = max(size // 4, 16)
    centres = np.array((-0.32, 0.32)) + patient.turn
    haze = _blobs(patient, coarse, centres, np.zeros(2), np.full((2, 2), 0.42), np.ones(2))
    nodules = np.abs(enlarged(rng.normal(0, 1, (40, 40)), coarse))
    return 0.30 * blurred(drawn, 0.0045 * size) + enlarged(haze * (0.13 + 0.09 * nodules), size)


def _blobs(
    patient: Patient,
    side: int,
    x: np.ndarray,
    y: np.ndarray,
    radius: np.ndarray,
    height: np.ndarray,
) -> np.ndarray:
    """Return a sum of Gaussian blobs (side, side) with centres and radii in thorax units."""
    grid_x, grid_y = (axis[..., None] for axis in patient.frame.grid(side))
    distance = ((grid_x - x) / radius[0]) ** 2 + ((grid_y - y) / radius[1]) ** 2
    return np.exp(-distance) @ height
