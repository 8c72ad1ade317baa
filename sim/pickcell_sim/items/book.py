"""Books: a page block between two covers on hinges at the spine. They flop open when lifted by one cover.

Frame: the centre of the closed book; x its width with the spine at -x, y its height along the spine, z its thickness with
the front cover at +z. The model is a serial fan (back cover, blocks, front cover) whose middle block is the base link.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet as p
from PIL import Image

from pickcell_sim.items import prints
from pickcell_sim.items.link_mesh import plain_like, write_box
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Box, Description, Hinge, Link, box_inertia, stable_damping

OPENS_UP_TO_RAD = 3.0
HINGE_DAMPING = 0.004
"""N m s, of a hardcover's hinge; less where the cover is too light for it."""
SPINE_M = 0.002
COVER_COLLISION_M = 0.005
"""Covers collide as if they were this thick, or half of the book, towards the pages (which they never touch): a thin board
that strikes the tote's floor would come to rest inside of it."""
PAPER_RGB = (236, 233, 224)


@dataclass(frozen=True)
class Binding:
    """How a kind of book is bound. Shares and torques are assumed, in the range that was prototyped."""

    cover_share: float
    """Of the mass, each cover."""
    cover_share_of_thickness: float
    cover_min_m: float
    cover_max_m: float
    inset_m: float
    """How far the pages stay behind the covers' edges."""
    torque_nm: tuple[float, float]
    """Range of the Coulomb torque of a hinge; drawn per SKU."""


BINDINGS = {
    "hardcover": Binding(0.10, 0.12, 0.0015, 0.003, 0.003, (0.010, 0.030)),
    "paperback": Binding(0.04, 0.05, 0.0008, 0.001, 0.0005, (0.003, 0.008)),
}


@dataclass(frozen=True)
class BookShape:
    """Sizes (m), masses (kg) and torque (N m) of one book's parts."""

    width: float
    height: float
    thickness: float
    cover: float
    """Thickness of each cover."""
    inset: float
    cover_kg: float
    block_kg: float
    """All blocks together, spine included."""
    torque_nm: float
    damping: float

    @property
    def block(self) -> float:
        """Thickness of all pages."""
        return self.thickness - 2.0 * self.cover


def book_shape(spec: ItemSpec) -> BookShape:
    """The parts of a book. A kind that is not bound like one counts as a paperback."""
    binding = BINDINGS.get(spec.kind, BINDINGS["paperback"])
    width, height, thickness = spec.size_m
    cover = float(np.clip(binding.cover_share_of_thickness * thickness, binding.cover_min_m, binding.cover_max_m))
    cover_kg = binding.cover_share * spec.mass_kg
    rng = np.random.default_rng([spec.seed, 41])
    return BookShape(
        width,
        height,
        thickness,
        cover,
        binding.inset_m,
        cover_kg,
        spec.mass_kg - 2.0 * cover_kg,
        round(float(rng.uniform(*binding.torque_nm)), 4),
        stable_damping(HINGE_DAMPING, cover_kg * width**2 / 3.0),
    )


