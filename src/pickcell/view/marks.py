"""What can be drawn: points, boxes, edges, cameras and words in ``base_link``, in layers that are shown and hidden as one.

Nothing here knows how they are drawn; :mod:`pickcell.view.page` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell.values.frozen import freeze

Rgb = tuple[int, int, int]
"""0..255 each."""


@dataclass(frozen=True)
class Points:
    """Small dots."""

    name: str
    """Unique among the marks of its layer; without a slash."""
    points: NDArray[np.float32]
    """(N, 3) metres, all finite."""
    colors: NDArray[np.uint8]
    """(N, 3) RGB."""
    size_m: float

    def __post_init__(self) -> None:
        freeze(self, "points", (None, 3), np.float32)
        freeze(self, "colors", (len(self.points), 3), np.uint8)
        if not np.isfinite(self.points).all():
            raise ValueError(f"points of '{self.name}' must be finite")


@dataclass(frozen=True)
class Box:
    """A solid box."""

    name: str
    X_base_box: Pose
    """Centre and axes."""
    size_m: NDArray[np.float64]
    """(3,) full side lengths."""
    color: Rgb
    opacity: float
    """0 not to be seen .. 1 solid."""

    def __post_init__(self) -> None:
        freeze(self, "X_base_box", (4, 4), np.float64)
        freeze(self, "size_m", (3,), np.float64)


@dataclass(frozen=True)
class Edges:
    """Thin straight lines."""

    name: str
    segments: NDArray[np.float32]
    """(N, 2, 3) their ends, metres."""
    color: Rgb

    def __post_init__(self) -> None:
        freeze(self, "segments", (None, 2, 3), np.float32)


@dataclass(frozen=True)
class Frustum:
    """A camera: where it stands, what it can see, and its picture."""

    name: str
    X_base_camera: Pose
    """Its optical frame: +z forward, +x right, +y down (REP 103)."""
    vfov_rad: float
    """Vertical field of view."""
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB."""

    def __post_init__(self) -> None:
        freeze(self, "X_base_camera", (4, 4), np.float64)
        freeze(self, "picture", (None, None, 3), np.uint8)

    @property
    def aspect(self) -> float:
        """Width over height of the picture."""
        return self.picture.shape[1] / self.picture.shape[0]


@dataclass(frozen=True)
class Label:
    """Words at a place."""

    name: str
    text: str
    position: NDArray[np.float64]
    """(3,) metres."""

    def __post_init__(self) -> None:
        freeze(self, "position", (3,), np.float64)


Mark = Points | Box | Edges | Frustum | Label


@dataclass(frozen=True)
class Layer:
    """Marks that are shown and hidden together."""

    name: str
    """Short and unique in its drawing; without a slash."""
    title: str
    """Beside its checkbox."""
    marks: tuple[Mark, ...]
    shown: bool = True
    """To begin with."""
    hint: str = ""
    """Explains it."""


@dataclass(frozen=True)
class Drawing:
    """One scene, ready to be shown."""

    layers: tuple[Layer, ...]
    text: str
    """What there is to say of it: a few sentences of Markdown."""
    items: str
    """Its items: a table in Markdown."""
    focus: NDArray[np.float64]
    """(3,) the point to look at first, metres."""

    def __post_init__(self) -> None:
        freeze(self, "focus", (3,), np.float64)
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise ValueError(f"layers of a drawing need different names, got {names}")


def points_of(name: str, points: NDArray[np.floating], colors: NDArray[np.uint8], size_m: float) -> Points:
    """Dots at points (N, 3) with colours (N, 3) RGB; those that are not finite are left out."""
    finite = np.isfinite(points).all(axis=1)
    return Points(name, np.asarray(points, np.float32)[finite], colors[finite], size_m)
