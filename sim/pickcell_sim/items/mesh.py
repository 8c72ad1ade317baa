"""Wavefront meshes with a UV atlas: boxes, cylinders and unions of convex parts.

PyBullet's EGL renderer shows the right texture only when it comes from the mesh's own material file (``map_Kd``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Axis = tuple[int, int, int]

BOX_FACES: tuple[tuple[Axis, Axis], ...] = (
    ((1, 0, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, 0, 1)),
    ((0, 1, 0), (0, 0, 1)),
    ((0, -1, 0), (0, 0, 1)),
    ((0, 0, 1), (0, 1, 0)),
    ((0, 0, -1), (0, 1, 0)),
)
"""(outward normal, direction that is up on the print) of a box's faces, in the order of the reference views."""

CYLINDER_SEGMENTS = 40
_MARGIN_PX = 2


@dataclass
class ObjBuilder:
    """Collects faces and writes them as one OBJ with material file and texture."""

    lines: list[str] = field(default_factory=list)
    _vertices: int = 0

    def part(self, name: str) -> None:
        """Begin a new named part: PyBullet makes each its own convex collision shape."""
        self.lines.append(f"o {name}")

    def polygon(
        self, points: NDArray[np.float64], normals: NDArray[np.float64], uv: NDArray[np.float64] | None = None
    ) -> None:
        """Add one convex polygon (N, 3), counter-clockwise seen from outside, with (N, 3) normals and (N, 2) uv."""
        for i, point in enumerate(points):
            self.lines.append("v {:.6f} {:.6f} {:.6f}".format(*point))
            self.lines.append("vn {:.5f} {:.5f} {:.5f}".format(*normals[i]))
            self.lines.append("vt {:.6f} {:.6f}".format(*(uv[i] if uv is not None else (0.0, 0.0))))
        first = self._vertices + 1
        for i in range(1, len(points) - 1):  # a fan of triangles
            corners = (first, first + i, first + i + 1)
            self.lines.append("f " + " ".join(f"{c}/{c}/{c}" for c in corners))
        self._vertices += len(points)

    def write(self, folder: Path, texture: Image.Image | None = None) -> None:
        """Write ``model.obj``, ``model.mtl`` and, when given, ``texture.png``."""
        if texture is not None:
            texture.save(folder / "texture.png", compress_level=3)
        map_line = "map_Kd texture.png\n" if texture is not None else ""
        (folder / "model.mtl").write_text(f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\n{map_line}")
        (folder / "model.obj").write_text("\n".join(["mtllib model.mtl", "usemtl surface", *self.lines]) + "\n")

    def write_geometry(self, path: Path) -> None:
        """Write the shape alone, without looks."""
        path.write_text("\n".join(self.lines) + "\n")


@dataclass(frozen=True)
class Atlas:
    """Pictures packed into one texture, and where each one landed."""

    image: Image.Image
    boxes_px: tuple[tuple[int, int, int, int], ...]
    """(left, top, right, bottom) of each picture."""

    def uv(self, index: int, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """Texture coordinates of points (N, 2) given as right and up in 0..1 of picture ``index``."""
        left, top, right, bottom = self.boxes_px[index]
        u = left + 0.5 + local[:, 0] * (right - left - 1)
        v = bottom - 0.5 - local[:, 1] * (bottom - top - 1)
        return np.column_stack([u / self.image.width, 1.0 - v / self.image.height])


def pack(pictures: Sequence[Image.Image]) -> Atlas:
    """Pack pictures into rows, tallest first."""
    order = sorted(range(len(pictures)), key=lambda i: -pictures[i].height)
    widest = max(p.width for p in pictures)
    row_width = max(widest, int(np.sqrt(sum(p.width * p.height for p in pictures)) * 1.1)) + 2 * _MARGIN_PX
    row_width += -row_width % 8  # EGL skews pictures whose rows are not a multiple of 4 bytes long
    boxes: dict[int, tuple[int, int, int, int]] = {}
    x, y, row_height = 0, 0, 0
    for i in order:
        w, h = pictures[i].width + 2 * _MARGIN_PX, pictures[i].height + 2 * _MARGIN_PX
        if x + w > row_width:
            x, y, row_height = 0, y + row_height, 0
        boxes[i] = (x + _MARGIN_PX, y + _MARGIN_PX, x + w - _MARGIN_PX, y + h - _MARGIN_PX)
        x, row_height = x + w, max(row_height, h)
    image = Image.new("RGB", (row_width, y + row_height), (255, 255, 255))
    for i, picture in enumerate(pictures):
        # A border of the picture's own edge colours, so that filtering at the seam does not bleed white.
        padded = np.pad(np.asarray(picture), ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0)), mode="edge")
        image.paste(Image.fromarray(padded), (boxes[i][0] - _MARGIN_PX, boxes[i][1] - _MARGIN_PX))
    return Atlas(image, tuple(boxes[i] for i in range(len(pictures))))


