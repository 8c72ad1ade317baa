"""Made-up scenes of boxes in a cell's source tote, exactly known: for benchmarks and tests of motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.motion.world import tote_boxes
from pickcell.values import (
    GraspCandidate,
    HeightMap,
    HeldItem,
    Identity,
    Instance,
    PointCloud,
    Scene,
    ShapeEstimate,
    Tool,
    Voxel,
    VoxelGrid,
)

Array = NDArray[np.float64]

RESOLUTION_M = 0.01


@dataclass(frozen=True)
class Box:
    """An item: its pose in base_link and side lengths (3,) in metres."""

    X_base_box: Pose
    size: Array


def random_boxes(cell: CellConfig, count: int, rng: np.random.Generator) -> list[Box]:
    """Upright boxes that stand on the source tote's floor or on each other's tops, inside its walls."""
    inner = np.array(cell.totes["source"].inner)
    boxes: list[Box] = []
    tops: list[tuple[Array, float, float]] = []  # centre, circumradius, height of the top
    while len(boxes) < count:
        size = rng.uniform([0.04, 0.04, 0.02], [0.12, 0.09, 0.07])
        radius = 0.5 * float(np.hypot(size[0], size[1]))
        room = 0.5 * inner[:2] - radius - 0.005
        xy = rng.uniform(-room, room)
        under = [top for centre, r, top in tops if np.linalg.norm(xy - centre) < r + radius]
        floor = max(under, default=0.0)
        if floor + size[2] > inner[2]:
            continue
        tops.append((xy, radius, floor + size[2]))
        X = cell.X_base_tote("source") @ make_pose((*xy, floor + 0.5 * size[2]), (0.0, 0.0, rng.uniform(-np.pi, np.pi)))
        boxes.append(Box(X, size))
    return boxes


def _surface(size: Array, spacing: float = 0.006) -> tuple[Array, Array]:
    """Points and outward normals (N, 3) over a box's faces, in its frame."""
    points, normals = [], []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        grids = [np.linspace(-0.5 * size[a], 0.5 * size[a], max(2, int(size[a] / spacing))) for a in others]
        u, v = (g.ravel() for g in np.meshgrid(*grids, indexing="ij"))
        for sign in (-1.0, 1.0):
            p, n = np.zeros((len(u), 3)), np.zeros((len(u), 3))
            p[:, others[0]], p[:, others[1]], p[:, axis] = u, v, 0.5 * sign * size[axis]
            n[:, axis] = sign
            points.append(p)
            normals.append(n)
    return np.vstack(points), np.vstack(normals)


def _instance(index: int, box: Box) -> Instance:
    points, normals = _surface(box.size)
    cloud = PointCloud(
        transform_points(box.X_base_box, points).astype(np.float32),
        (normals @ box.X_base_box[:3, :3].T).astype(np.float32),
        np.full(points.shape, 128, np.uint8),
    )
    order = np.argsort(-box.size)
    R = np.eye(4)
    R[:3, :3] = np.eye(3)[:, order]
    R[:3, 0] *= np.linalg.det(R[:3, :3])
    shape = ShapeEstimate(cloud, np.ones(len(cloud), np.float32), box.X_base_box @ R, box.size[order])
    return Instance(index, cloud, shape, Identity.unknown(), 1.0)


