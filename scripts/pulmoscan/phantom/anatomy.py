"""Draw the anatomy of one synthetic frontal chest radiograph as a map of attenuation.

Attenuation is 0 in air and near 1 behind the heart; ``film`` turns it into grey levels. Shapes are
in the thorax units of ``shapes``. They were drawn by hand to look like a frontal radiograph; no
published phantom is followed, and no part of a real image is used.
"""

from dataclasses import dataclass

import numpy as np

from pulmoscan.phantom.patient import Patient
from pulmoscan.phantom.shapes import blurred, depth, enlarged, mirrored, ribbon, smooth, step

# Closed outlines, the right lung on the left of the image. From the apex along the chest wall to
# the costophrenic angle (twice, so that it is sharp), the dome of the diaphragm, and up the
# mediastinum.
_RIGHT_LUNG = np.array(
    [
        (-0.41, -1.0), (-0.62, -0.90), (-0.80, -0.57), (-0.92, -0.12), (-0.98, 0.38),
        (-1.0, 0.86), (-1.0, 0.86), (-0.88, 0.66), (-0.64, 0.52), (-0.42, 0.50), (-0.20, 0.62),
        (-0.20, 0.62), (-0.22, 0.30), (-0.19, 0.0), (-0.17, -0.35), (-0.16, -0.66), (-0.25, -0.89),
    ]
)  # fmt: skip
_LEFT_LUNG = np.array(
    [
        (0.41, -1.0), (0.62, -0.90), (0.80, -0.57), (0.92, -0.12), (0.98, 0.38),
        (1.0, 0.92), (1.0, 0.92), (0.90, 0.76), (0.68, 0.62), (0.45, 0.60), (0.16, 0.70),
        (0.16, 0.70), (0.16, 0.30), (0.17, 0.0), (0.17, -0.35), (0.16, -0.66), (0.25, -0.89),
    ]
)  # fmt: skip
_ANGLE, _DIAPHRAGM = slice(5, 7), slice(7, 12)
_HEART = np.array(
    [
        (-0.12, -0.50), (-0.18, -0.25), (-0.21, 0.0), (-0.28, 0.26), (-0.24, 0.55), (-0.05, 0.76),
        (0.32, 0.80), (0.58, 0.70), (0.60, 0.54), (0.50, 0.30), (0.36, 0.06), (0.25, -0.10),
        (0.22, -0.26), (0.26, -0.40), (0.20, -0.54), (0.04, -0.58),
    ]
)  # fmt: skip
_WALL_Y = (-1.0, -0.9, -0.58, -0.12, 0.38, 1.2)
_WALL_X = (0.5, 0.7, 0.86, 0.96, 1.01, 1.04)
_CLAVICLE = np.array(
    [[(0.10, -0.68), (0.30, -0.75), (0.55, -0.90), (0.80, -1.01), (1.05, -1.03), (1.28, -1.0)]]
)
_SCAPULA = np.array([(1.32, -0.98), (0.98, -0.86), (0.86, -0.45), (0.90, -0.05), (1.08, -0.42)])


@dataclass(frozen=True)
class Anatomy:
    """A drawn patient: maps of the film's size.

    Attributes:
        attenuation: float32, at least 0.
        air: float32, 0 to 1, the share of aerated lung along the ray.
        lungs: float32, 0 to 1, the lung fields that a reader would outline: the lungs without what
            lies behind heart and diaphragm.
    """

    attenuation: np.ndarray
    air: np.ndarray
    lungs: np.ndarray


