"""Pictures for people: what was measured of the items, and the full shapes that are believed, seen from the far side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickcell.segmentation.overlay import instance_color
from pickcell.values import Scene

SIZE = (420, 560)
"""Height and width of each of the two panels, pixels."""
ELEVATION_RAD = 0.6
"""How far from above the eye looks down: from beyond the tote, towards the robot."""
BACKGROUND = 245
MARGIN = 0.92
_DOT = 1
_Points = list[tuple[NDArray[np.float32], NDArray[np.float64]]]


def draw_shapes(scene: Scene) -> NDArray[np.uint8]:
    """(H, 2 W, 3) RGB: left the measured points in their colours, right the full shapes in the colours of the overlays, pale
    where they are unsure."""
    measured: _Points = [(each.visible.points, each.visible.colors.astype(np.float64)) for each in scene.instances]
    believed: _Points = []
    for each in scene.instances:
        sure = np.asarray(each.shape.confidence, np.float64)[:, None]
        light = 0.45 + 0.55 * np.abs(each.shape.cloud.normals[:, 2:3].astype(np.float64))
        colour = np.array(instance_color(each.id), np.float64) * light
        believed.append((each.shape.cloud.points, sure * colour + (1.0 - sure) * BACKGROUND))
    window = np.vstack([_flat(points)[:, :2] for points, _ in (*measured, *believed)]) if measured else np.zeros((1, 2))
    return np.hstack([_panel(part, window.min(axis=0), window.max(axis=0)) for part in (measured, believed)])


def _flat(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, 3) right, up and towards the eye, metres, of points (N, 3) in ``base_link``: y runs to the right, x comes near."""
    x, y, z = np.asarray(points, np.float64).T
    c, s = np.cos(ELEVATION_RAD), np.sin(ELEVATION_RAD)
    return np.column_stack([y, c * z - s * x, c * x + s * z])


def _panel(parts: _Points, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.uint8]:
    height, width = SIZE
    out = np.full((height, width, 3), BACKGROUND, np.uint8)
    if not parts:
        return out
    flat = np.vstack([_flat(points) for points, _ in parts])
    colors = np.clip(np.vstack([c for _, c in parts]), 0, 255).astype(np.uint8)
    size = np.maximum(high - low, 1e-3)
    scale = MARGIN * min(width / size[0], height / size[1])
    middle = 0.5 * (low + high)
    column = np.round(0.5 * width + scale * (flat[:, 0] - middle[0])).astype(int)
    row = np.round(0.5 * height - scale * (flat[:, 1] - middle[1])).astype(int)
    order = np.argsort(flat[:, 2], kind="stable")  # what is nearer is painted over what is further
    for dr in range(-_DOT, _DOT + 1):
        for dc in range(-_DOT, _DOT + 1):
            r, k = row[order] + dr, column[order] + dc
            inside = (r >= 0) & (r < height) & (k >= 0) & (k < width)
            out[r[inside], k[inside]] = colors[order][inside]
    return out
