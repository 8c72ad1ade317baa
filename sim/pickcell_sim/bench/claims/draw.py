"""What the seed decides of a trial: the item, and how it lies."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import make_pose
from pickcell_sim.bench.claims.series import HEAVY_BOX, HEAVY_KG, Series, pool
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spec import ItemSpec

Array = NDArray[np.float64]


@dataclass
class Draw:
    """What the seed decides, the same for both tools and all accelerations."""

    spec: ItemSpec
    mass_kg: float
    posture: Array
    """(3, 3) rotation of the item in the world."""
    place: Array
    """(2,) from the middle of the tray."""
    offset: Array
    """(2,) in -1..1, of the cup on the face."""


def draw(series: Series, seed: int, number: int) -> Draw:
    """The item and how it lies in a trial."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{series.kind}-{series.posture}".encode()), number])
    skus = pool(series.kind)
    spec = item_spec(skus[int(rng.integers(len(skus)))])
    heavy = float(rng.uniform(*HEAVY_KG))
    yaw = float(rng.uniform(-np.pi, np.pi))
    up = _up_axis(series.posture, spec, rng)
    turn = make_pose((0, 0, 0), (0, 0, yaw))[:3, :3]
    flip = 1.0 if rng.random() < 0.5 else -1.0
    posture = turn @ axis_up(up, flip)
    return Draw(
        spec,
        heavy if series.kind == HEAVY_BOX else spec.mass_kg,
        posture,
        rng.uniform(-0.02, 0.02, 2),
        rng.uniform(-1.0, 1.0, 2),
    )


def _up_axis(posture: str, spec: ItemSpec, rng: np.random.Generator) -> int:
    size = np.asarray(spec.size_m)
    if posture == "lying":
        return int(np.argmin(size))
    if posture == "tall":
        return int(np.argmax(size))
    if posture == "standing":  # a book on its spine or fore-edge, or on its foot
        return 0 if rng.random() < 2.0 / 3.0 else 1
    areas = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    return int(rng.choice(3, p=areas / areas.sum()))


def axis_up(axis: int, sign: float) -> Array:
    """A rotation (3, 3) that turns an axis of the item up, or down for ``sign`` -1."""
    upright = np.zeros((3, 3))
    for turn, goes_to in enumerate((2, 0, 1)):  # the axis becomes z, those after it x and y
        upright[goes_to, (axis + turn) % 3] = 1.0
    return np.diag([1.0, sign, sign]) @ upright
