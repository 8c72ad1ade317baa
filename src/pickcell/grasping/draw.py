"""Grasps drawn into a camera view: the jaw as a U, the cup as a disc with its approach, the chosen one highlighted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.cell import HandConfig
from pickcell.geometry import inverse, transform_points
from pickcell.values import GraspCandidate, SceneView, Tool

Image = NDArray[np.uint8]

PINCH_RGB = (255, 150, 30)
SUCTION_RGB = (40, 190, 255)
CHOSEN_RGB = (60, 255, 60)
REJECTED_RGB = (150, 60, 60)

_CUP_EDGES = 20


def candidate_lines(candidate: GraspCandidate, hand: HandConfig) -> list[NDArray[np.float64]]:
    """Polylines (K, 3) in ``base_link`` that stand for a grasp.

    Pinch: a U of the two fingers, and the closing width between the pads. Suction: the lip's circle. Both with a stub
    back along the approach.
    """
    if candidate.tool is Tool.PINCH:
        half, tip, back = max(candidate.opening_m, candidate.width_m) / 2, hand.pad_to_tip_m, -0.045
        jaw = np.array([[-half, 0, tip], [-half, 0, back], [half, 0, back], [half, 0, tip]])
        width = np.array([[-candidate.width_m / 2, 0, 0], [candidate.width_m / 2, 0, 0]])
        local = [jaw, width, np.array([[0, 0, back], [0, 0, back - 0.04]])]
    else:
        turn = np.linspace(0.0, 2.0 * np.pi, _CUP_EDGES + 1)
        lip = hand.cup_radius_m * np.column_stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)])
        half = candidate.opening_m / 2
        jaw = np.array([[-half, 0, -0.05], [half, 0, -0.05]])
        local = [lip, np.array([[0, 0, 0], [0, 0, -0.07]]), jaw]
    return [transform_points(candidate.X_base_tcp, line) for line in local]


def project(view: SceneView, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels (K, 2) of points (K, 3) in ``base_link``; NaN for those not in front of the camera."""
    local = transform_points(inverse(view.X_base_camera), points)
    depth = np.where(local[:, 2] > 0.01, local[:, 2], np.nan)
    u = view.camera.fx * local[:, 0] / depth + view.camera.cx
    v = view.camera.fy * local[:, 1] / depth + view.camera.cy
    return np.column_stack([u, v])


def draw_candidate(
    image: Image, view: SceneView, candidate: GraspCandidate, hand: HandConfig, rgb: Sequence[int], thickness: int = 1
) -> None:
    """Draw one grasp into an image (H, W, 3) RGB, in place. What lies behind the camera is left out."""
    for line in candidate_lines(candidate, hand):
        pixels = project(view, line)
        for a, b in itertools.pairwise(pixels):
            if np.isfinite([a, b]).all() and np.abs([a, b]).max() < 1e5:
                ends = [(round(8 * p[0]), round(8 * p[1])) for p in (a, b)]
                cv2.line(image, ends[0], ends[1], tuple(map(int, rgb)), thickness, cv2.LINE_AA, shift=3)


def draw_decision(
    view: SceneView,
    ranked: Sequence[GraspCandidate],
    hand: HandConfig,
    rejected: Sequence[GraspCandidate] = (),
    chosen: int = 0,
    instance_id: int | None = None,
) -> Image:
    """A copy of the view (H, W, 3) RGB with the target's outline, the ranked grasps, some rejected ones, and the chosen
    one (index into ``ranked``) on top in bold with its tool and quality."""
    image = np.array(view.color, copy=True)
    target = instance_id if instance_id is not None else (ranked[0].instance_id if ranked else None)
    if target is not None:
        mask = (view.labels == target).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, (255, 255, 0), 1)
    for candidate in rejected:
        draw_candidate(image, view, candidate, hand, REJECTED_RGB)
    for candidate in reversed(ranked):
        draw_candidate(image, view, candidate, hand, PINCH_RGB if candidate.tool is Tool.PINCH else SUCTION_RGB)
    if 0 <= chosen < len(ranked):
        best = ranked[chosen]
        draw_candidate(image, view, best, hand, CHOSEN_RGB, 2)
        at = project(view, best.X_base_tcp[None, :3, 3])[0]
        if np.isfinite(at).all():
            text = f"{best.tool.value} {best.quality:.2f}"
            where = (int(np.clip(at[0] + 10, 0, image.shape[1] - 110)), int(np.clip(at[1] - 10, 14, image.shape[0] - 4)))
            cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, CHOSEN_RGB, 1, cv2.LINE_AA)
    return image