def draw_anatomy(patient: Patient, size: int) -> Anatomy:
    """Return the anatomy of ``patient`` on a film of ``size`` by ``size`` pixels."""
    rng = np.random.default_rng(patient.seed)
    frame = patient.frame
    outline = frame.filled(_lung_outlines(patient, rng), size)
    heart = frame.filled([_heart_outline(patient, rng)], size)
    # A ray near the edge of the lung crosses less of it.
    air = blurred(
        outline * (0.7 + 0.3 * np.sqrt(depth(outline, 0.11 * size))),
        0.0022 * size,
    )
    body = _body(patient, size)
    attenuation = body * (0.62 + _soft_tissue(patient, rng, size)) - 0.45 * air
    attenuation += blurred(heart, 0.006 * size) * (0.05 + 0.24 * air)
    # Bones stand out less where much else lies on the ray.
    attenuation += _bones(patient, size) * np.minimum(1, body * 1.5) * (0.7 + 0.3 * outline)
    # The texture of the lung: vessels too small to draw.
    texture = rng.normal(0, 0.018, (size // 3, size // 3))
    attenuation += (_vessels(patient, rng, size) + enlarged(texture, size)) * air
    attenuation -= _airways(patient, size)
    return Anatomy(np.maximum(attenuation, 0), air, outline * (1 - heart))


def _lung_outlines(patient: Patient, rng: np.random.Generator) -> list[np.ndarray]:
    outlines = []
    for usual, dome, side in zip((_RIGHT_LUNG, _LEFT_LUNG), patient.domes, (-1, 1), strict=True):
        points = usual + rng.normal(0, 0.016, usual.shape)
        points[_DIAPHRAGM, 1] += dome
        points[_ANGLE] = points[_ANGLE.start] + (0, dome / 2)
        points[_DIAPHRAGM.stop - 1] = points[_DIAPHRAGM.stop - 2]
        points[:, 0] += np.where(np.abs(usual[:, 0]) < 0.3, patient.turn, 0)
        if patient.child:  # rounder: already wide at the top
            points[:, 0] += side * 0.07 * np.clip(1 - np.abs(usual[:, 1] + 0.5) / 0.5, 0, 1)
        outlines.append(smooth(points))
    return outlines


def _heart_outline(patient: Patient, rng: np.random.Generator) -> np.ndarray:
    points = _HEART + rng.normal(0, 0.014, _HEART.shape)
    points[:, 0] = points[:, 0] * patient.heart[0] + patient.heart[1] + patient.turn
    points[:, 1] += np.mean(patient.domes) * 0.7
    return smooth(points)


def _body(patient: Patient, size: int) -> np.ndarray:
    """Return the thickness of the body, 0 outside to 1 deep inside."""
    side, neck, top = 1.03 + patient.build, 0.30 + 0.4 * patient.build, patient.shoulder
    half = np.array(
        [
            (neck, -2.5), (neck, top - 0.28), (neck + 0.28, top - 0.06), (1.15, top + 0.06),
            (1.55 + patient.build, top + 0.22), (patient.arms + 0.3, -0.4),
            (patient.arms + 0.42, 0.8), (patient.arms + 0.5, 3.0), (patient.arms + 0.08, 3.0),
            (patient.arms + 0.02, 0.8), (side + 0.10, -0.15), (side, 0.15), (side - 0.01, 0.7),
            (side + 0.05, 1.3), (side + 0.12, 3.0),
        ]
    )  # fmt: skip
    coarse = max(size // 2, 16)  # skin is soft to X-rays: half the resolution is enough
    inside = patient.frame.filled([np.concatenate([half, half[::-1] * (-1, 1)])], coarse)
    return enlarged(blurred(np.sqrt(depth(inside, 0.13 * coarse)), 0.012 * coarse), size)


def _soft_tissue(patient: Patient, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the change by neck, abdomen, mediastinum, breasts and stomach, per unit of body."""
    side = max(size // 4, 16)
    x, y = patient.frame.grid(side)
    soft = 0.14 * step((y - 0.55) / 0.35) - 0.08 * step((-y - 1.0) / 0.5)
    soft += 0.13 * np.exp(-(((x - patient.turn) / 0.22) ** 4)) * step((y + 1.35) / 0.4)
    # Bowel and folds: a slow random field, stronger in the abdomen.
    soft += enlarged(rng.normal(0, 1, (9, 9)), side) * (0.015 + 0.035 * step((y - 0.75) / 0.3))
    for centre in (-0.62, 0.62):
        breast = ((x - centre) / 0.36) ** 2 + ((y - 0.60) / 0.30) ** 2
        soft += patient.breast * np.exp(-(breast**2))
    gas = ((x - 0.45) / 0.2) ** 2 + ((y - 0.86 - patient.domes[1]) / 0.11) ** 2
    return enlarged(soft - patient.stomach * np.exp(-(gas**2)), size)


def _bones(patient: Patient, size: int) -> np.ndarray:
    """Return the attenuation of ribs, clavicles, shoulder blades, upper arms and spine."""
    frame = patient.frame
    back, front = _rib_curves(patient)
    total = frame.rimmed(ribbon(mirrored(back), patient.rib_width), size, patient.bone, 0.6)
    front = ribbon(mirrored(front[:7]), 1.25 * patient.rib_width)
    total += frame.rimmed(front, size, 0.6 * patient.bone, 0.6)
    clavicles = _CLAVICLE + np.array((0, 0.8 * (patient.shoulder + 1.1)))
    total += frame.rimmed(ribbon(mirrored(clavicles), 0.085), size, 0.13, 0.7)
    arm = [(1.46, -0.86), (patient.arms + 0.24, 0.9), (patient.arms + 0.28, 3.0)]
    total += frame.rimmed(ribbon(mirrored(np.array([arm])), 0.17), size, 0.14, 0.6)
    total += frame.rimmed(mirrored(smooth(_SCAPULA)[None]), size, 0.08, 0.5)
    total += frame.rimmed(_vertebrae(patient), size, 0.18, 0.5)
    return blurred(total, 0.0028 * size)


def _rib_curves(patient: Patient) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior and anterior parts of the left ribs, each (ribs, 14, 2)."""
    down = np.linspace(0, 1, patient.ribs)[:, None]
    t = np.linspace(0, 1, 14)
    rise, fall = np.sin(t * np.pi / 2), 1 - np.cos(t * np.pi / 2)
    start = patient.first_rib + 1.95 * down
    drop = patient.rib_drop * (0.55 + 0.45 * down)
    wall_y = np.minimum(start + drop, 1.2)
    wall_x = np.interp(wall_y, _WALL_Y, _WALL_X)
    back = (0.12 + (wall_x - 0.12) * rise, start - 0.07 * np.sin(np.pi * t) + drop * fall)
    end = 0.42 + 0.25 * down
    ahead = 0.55 - 0.25 * down
    front = (wall_x - (wall_x - end) * fall, wall_y + ahead * (0.5 * rise + 0.5 * t))
    return np.stack(back, axis=-1), np.stack(front, axis=-1)


def _vertebrae(patient: Patient) -> np.ndarray:
    """Return the outlines (vertebrae, 6, 2) of the vertebral bodies, waisted like real ones."""
    height = 0.15 if patient.child else 0.175
    top = np.arange(-2.4, 2.4, height)[:, None]
    half = 0.085 + 0.02 * np.clip(top, -1, 1)
    x = 0.5 * patient.turn + half * (-1, 1, 0.9, 1, -1, -0.9)
    return np.stack([x, top + height * np.array((0, 0, 0.4, 0.8, 0.8, 0.4))], axis=-1)


def _airways(patient: Patient, size: int) -> np.ndarray:
    """Return the attenuation to subtract for the air in trachea and main bronchi."""
    x = patient.turn
    tubes = np.array(
        [
            [(x * 0.5, -2.2), (x, -1.0), (x - 0.02, -0.35)],
            [(x - 0.02, -0.39), (x - 0.13, -0.24), (x - 0.22, -0.12)],
            [(x - 0.02, -0.39), (x + 0.14, -0.25), (x + 0.26, -0.16)],
        ]
    )
    tubes = ribbon(tubes, np.array((0.11, 0.06, 0.055)))
    return 0.11 * blurred(patient.frame.filled(tubes, size), 0.006 * size)


def _vessels(patient: Patient, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the attenuation of hila and vessels, per unit of air around them."""
    trunks = 24
    side = np.where(np.arange(trunks) % 2, 1.0, -1.0)[:, None]
    t = np.linspace(0, 1, 8)
    length = rng.uniform(0.35, 0.9, (trunks, 1))
    angle = rng.uniform(-1.3, 1.45, (trunks, 1)) + rng.normal(0, 0.7, (trunks, 1)) * t
    x = side * (0.22 + length * t * np.cos(angle)) + patient.turn
    y = length * t * np.sin(angle) - 0.08 - 0.04 * side + rng.normal(0, 0.05, (trunks, 1))
    trunk = np.stack([x, y], axis=-1)
    # Branches leave the trunks half way and are half as long.
    twig = trunk[:, 3:4] + 0.6 * (trunk[:, ::2] - trunk[:, :1]) @ np.array(
        ((0.8, 0.6), (-0.6, 0.8))
    )
    hilum = trunk[:, :4]
    layer = 0.07 * patient.frame.lines(trunk, size, 0.003, 1)
    layer += 0.06 * patient.frame.lines(twig, size, 0.003, 1)
    layer += 0.10 * patient.frame.lines(hilum, size, 0.011, 1)
    return blurred(layer, 0.005 * size)
