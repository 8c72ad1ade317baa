"""Plush toys: one body of a few soft blobs. The softness is in its contacts, not in its shape.

Frame: the centre of the bounding box, which is the centre of mass (the stuffing is taken to be heavier where it is thin).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from pickcell_sim.items import prints
from pickcell_sim.items.link_mesh import write_mesh
from pickcell_sim.items.mesh import Atlas, ObjBuilder, pack
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Description, Link

Array = NDArray[np.float64]

CONTACT_STIFFNESS = 1500.0
CONTACT_DAMPING = 20.0
"""N/m and N s/m of its contacts."""
HULL_MARGIN_M = 0.001
"""PyBullet adds this to convex meshes."""

_BLOBS = {
    "bear": (
        ((0, -0.14, 0), (0.34, 0.36, 0.46)), ((0, 0.26, 0.02), (0.29, 0.24, 0.40)),
        ((-0.21, 0.42, 0), (0.10, 0.08, 0.16)), ((0.21, 0.42, 0), (0.10, 0.08, 0.16)),
        ((-0.36, -0.02, 0.1), (0.14, 0.20, 0.22)), ((0.36, -0.02, 0.1), (0.14, 0.20, 0.22)),
        ((-0.22, -0.38, 0.2), (0.16, 0.12, 0.30)), ((0.22, -0.38, 0.2), (0.16, 0.12, 0.30)),
    ),
    "whale": (
        ((-0.08, 0, 0), (0.42, 0.34, 0.46)), ((0.34, 0.06, 0.05), (0.16, 0.16, 0.25)),
        ((0.42, 0.28, 0.08), (0.08, 0.22, 0.20)), ((0.42, -0.2, 0.08), (0.08, 0.2, 0.2)),
        ((-0.05, 0.36, -0.1), (0.16, 0.14, 0.16)), ((-0.05, -0.36, -0.1), (0.16, 0.14, 0.16)),
    ),
    "star": (
        ((0, 0, 0), (0.28, 0.28, 0.50)), ((0, 0.30, 0), (0.14, 0.20, 0.30)), ((0, -0.30, 0), (0.14, 0.20, 0.30)),
        ((0.30, 0.08, 0), (0.20, 0.13, 0.30)), ((-0.30, 0.08, 0), (0.20, 0.13, 0.30)),
    ),
}  # fmt: skip
"""Centres and half axes of the blobs in units of the bounding box; scaled so that together they fill it exactly."""


def blobs(spec: ItemSpec) -> tuple[Array, Array]:
    """Centres and half axes (N, 3), metres, of the ellipsoids that the toy is made of."""
    design = _BLOBS[spec.form]
    centres, axes = (np.array([blob[k] for blob in design], float) for k in (0, 1))
    low, high = (centres - axes).min(axis=0), (centres + axes).max(axis=0)
    scale = np.asarray(spec.size_m) / (high - low)
    return (centres - (low + high) / 2.0) * scale, axes * scale


def plush_outline(spec: ItemSpec) -> Array:
    """(N, 3) points whose convex hull is the toy's."""
    centres, axes = blobs(spec)
    ball = np.asarray(trimesh.creation.icosphere(subdivisions=2).vertices)
    points = centres[:, None, :] + axes[:, None, :] * ball[None]
    return np.asarray(points.reshape(-1, 3))


def plush_description(spec: ItemSpec) -> Description:
    """One link of convex blobs; its inertia is that of ellipsoids weighted by volume."""
    centres, axes = blobs(spec)
    volumes = np.prod(axes, axis=1)
    masses = spec.mass_kg * volumes / volumes.sum()
    own = masses[:, None] / 5.0 * (np.sum(axes**2, axis=1, keepdims=True) - axes**2)
    steiner = masses[:, None] * (np.sum(centres**2, axis=1, keepdims=True) - centres**2)
    inertia = (own + steiner).sum(axis=0)
    hulls = tuple(f"blob_{k}.obj" for k in range(len(centres)))
    link = Link("toy", spec.mass_kg, (inertia[0], inertia[1], inertia[2]), hulls=hulls, mesh="toy.obj")
    return Description(spec.sku, [link])


def build_plush(spec: ItemSpec, folder: Path) -> None:
    """Write URDF, meshes and texture of a toy into ``folder``."""
    fur = prints.fur(spec, (96, 96))
    darker = fur.point(lambda v: int(0.72 * v))
    atlas = pack([fur, darker, prints.back(spec, (240, 180))])
    builder = ObjBuilder()
    builder.part("toy")
    centres, axes = blobs(spec)
    for k, (centre, half) in enumerate(zip(centres, axes)):
        _add_ellipsoid(builder, centre, half, atlas, 0 if k < 2 else 1)
        ball = trimesh.creation.icosphere(subdivisions=1)
        shrunk = np.maximum(half - HULL_MARGIN_M, 0.5 * half)
        hull = ObjBuilder()
        hull.part("blob")
        for face, normal in zip(ball.faces, ball.face_normals):
            hull.polygon(np.asarray(ball.vertices)[face] * shrunk + centre, np.tile(normal, (3, 1)))
        hull.write_geometry(folder / f"blob_{k}.obj")
    _add_tag(builder, centres[0], axes[0], atlas)
    write_mesh(folder, "toy", builder, atlas.image)
    (folder / "model.urdf").write_text(plush_description(spec).text())


def _add_ellipsoid(builder: ObjBuilder, centre: Array, half: Array, atlas: Atlas, picture: int) -> None:
    """A smooth blob, its texture wrapped around from the sides."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    vertices = np.asarray(ball.vertices)
    normals = vertices / half
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    uv = 0.5 + 0.5 * vertices[:, :2]
    for face in ball.faces:
        builder.polygon(vertices[face] * half + centre, normals[face], atlas.uv(picture, uv[face]))


def _add_tag(builder: ObjBuilder, centre: Array, half: Array, atlas: Atlas) -> None:
    """The sewn-on label with the barcode, lying on the first blob's top."""
    width = 0.5 * half[0]
    size = np.array([width, 0.75 * width])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size
    points = np.column_stack([corners + centre[:2], np.full(4, centre[2] + 1.005 * half[2])])
    builder.polygon(points, np.tile([0.0, 0.0, 1.0], (4, 1)), atlas.uv(2, np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])))
