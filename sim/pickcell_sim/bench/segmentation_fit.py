"""Fit the evidence weights of geometric segmentation on labelled captures of training items.

    python -m pickcell_sim.items frames --seed 100 ... --seed 127 --n 14 --split train --folder var/train
    python -m pickcell_sim.bench.segmentation_fit var/train

Logistic regression on pairs of touching patches ("same item" or not), then one number by search: how far the bias is
lowered, as average-linkage merging needs far more caution than a single pair does. Prints the weights to be put in
:data:`pickcell.segmentation.graph.DEFAULT_WEIGHTS`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.fusion import FusedScene, Fusion
from pickcell.fusion.frames import project
from pickcell.motion import RobotModel
from pickcell.segmentation import GeometricSegmenter
from pickcell.segmentation.agglomerate import agglomerate
from pickcell.segmentation.graph import FEATURES
from pickcell.segmentation.segment import PatchScene
from pickcell_sim.bench.captures import LabelledCapture, capture_files, read_capture
from pickcell_sim.bench.perception import overlaps
from pickcell_sim.items.spec import REPOSITORY

BIASES = (0.0, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5)
MIN_PURITY = 0.7
"""Patches with less of their points on one item teach nothing."""


@dataclass(frozen=True)
class LabelledPatches:
    scene: PatchScene
    point_item: NDArray[np.int64]
    """(M,) true item of each item point, 0 for none."""
    patch_item: NDArray[np.int64]
    """(P,) by majority."""
    purity: NDArray[np.float64]
    """(P,) share of the majority."""


def label_patches(fused: FusedScene, scene: PatchScene, capture: LabelledCapture) -> LabelledPatches:
    """The truth about points and patches: each point asks the views that see it."""
    points = fused.cloud.points[scene.rows].astype(np.float64)
    votes = np.zeros((len(points), max(capture.skus) + 1))
    for view in fused.views:
        u, v, z = project(view.camera, view.X_base_camera, points)
        column, row = np.nan_to_num(np.round(u), nan=-1).astype(int), np.nan_to_num(np.round(v), nan=-1).astype(int)
        height, width = view.depth_m.shape
        inside = (z > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        index = np.flatnonzero(inside)
        depth = view.depth_m[row[index], column[index]]
        index = index[(depth > 0) & (np.abs(depth - z[index]) < 0.008)]
        np.add.at(votes, (index, capture.item_pixels[view.camera.name][row[index], column[index]]), 1)
    point_item = votes.argmax(axis=1)
    patches = len(scene.patches.sizes)
    counts = np.zeros((patches, votes.shape[1]))
    known = (scene.patches.label >= 0) & (votes.sum(axis=1) > 0)
    np.add.at(counts, (scene.patches.label[known], point_item[known]), 1)
    purity = counts.max(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return LabelledPatches(scene, point_item, counts.argmax(axis=1), purity)


def fit(samples: list[LabelledPatches], l2: float = 1.0) -> NDArray[np.float64]:
    """(F,) logistic regression weights by Newton's method; pairs count by the length of their boundary."""
    X, y, w = [], [], []
    for s in samples:
        pairs, graph = s.scene.graph.pairs, s.scene.graph
        pure = (s.purity[pairs].min(axis=1) > MIN_PURITY) & (s.patch_item[pairs].min(axis=1) > 0)
        X.append(graph.features[pure])
        y.append((s.patch_item[pairs[:, 0]] == s.patch_item[pairs[:, 1]])[pure].astype(float))
        w.append(np.minimum(graph.links[pure], 40).astype(float))
    features, same, weight = np.vstack(X), np.concatenate(y), np.concatenate(w)
    weight /= weight.mean()
    beta = np.zeros(features.shape[1])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-(features @ beta)))
        gradient = features.T @ (weight * (p - same)) + l2 * beta
        hessian = (features * (weight * p * (1 - p))[:, None]).T @ features + l2 * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def f1(samples: list[LabelledPatches], weights: NDArray[np.float64]) -> float:
    """F1 of instances at point IoU > 0.5, by merging alone."""
    found = items = instances = 0
    for s in samples:
        graph, patches = s.scene.graph, s.scene.patches
        segment = agglomerate(patches.centres, graph.pairs, graph.links, graph.features @ weights, 0.3)
        label = np.where(patches.label >= 0, segment[np.maximum(patches.label, 0)] + 1, 0)
        large = np.flatnonzero(np.bincount(label) >= 60)
        matched = overlaps(s.point_item, label) > 0.5
        visible = np.flatnonzero(np.bincount(s.point_item) >= 60)
        items += int((visible > 0).sum())
        instances += int((large > 0).sum())
        found += int(matched[visible[visible > 0], 1:].any(axis=1).sum())
    return 2.0 * found / max(items + instances, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="captures of training items with their truth")
    parser.add_argument("--cell", type=Path, default=REPOSITORY / "config" / "cells" / "panda.yaml")
    arguments = parser.parse_args()
    cell = load_cell(arguments.cell)
    fusion, segmenter = Fusion(cell), GeometricSegmenter(cell)
    robot = RobotModel(expand_urdf(cell), cell.arm.joints, cell.hand.jaw_joints, cell.hand.cup_joint)
    samples = []
    for path in capture_files(arguments.folder):
        capture = read_capture(path)
        spheres = robot.spheres(capture.joints.select(cell.arm.joints))
        fused = fusion.fuse(capture.frames, spheres, capture.stamp_s + 0.05)[0].unwrap()
        samples.append(label_patches(fused, segmenter.patch_scene(fused), capture))
    beta = fit(samples)
    shift = np.zeros(len(beta))
    scores = {}
    for bias in BIASES:
        shift[0] = bias
        scores[bias] = f1(samples, beta + shift)
    shift[0] = max(scores, key=lambda bias: scores[bias])
    print("F1 by bias:", {bias: round(score, 3) for bias, score in scores.items()})
    for name, value in zip(FEATURES, beta + shift):
        print(f"{name:>14} {value:7.2f}")


if __name__ == "__main__":
    main()
