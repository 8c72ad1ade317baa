"""Meshes and URDFs of the rigid items of the shelf: vessels, tubes, blister cards, shrink-wrapped packs, rulers and flats.

The item's frame stands at its centre of mass, axes along the bounding box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from pickcell_sim.items import films, lathe, packs, prints, surfaces
from pickcell_sim.items.canvas import mix
from pickcell_sim.items.mesh import BOX_FACES, Atlas, ObjBuilder, add_box, add_convex_parts, face_size, pack
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.vessels import Vessel, vessel_of

Array = NDArray[np.float64]

COLLISION_MARGIN_M = 0.001
"""PyBullet adds this to convex meshes and cylinders (not to boxes): they are made smaller by it."""
COLLISION_THICKNESS_M = 0.002
"""Plates thinner than this collide as if they were this thick: thinner ones sink into each other under load."""
BLISTER_CARD_M = 0.002
"""Thickness of the board behind a blister."""
_CRIMP_M = 0.0024
"""Thickness of a tube's flat end."""
_TUBE_CAP = 0.11
"""Length of a tube's cap as a share of its own."""
_TUBE_SEGMENTS = 32


def is_vessel(spec: ItemSpec) -> bool:
    """Whether a body of revolution from :mod:`pickcell_sim.items.vessels`."""
    return spec.kind in ("bottle", "can", "jar") or spec.form == "poster"


def build(spec: ItemSpec, folder: Path) -> None:
    """Write mesh, material, texture, collision meshes and URDF of a rigid item of the shelf into ``folder``."""
    if is_vessel(spec):
        _build_vessel(spec, folder)
    elif spec.kind == "tube":
        _build_tube(spec, folder)
    elif spec.kind == "blister":
        _build_blister(spec, folder)
    else:
        _build_box(spec, folder)


@cache
def hull_points(spec: ItemSpec) -> Array:
    """(N, 3) points whose convex hull is that of the item, in its frame."""
    if is_vessel(spec):
        vessel = vessel_of(spec)
        return lathe.span(vessel.solid.profile, -lathe.mass_properties(vessel.solid)[0])
    if spec.kind == "tube":
        cap, body, centre = _tube_rings(spec)
        return np.vstack([cap, body]) - centre
    if spec.kind == "blister":
        plate, dome, centre = _blister_solids(spec)
        return np.vstack([plate, dome]) - centre
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return signs * 0.5 * np.asarray(spec.size_m)


# -- vessels -----------------------------------------------------------------------------------------------------------
def _build_vessel(spec: ItemSpec, folder: Path) -> None:
    vessel = vessel_of(spec)
    centre, moments = lathe.mass_properties(vessel.solid)
    builder = ObjBuilder()
    atlas = _vessel_atlas(spec, vessel)
    lathe.add_solid(builder, vessel.solid, atlas, -centre)
    builder.write(folder, texture=atlas.image)
    collisions = [_cylinder(radius, low - centre, high - centre, inside=low > 0.0) for radius, low, high in vessel.cylinders]
    for k, profile in enumerate(vessel.cones):
        points = lathe.span(profile, -centre)
        collisions.append(_hull(folder, f"cone{k}.obj", points))
    write_urdf(folder, spec, spec.mass_kg * moments, collisions)


def _vessel_atlas(spec: ItemSpec, vessel: Vessel) -> Atlas:
    """Label, wall, cap and the two ends, in the order of ``vessels``."""
    radius = 0.5 * spec.size_m[0]
    label = next(band for band in vessel.solid.bands if band.picture == 0)
    height = label.points[-1][1] - label.points[0][1]
    around = prints.pixels(2.0 * np.pi * radius, height)
    printed = surfaces.tube_wrap(spec, around) if spec.form == "poster" else packs.wrap(spec, around)
    wall = surfaces.wall_color(spec)
    cap = surfaces.STEEL if spec.kind == "can" and spec.form != "aerosol" else surfaces.cap_color(spec)
    end = prints.pixels(2.0 * radius, 2.0 * radius, 1500.0)
    swatches = [Image.new("RGB", (8, 8), color) for color in (wall, cap)]
    return pack([printed, *swatches, surfaces.round_end(spec, end, True), surfaces.round_end(spec, end, False)])


