"""A look at the cell as layers that can be drawn. Everything is in ``base_link``, metres."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.furniture import FURNITURE_COLORS, furniture_boxes
from pickcell.geometry import transform_points
from pickcell.segmentation.overlay import draw_overlay, instance_color, label_text
from pickcell.values import Instance, PointCloud, RgbdFrame, Scene, SceneView
from pickcell.view.look import Look
from pickcell.view.marks import Box, Edges, Frustum, Label, Layer, Points, Rgb, points_of

SURFACE_DOT_M = 0.003
"""As far apart as the points of the fused surface are."""
INSTANCE_DOT_M = 0.0034
"""A little larger, so that they cover the same points of the surface."""
SHAPE_DOT_M = 0.0038
"""Larger still: a full shape covers what was seen of it."""
OWN_COLOR_SHARE = 0.6
"""Of an instance's colour in its points; the rest is as it was seen, so that prints stay visible."""
LABEL_ABOVE_M = 0.012
TOTE_OPACITY = 0.45
"""Totes are seen through: the surface of their content must not hide behind a wall."""

LAMP = np.array([0.25, 0.35, 0.9])
"""Direction of the light for shaded surfaces, about a unit vector."""
AMBIENT = 0.5
"""Brightness of what faces away from it, 0..1."""
FURNITURE_SHADE = {"table": 0.3, "floor": 0.8, "wall": 0.8}
"""The table is darkened: it is large, and what lies on it matters."""

NO_SEGMENTS: NDArray[np.float32] = np.zeros((0, 2, 3), np.float32)
_BOX_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


def layers_of(cell: CellConfig, look: Look) -> tuple[Layer, ...]:
    """All layers of a look, in the order of their checkboxes; layers that have nothing to show are there, without marks."""
    scene = look.outcome.value
    instances = scene.instances if scene else ()
    cameras = [frustum_of_view(view, scene) for view in scene.views] if scene else list(map(frustum_of_frame, look.frames))
    return (
        surface_layer(look.surface),
        instance_layer(instances),
        name_layer(instances),
        shape_layer(instances),
        box_layer(instances),
        Layer("cameras", "Cameras", tuple(cameras), hint="Where they stand, and what each of them sees"),
        furniture_layer(cell),
    )


def surface_layer(surface: PointCloud) -> Layer:
    """What all cameras saw together, in its own colours."""
    marks = (points_of("surface", surface.points, surface.colors, SURFACE_DOT_M),)
    return Layer("surface", "Fused surface", marks, hint="What the cameras saw together, in its own colours")


def instance_layer(instances: Iterable[Instance]) -> Layer:
    """The measured points of each instance, tinted with its own colour: one mark per instance."""

    def mark(each: Instance) -> Points:
        own, seen = np.array(instance_color(each.id), np.float64), each.visible.colors.astype(np.float64)
        colors = np.clip(OWN_COLOR_SHARE * own + (1.0 - OWN_COLOR_SHARE) * seen, 0.0, 255.0).astype(np.uint8)
        return points_of(_name(each), each.visible.points, colors, INSTANCE_DOT_M)

    return Layer("instances", "Instances", tuple(map(mark, instances)), hint="What is taken for one item, tinted")


def name_layer(instances: Iterable[Instance]) -> Layer:
    """Number, SKU and probability over each instance: one mark per instance."""
    marks = tuple(Label(_name(each), label_text(each), _place_above(each)) for each in instances)
    return Layer("names", "Names", marks, hint="Number, SKU and its probability; ? where no SKU is believed")


def shape_layer(instances: Iterable[Instance]) -> Layer:
    """The full shape of each instance, coloured by how sure each point is: one mark per instance."""

    def mark(each: Instance) -> Points:
        colors = shaded(confidence_colors(each.shape.confidence), each.shape.cloud.normals)
        return points_of(_name(each), each.shape.cloud.points, colors, SHAPE_DOT_M)

    hint = "Also the sides that nobody saw. Yellow: measured or sure; green, then blue: believed; violet: a guess"
    return Layer("shapes", "Full shapes, by confidence", tuple(map(mark, instances)), shown=False, hint=hint)


