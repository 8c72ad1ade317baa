"""Visible meshes of single links: printed boxes, pillows and blobs, each with a material and a texture of its own.

Every link has its own small texture: PyBullet uploads a texture once per link, and a shared one would be kept many times.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pickcell_sim.items.mesh import BOX_FACES, Atlas, ObjBuilder, pack

Array = NDArray[np.float64]
PrintedBox = tuple[Sequence[float], Sequence[float], Sequence[Image.Image]]
"""Full extents, centre, and six pictures in the order of ``mesh.BOX_FACES``."""

_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def write_mesh(folder: Path, name: str, builder: ObjBuilder, texture: Image.Image | None) -> None:
    """Write ``<name>.obj`` with ``<name>.mtl`` and, when given, ``<name>.png``. ``name`` may end in ``.obj``."""
    stem = name.removesuffix(".obj")
    map_line = ""
    if texture is not None:
        texture.save(folder / f"{stem}.png", compress_level=3)
        map_line = f"map_Kd {stem}.png\n"
    (folder / f"{stem}.mtl").write_text(f"newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\n{map_line}")
    (folder / f"{stem}.obj").write_text("\n".join([f"mtllib {stem}.mtl", "usemtl surface", *builder.lines]) + "\n")


def plain_like(picture: Image.Image) -> Image.Image:
    """A small plain picture in the mean colour of the rim of another."""
    pixels = np.asarray(picture.convert("RGB"), float)
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    r, g, b = rim.mean(axis=0)
    return Image.new("RGB", (16, 16), (int(r), int(g), int(b)))


def write_box(folder: Path, name: str, boxes: Sequence[PrintedBox]) -> None:
    """Write printed boxes as one mesh."""
    atlas = pack([picture for _, _, pictures in boxes for picture in pictures])
    builder = ObjBuilder()
    builder.part("link")
    for i, (size, centre, _) in enumerate(boxes):
        half = 0.5 * np.asarray(size, float)
        for k, (normal, up) in enumerate(BOX_FACES):
            n, v = np.asarray(normal, float), np.asarray(up, float)
            u = np.cross(v, n)
            signs = 2.0 * _CORNERS - 1.0
            points = (n + signs[:, :1] * u + signs[:, 1:] * v) * half + np.asarray(centre, float)
            builder.polygon(points, np.tile(n, (4, 1)), atlas.uv(6 * i + k, _CORNERS))
    write_mesh(folder, name, builder, atlas.image)


def add_pillow(
    builder: ObjBuilder,
    xs: Array,
    ys: Array,
    half_height: Callable[[Array, Array], Array],
    atlas: Atlas,
    shift: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Add a solid between z = +h(x, y) and -h(x, y) over the grid ``xs`` (N,) by ``ys`` (M,), metres.

    Picture 0 of the atlas covers the top (right is +x), 1 the bottom (right is -x), 2 the rim. ``shift`` moves the result.
    """
    X, Y = np.meshgrid(xs, ys, indexing="ij")
    H = half_height(X, Y)
    eps = 1e-4
    slope_x = (half_height(X + eps, Y) - half_height(X - eps, Y)) / (2 * eps)
    slope_y = (half_height(X, Y + eps) - half_height(X, Y - eps)) / (2 * eps)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(H)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    top = np.stack([X - shift[0], Y - shift[1], H], axis=-1)
    u = (X - xs[0]) / (xs[-1] - xs[0])
    v = (Y - ys[0]) / (ys[-1] - ys[0])
    flip = np.array([1.0, 1.0, -1.0])
    for i in range(len(xs) - 1):
        for j in range(len(ys) - 1):
            ring = ([i, i + 1, i + 1, i], [j, j, j + 1, j + 1])
            uv = np.column_stack([u[ring], v[ring]])
            builder.polygon(top[ring], normals[ring], atlas.uv(0, uv))
            back = np.column_stack([1.0 - uv[:, 0], uv[:, 1]])
            builder.polygon((top[ring] * flip)[::-1], (normals[ring] * flip)[::-1], atlas.uv(1, back)[::-1])
    _add_rim(builder, top, atlas)


def _add_rim(builder: ObjBuilder, top: Array, atlas: Atlas) -> None:
    """Vertical strips that close the four borders of a pillow, ``top`` (N, M, 3)."""
    flip = np.array([1.0, 1.0, -1.0])
    borders = (
        (top[:, 0], (0, -1, 0)),
        (top[-1], (1, 0, 0)),
        (top[::-1, -1], (0, 1, 0)),
        (top[0, ::-1], (-1, 0, 0)),
    )
    for line, normal in borders:
        for a, b in itertools.pairwise(line):
            points = np.array([a * flip, b * flip, b, a])
            builder.polygon(points, np.tile(np.asarray(normal, float), (4, 1)), atlas.uv(2, _CORNERS))