# -- tubes -------------------------------------------------------------------------------------------------------------
def _tube_rings(spec: ItemSpec) -> tuple[Array, Array, Array]:
    """Points of the cap (2 rings) and of the body (3 rings: shoulder, round end, crimp), and the centre of mass.

    The tube stands on its cap at z = 0; the crimp at the top is as long as half of the round end's circumference.
    """
    width, depth, length = spec.size_m
    angles = np.linspace(0.0, 2.0 * np.pi, _TUBE_SEGMENTS, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    foot = _TUBE_CAP * length

    def ring(half_x: float, half_y: float, z: float) -> Array:
        return np.column_stack([half_x * circle[:, 0], half_y * circle[:, 1], np.full(len(circle), z)])

    cap = np.vstack([ring(0.36 * depth, 0.36 * depth, z) for z in (0.0, foot)])
    round_end = ring(0.5 * depth, 0.5 * depth, foot + 0.05 * length)
    crimp = ring(0.5 * width, 0.5 * _CRIMP_M, length)
    body = np.vstack([ring(0.42 * depth, 0.42 * depth, foot), round_end, crimp])
    # A wedge's centre: its cross section shrinks towards the crimp, so the paste sits nearer to the cap.
    t = (np.arange(40) + 0.5) / 40.0
    area = (0.5 * depth + t * (width - depth) / 2.0) * (0.5 * depth + t * (_CRIMP_M - depth) / 2.0)
    centre_z = foot + 0.05 * length + float(area @ t / area.sum()) * (0.95 * length - foot)
    return cap, body, np.array([0.0, 0.0, centre_z])


def _build_tube(spec: ItemSpec, folder: Path) -> None:
    cap, body, centre = _tube_rings(spec)
    width, depth, length = spec.size_m
    around = prints.pixels(0.5 * np.pi * (width + depth) / 1.6, length)
    cap_swatch = Image.new("RGB", (8, 8), surfaces.cap_color(spec))
    atlas = pack([surfaces.tube_wrap(spec, around), cap_swatch])
    builder = ObjBuilder()
    builder.part("tube")
    rings = body.reshape(3, _TUBE_SEGMENTS, 3) - centre
    heights = [0.0, 0.05, 1.0]
    for low in range(2):
        _add_loft(builder, rings[low], rings[low + 1], atlas, 0, heights[low], heights[low + 1])
    caps = cap.reshape(2, _TUBE_SEGMENTS, 3) - centre
    _add_loft(builder, caps[0], caps[1], atlas, 1, 0.0, 1.0)
    bottom = caps[0][::-1]
    builder.polygon(bottom, np.tile([0.0, 0.0, -1.0], (len(bottom), 1)), atlas.uv(1, np.full((len(bottom), 2), 0.5)))
    builder.write(folder, texture=atlas.image)
    collisions = [
        _hull(folder, "body.obj", body - centre),
        _cylinder(0.36 * depth, -centre[2], _TUBE_CAP * length - centre[2]),
    ]
    extents = np.array([0.75 * width, 0.8 * depth, 0.95 * length])  # of the box that turns about as hard
    write_urdf(folder, spec, _box_moments(spec.mass_kg, extents), collisions)


def _add_loft(builder: ObjBuilder, low: Array, high: Array, atlas: Atlas, picture: int, v_low: float, v_high: float) -> None:
    """Triangles between two rings (N, 3) from +x on, shaded smoothly: the picture's left half faces +y, the other -y."""
    n = len(low)
    centre_low, centre_high = low.mean(axis=0), high.mean(axis=0)
    for k in range(n):
        m = (k + 1) % n
        corners = np.array([low[k], low[m], high[m], high[k]])
        middle = np.array([centre_low, centre_low, centre_high, centre_high])
        normals = corners - middle
        thin = np.array([low[:, 1].max(), low[:, 1].max(), high[:, 1].max(), high[:, 1].max()])
        wide = np.array([low[:, 0].max(), low[:, 0].max(), high[:, 0].max(), high[:, 0].max()])
        normals[:, 0] /= wide**2
        normals[:, 1] /= thin**2
        normals[:, 2] = 0.0
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        u0, u1 = k / n, (k + 1) / n
        uv = np.array([[u0, v_low], [u1, v_low], [u1, v_high], [u0, v_high]])
        coordinates = atlas.uv(picture, uv)
        builder.polygon(corners[[0, 1, 2]], normals[[0, 1, 2]], coordinates[[0, 1, 2]])
        builder.polygon(corners[[0, 2, 3]], normals[[0, 2, 3]], coordinates[[0, 2, 3]])


# -- blister cards -----------------------------------------------------------------------------------------------------
def dome_box(spec: ItemSpec) -> tuple[float, float, float, float]:
    """Where the dome stands on the card: left, top, right, bottom as shares of its sides, y down; never in the middle."""
    rng = np.random.default_rng([spec.seed, 38])
    width, height, _ = spec.size_m
    aside = float(rng.uniform(0.05, 0.12)) * (1 if rng.random() < 0.5 else -1)
    wide, tall = (0.42, 0.6) if spec.form == "long" else (0.64, min(0.54, 0.68 * width / height))
    return 0.5 + aside - wide / 2, 0.95 - tall, 0.5 + aside + wide / 2, 0.95


def _blister_solids(spec: ItemSpec) -> tuple[Array, Array, Array]:
    """Corners of card (8, 3) and dome (8, 3) above z = 0 (centred in x and y), and the centre of mass."""
    width, height, total = spec.size_m
    signs = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)], float)
    flat = signs * [width / 2, height / 2]
    plate = np.vstack([np.column_stack([flat, np.full(4, z)]) for z in (0.0, BLISTER_CARD_M)])
    left, top, right, bottom = dome_box(spec)
    middle = np.array([(left + right - 1.0) * width / 2, (1.0 - top - bottom) * height / 2])
    half = np.array([(right - left) * width / 2, (bottom - top) * height / 2])
    rise = total - BLISTER_CARD_M
    slope = np.minimum(0.25 * half, 0.6 * rise)  # walls lean inwards, so that the film comes off its mould
    foot = middle + signs * half
    lid = middle + signs * (half - slope)
    dome = np.vstack([np.column_stack([foot, np.full(4, BLISTER_CARD_M)]), np.column_stack([lid, np.full(4, total)])])
    in_dome = 0.75  # share of the mass (assumed)
    goods = np.array([*middle, BLISTER_CARD_M + 0.45 * rise])
    return plate, dome, in_dome * goods + (1.0 - in_dome) * np.array([0.0, 0.0, BLISTER_CARD_M / 2])


