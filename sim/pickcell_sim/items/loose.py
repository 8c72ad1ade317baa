"""Bags of loose content: a thin stiff shell with sixteen balls rolling in it, so that the weight shifts with every motion.

Frame: the centre of the shell, thin in z. The shell is a flat box with bevelled edges; its corners stay open by less than a
ball. The balls are bodies of their own that touch nothing but shells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, transform_points
from pickcell_sim.items import prints
from pickcell_sim.items.link_mesh import add_pillow, plain_like, write_mesh
from pickcell_sim.items.mesh import ObjBuilder, pack
from pickcell_sim.items.sheet_model import wrinkles
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Box, Description, Link, shell_inertia

Array = NDArray[np.float64]

BALLS = 16
SHELL_SHARE = 0.25
"""Of the mass: film and what sticks to it (assumed). A lighter shell under a heavy neighbour makes contacts soft."""
FILLED = 0.32
"""Share of the shell's inside that the balls take up (assumed)."""
WALL_M = 0.003
"""Thickness of the shell: balls of a few metres per second do not get through it within a step."""
BEVEL = 0.30
"""Width and height of the bevelled edges, as a share of the thickness."""
BALL_FRICTION = 0.4
BALL_ROLLING_M = 0.004
BALL_STIFFNESS = 3000.0
BALL_DAMPING = 30.0
"""N/m and N s/m of a ball's contacts. Grains lose their energy within a few strokes; hard balls would jitter in a bag that
others lie on, and keep the whole heap awake."""
BALL_AIR_DAMPING = (0.9, 0.99)
"""Share of its linear and angular speed that a ball loses per second to the grains around it (assumed)."""
CONTENTS_GROUP = 128
"""Collision group of balls; shells belong to it too, everything else does not."""


@dataclass(frozen=True)
class BagShape:
    """A bag's shell and its balls, metres and kilograms."""

    size: tuple[float, float, float]
    bevel: float
    shell_kg: float
    ball_kg: float
    ball_radius: float
    wrinkle: float
    seed: int

    def half_height(self, x: Array, y: Array) -> Array:
        """Half of the visible thickness over a point: bevelled edges, slightly wrinkled inside."""
        half = 0.5 * np.asarray(self.size)
        edge = np.minimum(half[0] - np.abs(x), half[1] - np.abs(y)) / self.bevel
        inside = np.clip(edge, 0.0, 1.0)
        dents = wrinkles(x, y, self.seed) * self.wrinkle * inside
        return half[2] - self.bevel * (1.0 - inside) - dents

    @property
    def places(self) -> Array:
        """(16, 3) centres of the balls in the shell's frame before they have settled; none touch."""
        grid = _packing(self.size, self.ball_radius)
        return grid[np.round(np.linspace(0, len(grid) - 1, BALLS)).astype(int)]


def bag_shape(spec: ItemSpec) -> BagShape:
    """Shell and balls of a SKU. Raises ValueError for a bag too small to hold them."""
    size = spec.size_m
    inner = np.asarray(size) - 2.0 * WALL_M
    if inner.min() < 0.006:
        raise ValueError(f"{spec.sku} of {size} m is too small for a bag of loose content")
    radius = (FILLED * float(np.prod(inner)) * 3.0 / (4.0 * np.pi * BALLS)) ** (1.0 / 3.0)
    radius = min(radius, 0.45 * float(inner.min()))
    while len(_packing(size, radius)) < BALLS:
        radius *= 0.97
    return BagShape(
        size,
        BEVEL * size[2],
        SHELL_SHARE * spec.mass_kg,
        (1.0 - SHELL_SHARE) * spec.mass_kg / BALLS,
        radius,
        min(spec.wrinkle_m, 0.1 * size[2]),
        spec.seed,
    )


def _packing(size: tuple[float, float, float], radius: float) -> Array:
    """(N, 3) a cubic packing within the shell, lowest layer first, a hair apart and clear of the bevels."""
    pitch = 2.05 * radius
    room = np.asarray(size) - 2.0 * WALL_M - 2.0 * radius
    room[:2] -= BEVEL * size[2]  # at half of its width the bevel is as high as the wall is wide
    counts = np.floor(np.maximum(room, -1.0) / pitch + 1.0 + 1e-9).astype(int)
    if counts.min() < 1:
        return np.zeros((0, 3))
    axes = [(np.arange(n) - (n - 1) / 2.0) * pitch for n in counts]
    Z, Y, X = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.column_stack([X.ravel(), Y.ravel(), Z.ravel()])