def book_description(spec: ItemSpec, blocks: int = 1) -> Description:
    """The fan of links. ``blocks``: an odd number of page blocks, the middle one is the base. Raises ValueError if even."""
    if blocks < 1 or blocks % 2 == 0:
        raise ValueError(f"a book has an odd number of page blocks, the middle one being its base; got {blocks}")
    shape = book_shape(spec)
    links = [_block(shape, "block", blocks)]
    hinges = []
    for side in (1.0, -1.0):  # towards the front cover, then towards the back cover
        name = "front" if side > 0 else "back"
        parent, face = "block", side * shape.block / blocks / 2.0
        leaf = shape.block / blocks
        for k in range(blocks // 2):
            child = f"{name}_pages_{k}"
            links.append(_pages(shape, child, side, leaf, blocks))
            hinges.append(_hinge(shape, parent, child, face if parent == "block" else side * leaf, side))
            parent = child
        links.append(_cover(shape, f"{name}_cover", side))
        hinges.append(_hinge(shape, parent, f"{name}_cover", face if parent == "block" else side * leaf, side))
    return Description(spec.sku, links, hinges)


def _block(shape: BookShape, name: str, blocks: int) -> Link:
    """The middle pages and the spine; its frame is the closed book's centre."""
    leaf, mass = shape.block / blocks, shape.block_kg / blocks
    size = (shape.width - 2.0 * shape.inset, shape.height - 2.0 * shape.inset, leaf)
    spine = Box((SPINE_M, shape.height, leaf), (-shape.width / 2.0 + SPINE_M / 2.0, 0.0, 0.0))
    pages = (shape.width - SPINE_M - shape.inset, size[1], leaf)
    block = Box(pages, ((SPINE_M - shape.inset) / 2.0, 0.0, 0.0))
    return Link(name, mass, box_inertia(mass, size), boxes=(block, spine), mesh=f"{name}.obj")


def _pages(shape: BookShape, name: str, side: float, leaf: float, blocks: int) -> Link:
    """An outer block; its frame is its hinge."""
    mass = shape.block_kg / blocks
    size = (shape.width - 2.0 * shape.inset, shape.height - 2.0 * shape.inset, leaf)
    centre = (shape.width / 2.0, 0.0, side * leaf / 2.0)
    return Link(name, mass, box_inertia(mass, size), centre, (Box(size, centre),), mesh=f"{name}.obj")


def _cover(shape: BookShape, name: str, side: float) -> Link:
    size = (shape.width, shape.height, shape.cover)
    centre = (shape.width / 2.0, 0.0, side * shape.cover / 2.0)
    inertia = box_inertia(shape.cover_kg, size)
    deep = max(shape.cover, min(COVER_COLLISION_M, shape.thickness / 2.0))
    solid = Box((shape.width, shape.height, deep), (centre[0], 0.0, side * (shape.cover - deep / 2.0)))
    return Link(name, shape.cover_kg, inertia, centre, (solid,), mesh=f"{name}.obj")


def _hinge(shape: BookShape, parent: str, child: str, z: float, side: float) -> Hinge:
    """Opening is positive. The base link's hinges are at the spine; those of outer blocks at their own frame's x = 0."""
    x = -shape.width / 2.0 if parent == "block" else 0.0
    return Hinge(
        parent, child, (x, 0.0, z), (0.0, -side, 0.0), 0.0, OPENS_UP_TO_RAD, shape.torque_nm, shape.damping
    )  # fmt: skip


def build_book(spec: ItemSpec, folder: Path, blocks: int = 1) -> None:
    """Write URDF, meshes and textures of a book into ``folder``."""
    description = book_description(spec, blocks)
    shape = book_shape(spec)
    for link in description.links:
        solids = link.boxes
        if link.name.endswith("_cover"):
            solids = (Box((shape.width, shape.height, shape.cover), link.com),)
        boxes = [(box.size, box.centre, _pictures(spec, shape, link.name, box)) for box in solids]
        write_box(folder, link.mesh, boxes)
    (folder / "model.urdf").write_text(description.text())


def _pictures(spec: ItemSpec, shape: BookShape, link: str, box: Box) -> list[Image.Image]:
    """What is printed on the six sides of a part: covers outside, the title on the spine, cut edges of the pages."""
    paper = Image.new("RGB", (16, 16), PAPER_RGB)
    flat = prints.pixels(shape.width, shape.height)
    if link.endswith("_cover"):
        edge = plain_like(prints.front(spec, flat))
        if link.startswith("front"):
            return [edge, edge, edge, edge, prints.front(spec, flat), paper]
        return [edge, edge, edge, edge, paper, prints.back(spec, flat)]
    if box.size[0] <= SPINE_M:
        spine = prints.spine(spec, prints.pixels(shape.thickness, shape.height))
        # Up on the print of this side is +z: a book lying face up shows its title upright.
        return [paper, spine.transpose(Image.Transpose.ROTATE_90), paper, paper, paper, paper]
    long_edge, short_edge = (
        prints.pages(spec, prints.pixels(extent, shape.thickness)) for extent in (shape.height, shape.width)
    )
    return [long_edge, paper, short_edge, short_edge, paper, paper]


def book_opening_rad(client: int, body: int) -> float:
    """Largest angle between two neighbouring leaves of a book now; 0 for a body without hinges (a closed stand-in)."""
    joints = p.getNumJoints(body, physicsClientId=client)
    if not joints:
        return 0.0
    states = p.getJointStates(body, list(range(joints)), physicsClientId=client)
    return max(0.0, *(float(state[0]) for state in states))