def _fill(state: NDArray[np.uint8], origin: Array, X_base_box: Pose, half: Array) -> None:
    """Mark the voxels whose centre is within half a voxel of the box, in place."""
    reach = half + 0.5 * RESOLUTION_M
    bound = np.abs(X_base_box[:3, :3]) @ reach
    low = np.clip(np.floor((X_base_box[:3, 3] - bound - origin) / RESOLUTION_M), 0, state.shape).astype(int)
    high = np.clip(np.ceil((X_base_box[:3, 3] + bound - origin) / RESOLUTION_M) + 1, 0, state.shape).astype(int)
    axes = [origin[a] + (np.arange(low[a], high[a]) + 0.5) * RESOLUTION_M for a in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    local = (grid - X_base_box[:3, 3]) @ X_base_box[:3, :3]
    part = state[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    part[np.all(np.abs(local) <= reach, axis=-1)] = Voxel.OCCUPIED


def height_map(cell: CellConfig, tote: str, boxes: list[Box], resolution: float = 0.005) -> HeightMap:
    """Tops of the boxes over a tote's floor, everything seen."""
    inner = np.array(cell.totes[tote].inner)
    X = cell.X_base_tote(tote) @ make_pose((-0.5 * inner[0], -0.5 * inner[1], 0.0))
    shape = tuple(round(v / resolution) for v in inner[:2])
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    points = np.column_stack([(i.ravel() + 0.5) * resolution, (j.ravel() + 0.5) * resolution, np.zeros(i.size)])
    height = np.zeros(i.size)
    for box in boxes:
        X_map_box = inverse(X) @ box.X_base_box
        local = (points - X_map_box[:3, 3]) @ X_map_box[:3, :3]
        inside = np.all(np.abs(local[:, :2]) <= 0.5 * box.size[:2], axis=1)
        height[inside] = np.maximum(height[inside], X_map_box[2, 3] + 0.5 * box.size[2])
    return HeightMap(X, resolution, height.reshape(shape).astype(np.float32))


def make_scene(cell: CellConfig, boxes: list[Box], delivered: list[Box] | None = None) -> Scene:
    """The scene as perfect cameras would give it: everything known, nothing unknown. Instance ids count from 1."""
    delivered = delivered or []
    low, high = np.array([-0.35, -0.45, -cell.base_position[2] - 0.02]), np.array([0.85, 0.85, 0.45])
    state = np.full(tuple(int(n) for n in np.ceil((high - low) / RESOLUTION_M)), Voxel.FREE, np.uint8)
    for wall in tote_boxes(cell):
        _fill(state, low, wall.X_base_box, wall.half)
    for box in [*boxes, *delivered]:
        _fill(state, low, box.X_base_box, 0.5 * box.size)
    return Scene(
        0.0,
        tuple(_instance(k + 1, box) for k, box in enumerate(boxes)),
        VoxelGrid(low, RESOLUTION_M, state),
        {"source": height_map(cell, "source", boxes), "destination": height_map(cell, "destination", delivered)},
    )


def top_grasps(box: Box, instance_id: int, tool: Tool, rng: np.random.Generator, count: int) -> list[GraspCandidate]:
    """Vertical grasps on a box's top: pinches across its narrow side, or the cup near its middle at several turns."""
    out = []
    narrow = int(np.argmin(box.size[:2]))
    for k in range(count):
        along = rng.uniform(-0.3, 0.3) * box.size[1 - narrow]
        offset = np.zeros(3)
        offset[1 - narrow] = along
        down = np.diag([1.0, -1.0, -1.0, 1.0])
        if tool is Tool.PINCH:
            offset[2] = 0.5 * box.size[2] - min(0.02, 0.5 * box.size[2])
            yaw = (0.0 if narrow == 0 else np.pi / 2) + np.pi * (k % 2)
        else:
            offset[2] = 0.5 * box.size[2]
            yaw = 2.0 * np.pi * k / count
        X = box.X_base_box @ make_pose(offset) @ down @ make_pose((0.0, 0.0, 0.0), (0.0, 0.0, yaw))
        width = float(box.size[narrow])
        opening = min(width + 0.02, 0.10) if tool is Tool.PINCH else 0.04
        out.append(GraspCandidate(tool, instance_id, X, 1.0 - 0.01 * k, width, opening, 15.0))
    return out


def held(scene: Scene, grasp: GraspCandidate, mass_kg: float = 0.2) -> HeldItem:
    """What hangs on the hand after that grasp."""
    shape = scene.instance(grasp.instance_id).shape
    return HeldItem(grasp.tool, shape, grasp.X_base_tcp, mass_kg, grasp.max_acceleration_mps2)