def _build_blister(spec: ItemSpec, folder: Path) -> None:
    width, height, total = spec.size_m
    _, dome, centre = _blister_solids(spec)
    dome_face = surfaces.blister_dome(spec, prints.pixels(*(np.ptp(dome[4:], axis=0)[:2])))
    edge = Image.new("RGB", (8, 8), (214, 210, 200))
    card_px = prints.pixels(width, height)
    card = surfaces.blister_card(spec, card_px, dome_box(spec))
    wall = Image.new("RGB", (8, 8), (204, 212, 218))
    pictures = [edge, edge, edge, edge, card, packs.back(spec, card_px), dome_face, wall]
    atlas = pack(pictures)
    builder = ObjBuilder()
    shift = np.array([0.0, 0.0, BLISTER_CARD_M / 2]) - centre
    add_box(builder, (width, height, BLISTER_CARD_M), atlas, shift)
    builder.part("dome")
    _add_dome(builder, dome - centre, atlas, 6, 7)
    builder.write(folder, texture=atlas.image)
    box = f'<box size="{width:.5f} {height:.5f} {BLISTER_CARD_M:.5f}"/>'
    collisions = [_placed(box, shift), _hull(folder, "dome.obj", dome - centre)]
    size, rise = np.ptp(dome, axis=0), total - BLISTER_CARD_M
    goods = np.array([*dome[:, :2].mean(axis=0), BLISTER_CARD_M + 0.45 * rise]) - centre
    moments = _box_moments(0.75 * spec.mass_kg, 0.9 * size) + _offset(0.75 * spec.mass_kg, goods)
    moments = moments + _box_moments(0.25 * spec.mass_kg, np.array([width, height, BLISTER_CARD_M]))
    write_urdf(folder, spec, moments + _offset(0.25 * spec.mass_kg, shift), collisions)


def _add_dome(builder: ObjBuilder, corners: Array, atlas: Atlas, face: int, wall: int) -> None:
    """Lid and four walls of a frustum; corners in the order (-,-) (-,+) (+,-) (+,+), lower then upper."""
    order = [0, 2, 3, 1]  # counter-clockwise from above
    foot, lid = corners[:4][order], corners[4:][order]
    unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    builder.polygon(lid, np.tile([0.0, 0.0, 1.0], (4, 1)), atlas.uv(face, unit))
    for k in range(4):
        m = (k + 1) % 4
        points = np.array([foot[k], foot[m], lid[m], lid[k]])
        normal = np.cross(points[1] - points[0], points[3] - points[0])
        builder.polygon(points, np.tile(normal / np.linalg.norm(normal), (4, 1)), atlas.uv(wall, unit))


