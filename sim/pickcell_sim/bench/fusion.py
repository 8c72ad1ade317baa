"""Our dense TSDF against Open3D's VoxelBlockGrid on one scene: time, and how flat the tote's floor comes out.

python -m pickcell_sim.bench.fusion var/scenes/test/tote-test-500000.scene.npz
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion import FusedScene, Fusion, FusionConfig
from pickcell.geometry import inverse, transform_points
from pickcell_sim.data.scene_file import read_scene
from pickcell_sim.data.views import SceneViews

ROUNDS = 5


def open3d_points(fused: FusedScene, config: FusionConfig) -> NDArray[np.float64]:
    """(N, 3) the same prepared depth and corrected poses through a VoxelBlockGrid, points in ``base_link``.

    (The older ScalableTSDFVolume of the Open3D 0.20 wheel stays empty whatever is integrated.)
    """
    core = o3d.core
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (core.float32, core.float32, core.float32), ((1), (1), (3)), config.voxel_m, 16, 20000
    )
    for view, frame in zip(fused.views, fused.frames):
        depth = o3d.t.geometry.Image(core.Tensor(np.maximum(view.depth_m, 0.0)))
        color = o3d.t.geometry.Image(core.Tensor(np.ascontiguousarray(frame.color).astype(np.float32)))
        K, X = core.Tensor(view.camera.K), core.Tensor(np.ascontiguousarray(inverse(view.X_base_camera)))
        multiplier = config.truncation_m / config.voxel_m
        blocks = grid.compute_unique_block_coordinates(depth, K, X, 1.0, config.depth_max_m, multiplier)
        grid.integrate(blocks, depth, color, K, K, X, 1.0, config.depth_max_m, multiplier)
    return grid.extract_point_cloud(1.0).point.positions.numpy()


def floor_spread_mm(points: NDArray[np.floating], cell: CellConfig) -> float:
    """Standard deviation of height of the points within 8 mm of the source tote's floor."""
    local = transform_points(inverse(cell.X_base_tote("source")), points)
    half = 0.5 * np.asarray(cell.totes["source"].inner[:2]) - 0.01
    floor = local[(np.abs(local[:, :2]) < half).all(axis=1) & (np.abs(local[:, 2]) < 0.008), 2]
    return float(1000 * floor.std())


def _best_ms(call: Callable[[], object]) -> tuple[float, float]:
    """Least wall time and least processor time of a few calls."""
    wall, cpu = [], []
    for _ in range(ROUNDS):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - start_cpu))
    return min(wall), min(cpu)


def compare(path: Path) -> dict[str, tuple[float, float, float, int]]:
    """By method: wall and processor time in ms (integration of all views, extraction), floor spread in mm, points."""
    scene, config = read_scene(path), FusionConfig()
    cell = SceneViews.of(scene).cell
    fusion = Fusion(cell, config)
    fused = fusion.fuse(scene.frames, np.zeros((0, 4)), scene.stamp_s + 0.05)[0].unwrap()

    def ours() -> NDArray[np.float32]:
        volume = fusion.empty_volume()
        volume.integrate(list(fused.views), config.truncation_m, config.back_truncation_m, config.threads)
        return volume.surface().points

    out = {}
    for name, method in (("ours", ours), ("open3d", lambda: open3d_points(fused, config))):
        points = method()
        out[name] = (*_best_ms(method), floor_spread_mm(points, cell), len(points))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    arguments = parser.parse_args()
    for name, (wall, cpu, spread, points) in compare(arguments.scene).items():
        print(f"{name:>8}: {wall:7.1f} ms, {cpu:7.1f} ms of processor, floor spread {spread:.2f} mm, {points} points")


if __name__ == "__main__":
    main()
