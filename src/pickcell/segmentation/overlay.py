"""Pictures for people: a camera's view with every instance outlined, numbered and named."""

from __future__ import annotations

import colorsys
from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.values import Instance, Scene, SceneView


def draw_overlay(view: SceneView, scene: Scene, highlight: Collection[int] = (), fill: float = 0.25) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: the view's colour image with instance outlines, and beside each "id SKU probability" (a "?" where
    no SKU is believed). ``highlight``: ids drawn strongly while the others stay thin; ``fill``: share of the instance's
    colour over its pixels, 0..1."""
    out = np.array(view.color)
    for instance in scene.instances:
        mask = view.labels == instance.id
        if not mask.any():
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        color = instance_color(instance.id)
        strong = instance.id in highlight
        share = min(1.0, fill * 2.0) if strong else fill
        patch, inside = out[window], mask[window]
        patch[inside] = ((1 - share) * patch[inside] + share * np.array(color)).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, (0, 0, 0), 4 if strong else 3)
        cv2.drawContours(out, contours, -1, color, 3 if strong else 1)
    for instance in scene.instances:
        _write_name(out, view, instance)
    return out


def instance_color(instance_id: int) -> tuple[int, int, int]:
    """A bright RGB colour; neighbouring ids differ strongly (golden-angle steps around the colour wheel)."""
    r, g, b = colorsys.hsv_to_rgb((instance_id * 0.618034) % 1.0, 0.75 if instance_id % 2 else 0.95, 1.0)
    return int(255 * r), int(255 * g), int(255 * b)


def label_text(instance: Instance) -> str:
    """What is written beside an instance, such as ``3 box-011 87%``."""
    identity = instance.identity
    if identity.sku is None:
        return f"{instance.id} ?"
    return f"{instance.id} {identity.sku} {100 * identity.confidence:.0f}%"


def _write_name(image: NDArray[np.uint8], view: SceneView, instance: Instance) -> None:
    """Write the name over the middle of the instance's pixels, kept inside the image."""
    rows, columns = np.nonzero(view.labels == instance.id)
    if len(rows) < 40:
        return
    text = label_text(instance)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.38 * image.shape[1] / 640
    (width, height), _ = cv2.getTextSize(text, font, scale, 1)
    x = int(np.clip(np.median(columns) - width / 2, 1, max(1, image.shape[1] - width - 2)))
    y = int(np.clip(np.median(rows) + height / 2, height + 2, image.shape[0] - 3))
    cv2.rectangle(image, (x - 2, y - height - 3), (x + width + 2, y + 3), (20, 20, 20), -1)
    cv2.putText(image, text, (x, y), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