def face_size(size_m: Sequence[float], normal: Axis, up: Axis) -> tuple[float, float]:
    """Width and height (m) of a box face as printed."""
    right = np.cross(up, normal)
    return float(np.abs(right) @ size_m), float(np.abs(up) @ size_m)


def add_box(
    builder: ObjBuilder, size_m: Sequence[float], atlas: Atlas, centre: Sequence[float] | NDArray[np.float64] = (0, 0, 0)
) -> None:
    """Add a box centred at ``centre``; face k shows picture k of the atlas."""
    half = 0.5 * np.asarray(size_m)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    builder.part("box")
    for k, (normal, up) in enumerate(BOX_FACES):
        n, v = np.asarray(normal, float), np.asarray(up, float)
        u = np.cross(v, n)
        signs = 2.0 * corners - 1.0
        points = (n + signs[:, :1] * u + signs[:, 1:] * v) * half + np.asarray(centre, float)
        builder.polygon(points, np.tile(n, (4, 1)), atlas.uv(k, corners))


def add_cylinder(builder: ObjBuilder, size_m: Sequence[float], atlas: Atlas) -> None:
    """Add a cylinder about z: picture 0 around it, 1 on the top, 2 on the bottom."""
    radius, half = 0.5 * size_m[0], 0.5 * size_m[2]
    angles = np.linspace(0.0, 2.0 * np.pi, CYLINDER_SEGMENTS + 1)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    builder.part("cylinder")
    for k in range(CYLINDER_SEGMENTS):
        a, b = ring[k], ring[k + 1]
        points = np.array([[*(radius * a), -half], [*(radius * b), -half], [*(radius * b), half], [*(radius * a), half]])
        normals = np.array([[*a, 0.0], [*b, 0.0], [*b, 0.0], [*a, 0.0]])
        u0, u1 = k / CYLINDER_SEGMENTS, (k + 1) / CYLINDER_SEGMENTS
        builder.polygon(points, normals, atlas.uv(0, np.array([[u0, 0.0], [u1, 0.0], [u1, 1.0], [u0, 1.0]])))
    disc = ring[:-1]
    flat = np.tile([0.0, 0.0, 1.0], (CYLINDER_SEGMENTS, 1))
    top = np.column_stack([radius * disc, np.full(CYLINDER_SEGMENTS, half)])
    builder.polygon(top, flat, atlas.uv(1, 0.5 + 0.5 * disc))
    mirrored = 0.5 + 0.5 * disc[::-1] * [-1.0, 1.0]
    builder.polygon(top[::-1] * [1.0, 1.0, -1.0], -flat, atlas.uv(2, mirrored))


def add_convex_parts(builder: ObjBuilder, parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> None:
    """Add flat-shaded convex parts, each (T, 3, 3) triangles and (T, 3) outward normals."""
    for k, (triangles, normals) in enumerate(parts):
        builder.part(f"convex_{k}")
        for triangle, normal in zip(triangles, normals):
            builder.polygon(triangle, np.tile(normal, (3, 1)))