def bag_description(spec: ItemSpec) -> Description:
    """One link: the empty shell."""
    shape = bag_shape(spec)
    boxes = _shell(shape)
    inertia = shell_inertia(shape.shell_kg, boxes)
    return Description(
        spec.sku, [Link("shell", shape.shell_kg, (inertia[0], inertia[1], inertia[2]), boxes=boxes, mesh="shell.obj")]
    )  # fmt: skip


def _shell(shape: BagShape) -> tuple[Box, ...]:
    """Top and bottom, four sides, and eight bevels at 45 degrees."""
    x, y, z = shape.size
    b, w = shape.bevel, WALL_M
    boxes = [Box((x - 2 * b, y - 2 * b, w), (0.0, 0.0, s * (z - w) / 2.0)) for s in (1.0, -1.0)]
    boxes += [Box((w, y - 2 * b, z - 2 * b), (s * (x - w) / 2.0, 0.0, 0.0)) for s in (1.0, -1.0)]
    boxes += [Box((x - 2 * b, w, z - 2 * b), (0.0, s * (y - w) / 2.0, 0.0)) for s in (1.0, -1.0)]
    slant, inward = np.sqrt(2.0) * b, w / (2.0 * np.sqrt(2.0))
    for s in (1.0, -1.0):
        for up in (1.0, -1.0):
            turn = s * up * np.pi / 4.0
            middle = (x / 2.0 - b / 2.0 - inward, y / 2.0 - b / 2.0 - inward, z / 2.0 - b / 2.0 - inward)
            boxes.append(Box((slant, y - 2 * b, w), (s * middle[0], 0.0, up * middle[2]), (0.0, turn, 0.0)))
            boxes.append(Box((x - 2 * b, slant, w), (0.0, s * middle[1], up * middle[2]), (-turn, 0.0, 0.0)))
    return tuple(boxes)


def build_bag(spec: ItemSpec, folder: Path) -> None:
    """Write URDF, mesh and texture of a bag's shell into ``folder``."""
    shape = bag_shape(spec)
    pixels = prints.pixels(*spec.size_m[:2])
    front = prints.front(spec, pixels)
    atlas = pack([front, prints.back(spec, pixels), plain_like(front)])
    builder = ObjBuilder()
    builder.part("bag")
    xs, ys = (_grid(extent, shape.bevel) for extent in spec.size_m[:2])
    add_pillow(builder, xs, ys, shape.half_height, atlas)
    write_mesh(folder, "shell", builder, atlas.image)
    (folder / "model.urdf").write_text(bag_description(spec).text())


def _grid(extent: float, bevel: float) -> Array:
    """Lines of a mesh that is fine where the bevel bends."""
    inner = np.linspace(-extent / 2.0 + bevel, extent / 2.0 - bevel, 17)
    return np.array([-extent / 2.0, *inner, extent / 2.0])


def add_contents(client: int, spec: ItemSpec, shell: int, X_world_item: Pose) -> tuple[int, ...]:
    """Put the balls into a shell that stands at a pose, at rest; their bodies. Nothing else feels them."""
    shape = bag_shape(spec)
    ball = p.createCollisionShape(p.GEOM_SPHERE, radius=shape.ball_radius, physicsClientId=client)
    bodies = []
    for place in transform_points(X_world_item, shape.places):
        # As plain rigid bodies: a quarter faster than as multibodies of one link.
        body = int(
            p.createMultiBody(shape.ball_kg, ball, -1, place.tolist(), useMaximalCoordinates=True, physicsClientId=client)
        )
        p.changeDynamics(
            body,
            -1,
            lateralFriction=BALL_FRICTION,
            rollingFriction=BALL_ROLLING_M,
            restitution=0.0,
            contactStiffness=BALL_STIFFNESS,
            contactDamping=BALL_DAMPING,
            linearDamping=BALL_AIR_DAMPING[0],
            angularDamping=BALL_AIR_DAMPING[1],
            physicsClientId=client,
        )
        bodies.append(body)
    filter_contents(client, shell, tuple(bodies), True)
    return tuple(bodies)


def filter_contents(client: int, shell: int, balls: tuple[int, ...], active: bool) -> None:
    """Let the balls collide with shells only, and the shell with everything; or, inactive, both with nothing."""
    group, mask = (1 | CONTENTS_GROUP, -1) if active else (0, 0)
    p.setCollisionFilterGroupMask(shell, -1, group, mask, physicsClientId=client)
    for body in balls:
        p.setCollisionFilterGroupMask(
            body, -1, CONTENTS_GROUP if active else 0, mask & CONTENTS_GROUP, physicsClientId=client
        )
