"""What is measured of an item and of a candidate, by name: what chances of success are learned from.

Names carry their unit. Parts of the analytic quality (0..1) are kept beside them under their own names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickcell.grasping.clearance import ToteRoom
from pickcell.grasping.prior import boxiness
from pickcell.grasping.surface import Target
from pickcell.values import Instance, Sku

F64 = NDArray[np.float64]

POINT_CM2 = 0.09
"""Area that one point of the seen surface stands for: it is thinned to 3 mm."""
FAR_MM = 200.0
"""A wall further away than this, and one that is not known."""


def item_measures(instance: Instance, target: Target, product: Sku | None) -> dict[str, float]:
    """Of the item: how large and heavy, how much of it lies free, how surely it is one thing and which."""
    found = 1e3 * np.sort(target.extents_m)[::-1]
    known = 1e3 * np.sort(np.asarray(product.dimensions_m))[::-1] if product is not None else found
    identity = dict(instance.identity.ranking)
    return {
        "mass_g": 1e3 * target.mass_kg,
        "long_mm": float(known[0]),
        "mid_mm": float(known[1]),
        "thin_mm": float(known[2]),
        "long_share": float(found[0] / max(known[0], 1.0)),
        "mid_share": float(found[1] / max(known[1], 1.0)),
        "exposure": float(np.clip(np.nan_to_num(instance.exposure, nan=1.0), 0.0, 1.0)),
        "trust": float(np.clip(np.nan_to_num(instance.confidence, nan=0.0), 0.0, 1.0)),
        "identity": float(identity.get(product.sku, 0.0)) if product is not None else 0.0,
        "box_share": boxiness(target),
        "seen_cm2": POINT_CM2 * len(target.seen),
    }


def pose_measures(poses: F64, target: Target, tote: ToteRoom | None) -> dict[str, F64]:
    """Of (C, 4, 4) poses of a tool: where in the item and in the tote, (C,) each."""
    at = poses[:, :3, 3]
    arm = target.center - at
    height, wall = np.zeros(len(at)), np.full(len(at), FAR_MM)
    if tote is not None:
        height = 1e3 * (at[:, 2] - tote.X_base_tote[2, 3])
        wall = 1e3 * tote.wall_distance(at)
    return {
        "tilt_deg": np.rad2deg(np.arccos(np.clip(-poses[:, 2, 2], -1.0, 1.0))),
        "offset_mm": 1e3 * np.linalg.norm(arm[:, :2], axis=1),
        "above_mm": 1e3 * arm[:, 2],
        "height_mm": height,
        "wall_mm": np.minimum(wall, FAR_MM),
    }


def across_share(poses: F64, target: Target) -> F64:
    """(C,) how nearly the closing axis lies along the thinnest side of the bounding box, 0..1."""
    thinnest = target.axes[:, int(np.argmin(target.extents_m))]
    return np.asarray(np.abs(poses[:, :3, 0] @ thinnest), dtype=np.float64)
