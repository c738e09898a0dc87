"""Turn a map of attenuation into a film, with the look of the source that it seems to come from.

Each source has its own exposure, contrast, noise, borders and letters, inside and outside the
lungs, like the sources of the real database: the class of an image can be told from its source as
well as from its disease. The values were fitted by eye and to the mean grey levels of real films.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pulmoscan.phantom.patient import Patient
from pulmoscan.phantom.shapes import blurred, enlarged

_DENSEST = 1.15  # attenuation that is shown at the white level


@dataclass(frozen=True)
class Look:
    """How the films of one source look. Pairs are the mean and spread over its films."""

    contrast: tuple[float, float]  # the higher, the sooner dense parts turn white
    black: tuple[float, float]  # grey level of air outside the patient
    white: tuple[float, float]  # grey level of the densest parts
    noise: float  # grey levels
    blur: float  # share of the film's side
    uneven: float  # grey levels of the slow field
    collimated: float  # share of films with a black border
    framed: float  # share of films with a bright edge
    markers: tuple[str, ...]  # letters on the side marker
    right: bool  # whether the marker is at the patient's right, the left of the image
    marker_size: float
    notes: tuple[str, ...] = ()  # small words
    tubes: float = 0.0  # share of films with a tube or a cable
    fill: float = 1.0  # size of the thorax on the film
    child: bool = False


LOOKS = {
    "BIMCV": Look(
        (1.9, 0.65), (8, 8), (236, 16), 3, 0.002, 9, 0.30, 0.08,
        ("D", "DCHA.", "R"), True, 0.5, ("SUPINO", "Bipe"), 0.15, 0.96,
    ),
    "COVID-CXNet": Look(
        (2.0, 0.6), (10, 9), (240, 12), 4, 0.003, 10, 0.15, 0.10,
        ("L", "R"), True, 0.6, ("AP",), 0.20,
    ),
    "EURORAD": Look(
        (1.7, 0.5), (12, 9), (245, 9), 3, 0.003, 8, 0.08, 0.15,
        ("A", "B", "a"), True, 0.8, (), 0.10, 1.02,
    ),
    "covid-19-image-repository": Look(
        (1.5, 0.4), (28, 12), (212, 14), 4, 0.003, 12, 0.10, 0.0,
        ("R",), True, 0.5, ("LIEGEND",), 0.60, 0.98,
    ),
    "covid-chestxray-dataset": Look(
        (2.0, 0.7), (18, 14), (238, 14), 5, 0.004, 11, 0.10, 0.15,
        ("L", "R", "C"), False, 0.7, ("AP ERECT",), 0.20,
    ),
    "SIRM": Look(
        (2.1, 0.5), (10, 8), (238, 12), 4, 0.004, 9, 0.20, 0.05,
        ("C", "DX"), True, 0.7, ("A LETTO",), 0.15,
    ),
    "RSNA": Look(
        (1.45, 0.5), (6, 5), (235, 14), 3, 0.0015, 6, 0.20, 0.25,
        ("L",), False, 0.5, ("AP", "PORTABLE"), 0.20,
    ),
    "chest-xray-pneumonia": Look(
        (1.75, 0.55), (8, 7), (222, 18), 3, 0.002, 7, 0.05, 0.0,
        ("R",), True, 0.8, ("KV59", "A-P"), 0.03, 1.0, True,
    ),
}  # fmt: skip


def expose(
    attenuation: np.ndarray, look: Look, patient: Patient, rng: np.random.Generator
) -> np.ndarray:
    """Return the film (uint8, the shape of ``attenuation``) of one patient.

    The grey level follows the absorbed share of the beam, 1 - exp(-contrast * attenuation).
    """
    size = len(attenuation)
    contrast = max(0.7, rng.normal(*look.contrast))
    black, white = max(0, rng.normal(*look.black)), min(255, rng.normal(*look.white))
    share = (1 - np.exp(-contrast * attenuation)) / (1 - np.exp(-contrast * _DENSEST))
    film = black + (white - black) * share
    slope = rng.normal(0, look.uneven, (4, 4)) + rng.normal(0, look.uneven) * np.linspace(-1, 1, 4)
    film += enlarged(slope, size) * np.minimum(1, 4 * share)
    # There is more quantum noise where less of the beam arrives.
    grain = look.noise * rng.uniform(0.5, 1.5) * (0.4 + 0.8 * share)
    film += rng.standard_normal(film.shape, np.float32) * grain
    film = blurred(film, look.blur * size * rng.uniform(0.6, 1.4))
    if rng.random() < look.tubes:
        film += _tube(patient, size, rng)
    film *= _collimation(look, patient, size, rng)
    if rng.random() < look.framed:
        film = np.maximum(film, _bright_edge(size, rng))
    film = np.clip(film, 0, 255).astype(np.uint8)
    _write_marks(film, look, rng)
    return film


def _tube(patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform((-1.0, -1.5), (1.0, -1.1))
    end = rng.uniform((-0.8, -0.3), (0.8, 0.9))
    t = np.linspace(0, 1, 16)[:, None]
    curve = start + (end - start) * t + rng.normal(0, 0.35, 2) * np.sin(np.pi * t)
    line = patient.frame.lines(curve[None], size, 0.006, 1)
    return blurred(line, 0.002 * size) * rng.uniform(15, 45)


def _collimation(
    look: Look, patient: Patient, size: int, rng: np.random.Generator
) -> np.ndarray | float:
    """Return 1 where the beam fell and 0 elsewhere; the lungs are never cut off."""
    if rng.random() >= look.collimated:
        return 1.0
    left, top, right, bottom = rng.uniform((1.2, 1.15, 1.2, 1.15), (1.7, 1.5, 1.7, 1.6))
    corners = np.array([(-left, -top), (right, -top), (right, bottom), (-left, bottom)])
    return blurred(patient.frame.filled([corners], size), 0.002 * size)


def _bright_edge(size: int, rng: np.random.Generator) -> np.ndarray:
    edge = np.zeros((size, size), np.float32)
    width = rng.integers(1, max(2, size // 50), 4) * (rng.random(4) < 0.5)
    edge[: width[0]] = edge[size - width[1] :] = rng.uniform(170, 255)
    edge[:, : width[2]] = edge[:, size - width[3] :] = rng.uniform(170, 255)
    return edge


def _write_marks(film: np.ndarray, look: Look, rng: np.random.Generator) -> None:
    """Write side marker and words into ``film``, at the edges of the upper half."""
    size = len(film)
    across = rng.uniform(0.01, 0.09)
    at = (across if look.right else 0.94 - across, rng.uniform(0.06, 0.22))
    scale = look.marker_size * rng.uniform(0.7, 1.3) * size / 299
    marks = [(str(rng.choice(look.markers)), at, scale)] if rng.random() < 0.85 else []
    if look.notes and rng.random() < 0.4:
        low = rng.uniform(0.05, 0.12) if rng.random() < 0.5 else rng.uniform(0.9, 0.97)
        marks.append((str(rng.choice(look.notes)), (rng.uniform(0.02, 0.8), low), 0.3 * size / 299))
    for text, place, scale in marks:
        where = (round(place[0] * size), round(place[1] * size))
        grey, thick = int(rng.integers(190, 256)), max(1, round(2.2 * scale))
        cv2.putText(film, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, grey, thick, cv2.LINE_AA)
