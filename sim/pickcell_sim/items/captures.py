"""Captures of a filled tote for work on perception: frames in one file, the truth about them in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pickcell.cell import load_cell
from pickcell.geometry import inverse, quat_xyzw_from_pose
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.spawn import item_pose
from pickcell_sim.items.totes import ToteContents
from pickcell_sim.vision.cameras import SimCameras, truth_body_ids
from pickcell_sim.world import SimWorld


def write_capture(cell_path: Path, contents: ToteContents, folder: Path) -> tuple[Path, Path]:
    """Fill the source tote, take one frame per camera, and write ``seed<N>.npz`` and ``seed<N>_truth.npz``.

    Frames: ``cameras``, ``manifest_skus``, ``manifest_counts``, ``stamp_s``, ``joint_names``, ``joint_positions``, and per
    camera ``<cam>_color`` (H, W, 3), ``<cam>_depth_m`` (H, W), ``<cam>_K``, ``<cam>_X_base_camera`` (calibrated).
    Truth: per camera ``<cam>_item`` (H, W) 0 or the number of the item under the pixel; ``item_numbers``, ``item_skus``,
    ``X_base_item`` (n, 4, 4), ``pixels_<cam>``.
    """
    cell = load_cell(cell_path)
    folder.mkdir(parents=True, exist_ok=True)
    with SimWorld(cell, contents.seed) as world:
        items = fill_tote(world, contents.skus, contents.seed)
        cameras = SimCameras(world, cell, contents.seed)
        joints = world.robot.joints
        frames: dict[str, object] = {
            "cameras": list(cameras.names),
            "manifest_skus": list(contents.manifest),
            "manifest_counts": list(contents.manifest.values()),
            "joint_names": list(cell.arm.joints),
            "joint_positions": cell.arm.home,
            "all_joint_names": list(joints),
            "stamp_s": world.time_s,
        }
        X_base_world = inverse(cell.X_world_base)
        truth: dict[str, object] = {
            "item_numbers": [item.item_id for item in items],
            "item_skus": [item.name for item in items],
            "X_base_item": np.array([X_base_world @ item_pose(world, item) for item in items]),
            "quat_xyzw_base_item": np.array([quat_xyzw_from_pose(X_base_world @ item_pose(world, item)) for item in items]),
        }
        for name in cameras.names:
            frame = cameras.capture(name)
            assert frame is not None
            frames |= {
                f"{name}_color": frame.color,
                f"{name}_depth_m": frame.depth_m,
                f"{name}_K": frame.camera.K,
                f"{name}_X_base_camera": frame.X_base_camera,
            }
            truth[f"{name}_item"] = _item_numbers(truth_body_ids(cameras, name), world)
    paths = folder / f"seed{contents.seed}.npz", folder / f"seed{contents.seed}_truth.npz"
    np.savez_compressed(paths[0], **frames)
    np.savez_compressed(paths[1], **truth)
    return paths


def _item_numbers(bodies: np.ndarray, world: SimWorld) -> np.ndarray:
    """(H, W) item number under each pixel, 0 where there is no item."""
    lookup = np.zeros(max([*bodies.ravel(), 0]) + 2, np.uint16)
    for item in world.item_bodies.values():
        if item.body < lookup.size - 1:
            lookup[item.body] = item.item_id
    return lookup[bodies]  # -1 (nothing) reads the last entry, which is 0
