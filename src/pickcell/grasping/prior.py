"""What to expect of each tool before a single grasp is looked at: from the product's kind, else from its shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickcell.grasping.surface import Target
from pickcell.values import Sku, Tool

KIND_PRIORS: dict[str, dict[Tool, float]] = {
    # Flat things offer the jaw an edge at best and the cup a whole face.
    "card": {Tool.PINCH: 0.50, Tool.SUCTION: 0.96},
    "box": {Tool.PINCH: 0.90, Tool.SUCTION: 0.93},
    # A cup follows a cylinder only along its axis; flat pads lie along two lines of it.
    "cylinder": {Tool.PINCH: 0.90, Tool.SUCTION: 0.80},
    "irregular": {Tool.PINCH: 0.88, Tool.SUCTION: 0.70},
    "shrink": {Tool.PINCH: 0.90, Tool.SUCTION: 0.88},
    # A book lifted by one cover flops open; pinched across its thickness it cannot.
    "hardcover": {Tool.PINCH: 0.92, Tool.SUCTION: 0.30},
    "paperback": {Tool.PINCH: 0.90, Tool.SUCTION: 0.30},
    "bottle": {Tool.PINCH: 0.88, Tool.SUCTION: 0.65},
    "can": {Tool.PINCH: 0.90, Tool.SUCTION: 0.80},
    "jar": {Tool.PINCH: 0.90, Tool.SUCTION: 0.80},
    "mailer": {Tool.PINCH: 0.70, Tool.SUCTION: 0.85},
    "polybag": {Tool.PINCH: 0.70, Tool.SUCTION: 0.75},
    # A wrinkled bag whose content shifts never seals well.
    "loose_bag": {Tool.PINCH: 0.80, Tool.SUCTION: 0.25},
    "ruler": {Tool.PINCH: 0.50, Tool.SUCTION: 0.90},
    "flat": {Tool.PINCH: 0.60, Tool.SUCTION: 0.95},
    "blister": {Tool.PINCH: 0.80, Tool.SUCTION: 0.75},
    # Air passes through cloth.
    "plush": {Tool.PINCH: 0.92, Tool.SUCTION: 0.10},
    "tube": {Tool.PINCH: 0.85, Tool.SUCTION: 0.75},
}
"""Chance of success of a faultless grasp, by kind: a judgement from physics, to be replaced by counted outcomes."""


@dataclass(frozen=True)
class ToolPrior:
    """Factors on the quality of each tool's grasps, and the reason in words."""

    factor: dict[Tool, float]
    because: str


def tool_prior(target: Target, sku: Sku | None) -> ToolPrior:
    """By the SKU's kind when it is known, otherwise by thinness and by how much of the surface follows a box."""
    if sku is not None and sku.kind in KIND_PRIORS:
        return ToolPrior(KIND_PRIORS[sku.kind], f"the catalogue says it is of kind '{sku.kind}'")
    if target.extents_m[2] < 0.008 and target.extents_m[1] > 0.02:
        return ToolPrior(KIND_PRIORS["card"], f"unknown, but flat ({1e3 * target.extents_m[2]:.0f} mm thick)")
    share = boxiness(target)
    mixed = {t: share * KIND_PRIORS["box"][t] + (1.0 - share) * KIND_PRIORS["irregular"][t] for t in Tool}
    return ToolPrior(mixed, f"unknown, {100 * share:.0f} % of the seen surface follows its bounding box")


def boxiness(target: Target) -> float:
    """Share 0..1 of the seen surface whose normals lie within 12 degrees of an axis of the bounding box."""
    surface = target.seen if len(target.seen) else target.body
    along = np.abs(surface.normals @ target.axes).max(axis=1)
    return float(np.mean(along > np.cos(np.deg2rad(12.0))))