# -- boxes -------------------------------------------------------------------------------------------------------------
def _build_box(spec: ItemSpec, folder: Path) -> None:
    pictures = _shrink_pictures(spec) if spec.kind == "shrink" else _plate_pictures(spec)
    atlas = pack(pictures)
    builder = ObjBuilder()
    add_box(builder, spec.size_m, atlas)
    builder.write(folder, texture=atlas.image)
    extents = np.asarray(spec.size_m)
    extents = np.maximum(extents, COLLISION_THICKNESS_M)
    box = f'<box size="{extents[0]:.5f} {extents[1]:.5f} {extents[2]:.5f}"/>'
    write_urdf(folder, spec, _box_moments(spec.mass_kg, extents), [_placed(box)])


def _plate_pictures(spec: ItemSpec) -> list[Image.Image]:
    """Printed above and below; edges of the bare material."""
    edge = Image.new("RGB", (8, 8), mix(surfaces.ground(spec), (0, 0, 0), 0.12))
    size = prints.pixels(*spec.size_m[:2])
    return [edge, edge, edge, edge, prints.front(spec, size), prints.back(spec, size)]


def _shrink_pictures(spec: ItemSpec) -> list[Image.Image]:
    """Six printed faces under film; the two largest are front and back. Print lies along tall faces."""
    sizes = [face_size(spec.size_m, normal, up) for normal, up in BOX_FACES]
    largest = int(np.argmax([w * h for w, h in sizes])) // 2
    pictures = []
    for k, (width, height) in enumerate(sizes):
        upright = height <= 1.6 * width
        pixels = prints.pixels(width, height)
        size = pixels if upright else (pixels[1], pixels[0])
        if k // 2 == largest:
            picture = packs.front(spec, size) if k % 2 == 0 else packs.back(spec, size)
        else:
            picture = packs.side(spec, size, k)
        picture = films.under_film(picture, [spec.seed, 39, k])
        pictures.append(picture if upright else picture.transpose(Image.Transpose.ROTATE_90))
    return pictures


# -- URDF --------------------------------------------------------------------------------------------------------------
def _cylinder(radius: float, low: float, high: float, inside: bool = False) -> str:
    """Collision cylinder between two heights, smaller by the margin. ``inside``: its foot is hidden in another solid."""
    foot = low + (0.0 if inside else COLLISION_MARGIN_M)
    length = high - COLLISION_MARGIN_M - foot
    shape = f'<cylinder radius="{radius - COLLISION_MARGIN_M:.5f}" length="{length:.5f}"/>'
    return _placed(shape, np.array([0.0, 0.0, foot + length / 2]))


def _hull(folder: Path, name: str, points: Array) -> str:
    """Write the convex hull of points, smaller by the margin, as a collision mesh."""
    hull = trimesh.convex.convex_hull(points)
    low, high = hull.bounds
    center, extents = (low + high) / 2.0, high - low
    scale = np.maximum(0.2, 1.0 - 2.0 * COLLISION_MARGIN_M / extents)
    builder = ObjBuilder()
    add_convex_parts(builder, [((hull.triangles - center) * scale + center, hull.face_normals)])
    builder.write_geometry(folder / name)
    return _placed(f'<mesh filename="{name}"/>')


def _placed(shape: str, at: Sequence[float] | Array = (0.0, 0.0, 0.0)) -> str:
    x, y, z = at
    return f'<collision><origin xyz="{x:.5f} {y:.5f} {z:.5f}"/><geometry>{shape}</geometry></collision>'


def _box_moments(mass_kg: float, extents: Array) -> Array:
    squares = np.asarray(extents, float) ** 2
    return mass_kg / 12.0 * (squares.sum() - squares)


def _offset(mass_kg: float, d: Array) -> Array:
    """Steiner's share of the moments about a point at distance ``d``."""
    return mass_kg * (float(d @ d) - d**2)


def write_urdf(folder: Path, spec: ItemSpec, moments: Array, collisions: Sequence[str]) -> None:
    """One link with the visible mesh and any number of collision solids."""
    ixx, iyy, izz = (f"{v:.4e}" for v in moments)
    solids = "\n    ".join(collisions)
    (folder / "model.urdf").write_text(f"""<?xml version="1.0"?>
<robot name="{spec.sku}">
  <link name="item">
    <inertial>
      <mass value="{spec.mass_kg:.4f}"/>
      <inertia ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <visual>
      <geometry><mesh filename="model.obj"/></geometry>
      <material name="print"><color rgba="1 1 1 1"/></material>
    </visual>
    {solids}
  </link>
</robot>
""")