def box_layer(instances: Iterable[Instance]) -> Layer:
    """The bounding box of each full shape: one mark per instance."""

    def mark(each: Instance) -> Edges:
        X, half = each.shape.X_base_box, 0.5 * each.shape.extents_m
        usable = np.isfinite(X).all() and np.isfinite(half).all()
        return Edges(_name(each), box_segments(X, half) if usable else NO_SEGMENTS, instance_color(each.id))

    return Layer("boxes", "Bounding boxes", tuple(map(mark, instances)), shown=False, hint="Of the full shapes")


def furniture_layer(cell: CellConfig) -> Layer:
    """Table and totes, from the cell file."""
    marks = []
    for box in furniture_boxes(cell):
        red, green, blue = (round(255 * FURNITURE_SHADE[box.kind] * c) for c in FURNITURE_COLORS[box.kind])
        opacity = 1.0 if box.kind == "table" else TOTE_OPACITY
        marks.append(Box(box.name, box.X_base_box, 2.0 * box.half, (red, green, blue), opacity))
    return Layer("furniture", "Table and totes", tuple(marks), hint="By the cell file, not as seen")


def frustum_of_view(view: SceneView, scene: Scene) -> Frustum:
    """A camera that was used, where alignment has put it, with the instances outlined in its picture."""
    return _frustum(view.camera.name, view.X_base_camera, view.camera.fy, draw_overlay(view, scene))


def frustum_of_frame(frame: RgbdFrame) -> Frustum:
    """A camera as it delivered."""
    return _frustum(frame.camera.name, frame.X_base_camera, frame.camera.fy, frame.color)


def confidence_colors(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(N, 3) RGB of confidences (N,): violet at 0, yellow at 1 (the map viridis). What is not finite counts as 0."""
    if len(confidence) == 0:
        return np.zeros((0, 3), np.uint8)
    sure = np.clip(np.nan_to_num(np.asarray(confidence, np.float64), nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    table = np.asarray(cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS))[:, 0, ::-1]
    return np.ascontiguousarray(table[np.rint(255.0 * sure).astype(np.intp)]).astype(np.uint8)


def item_points(name: str, points: NDArray[np.floating], normals: NDArray[np.floating], color: Rgb) -> Points:
    """A surface of one colour, points (N, 3) metres, shaded by their unit normals (N, 3)."""
    return points_of(name, points, shaded(np.array(color, np.float64), normals), SHAPE_DOT_M)


def shaded(colors: NDArray[Any], normals: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(N, 3) RGB of colours (N, 3) or (3,) under a lamp, by unit normals (N, 3): dots have no form without it."""
    facing = np.abs(np.nan_to_num(np.asarray(normals, np.float64), posinf=0.0, neginf=0.0) @ LAMP)
    light = AMBIENT + (1.0 - AMBIENT) * np.clip(facing, 0.0, 1.0)
    return np.clip(np.asarray(colors, np.float64) * light[:, None], 0.0, 255.0).astype(np.uint8)


def box_segments(X_base_box: NDArray[np.float64], half_m: NDArray[np.float64]) -> NDArray[np.float32]:
    """(12, 2, 3) edges of a box with the given centre and axes and half side lengths (3,)."""
    signs = np.array([[1 if i >> axis & 1 else -1 for axis in range(3)] for i in range(8)], np.float64)
    corners = transform_points(X_base_box, signs * half_m)
    return np.stack([corners[[a, b]] for a, b in _BOX_EDGES]).astype(np.float32)


def _frustum(name: str, X_base_camera: NDArray[np.float64], fy: float, picture: NDArray[np.uint8]) -> Frustum:
    return Frustum(name, X_base_camera, float(2.0 * np.arctan(0.5 * picture.shape[0] / fy)), picture)


def _name(instance: Instance) -> str:
    return f"{instance.id:03d}"


def _place_above(instance: Instance) -> NDArray[np.float64]:
    """Over the middle of what was seen of an instance, else of its shape, else at its box."""
    for points in (instance.visible.points, instance.shape.cloud.points):
        finite = np.asarray(points, np.float64)[np.isfinite(points).all(axis=1)]
        if len(finite):
            return np.array([*np.median(finite[:, :2], axis=0), finite[:, 2].max() + LABEL_ABOVE_M])
    return np.nan_to_num(instance.shape.X_base_box[:3, 3], posinf=0.0, neginf=0.0)
