"""Mailers and polybags: flat packs of nine plates on stiff hinges, which fold under load and stay folded.

Frame: the centre of the flat item, thin in z. The plates form a tree: the middle plate carries its four neighbours, and the
two to its left and right carry the corners. Hinges slip at a Coulomb torque and have no spring: paper and film do not
straighten by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pickcell_sim.items import prints
from pickcell_sim.items.link_mesh import add_pillow, plain_like, write_mesh
from pickcell_sim.items.mesh import ObjBuilder, pack
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Box, Description, Hinge, Link, box_inertia, stable_damping

Array = NDArray[np.float64]

SHARES = (0.3, 0.4, 0.3)
"""Of width and height, of the three rows and columns of plates."""
FOLDS_UP_TO_RAD = 1.0
HINGE_DAMPING = 0.002
TORQUE_NM = {"mailer": (0.04, 0.08), "polybag": (0.02, 0.04)}
"""Coulomb torque of a hinge, drawn per SKU within the range that was prototyped; which kind gets which part is assumed."""
RIM_HEIGHT = 0.45
"""Thickness at the outer rim, as a share of the middle's: packs are sealed at their edges."""
_CELLS = 7
"""Cells of the visible mesh along each side of a plate."""


@dataclass(frozen=True)
class SheetShape:
    """A flat pack, metres."""

    size: tuple[float, float, float]
    rim: float
    """Width of the border that gets thinner towards the edge."""
    wrinkle: float
    """Depth of the film's wrinkles."""
    seed: int
    torque_nm: float

    @property
    def x_cuts(self) -> Array:
        """(4,) borders of the plates along x."""
        return self.size[0] * (np.cumsum([0.0, *SHARES]) - 0.5)

    @property
    def y_cuts(self) -> Array:
        """(4,) along y."""
        return self.size[1] * (np.cumsum([0.0, *SHARES]) - 0.5)

    def half_height(self, x: Array, y: Array) -> Array:
        """Half of the visible thickness over a point: full in the middle, thin at the rim, wrinkled between."""
        half = 0.5 * np.asarray(self.size)
        edge = np.minimum(half[0] - np.abs(x), half[1] - np.abs(y)) / self.rim
        round_ = np.sqrt(np.clip(1.0 - (1.0 - np.clip(edge, 0.0, 1.0)) ** 2, 0.0, 1.0))
        dents = wrinkles(x, y, self.seed) * self.wrinkle * np.clip(edge, 0.0, 1.0)
        return np.maximum(half[2] * (RIM_HEIGHT + (1.0 - RIM_HEIGHT) * round_) - dents, 0.1 * half[2])


def wrinkles(x: Array, y: Array, seed: int) -> Array:
    """Depth 0..1 of a film's wrinkles at points in metres: folded sine waves of 15 to 45 mm in drawn directions."""
    rng = np.random.default_rng([seed, 43])
    total = np.zeros(np.broadcast(x, y).shape)
    for _ in range(4):
        angle, length, phase = rng.uniform(0, np.pi), rng.uniform(0.015, 0.045), rng.uniform(0, 2 * np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        total += 1.0 - np.abs(np.sin(np.pi * along / length + phase + 1.5 * np.sin(across / length)))
    return total / 4.0


def sheet_shape(spec: ItemSpec) -> SheetShape:
    """The flat pack of a SKU; a kind that is neither mailer nor polybag folds like a polybag."""
    rng = np.random.default_rng([spec.seed, 44])
    torque = round(float(rng.uniform(*TORQUE_NM.get(spec.kind, TORQUE_NM["polybag"]))), 4)
    width, height, thickness = spec.size_m
    rim = min(0.12 * min(width, height), 1.2 * thickness)
    return SheetShape(spec.size_m, rim, min(spec.wrinkle_m, 0.3 * thickness), spec.seed, torque)


def sheet_description(spec: ItemSpec) -> Description:
    """Nine links, the middle plate first; every plate's mass is its share of the area."""
    shape = sheet_shape(spec)
    links = [_plate(spec, shape, 1, 1)]
    hinges = []
    for i, j, parent in _TREE:
        links.append(_plate(spec, shape, i, j))
        hinges.append(_fold(spec, shape, i, j, parent))
    return Description(spec.sku, links, hinges)


_TREE = (
    (0, 1, (1, 1)), (2, 1, (1, 1)), (1, 0, (1, 1)), (1, 2, (1, 1)),
    (0, 0, (0, 1)), (0, 2, (0, 1)), (2, 0, (2, 1)), (2, 2, (2, 1)),
)  # fmt: skip
"""(column, row, parent) of each plate but the middle one, parents first."""


def _name(i: int, j: int) -> str:
    return f"plate_{i}{j}"


def _frame(shape: SheetShape, i: int, j: int) -> Array:
    """(2,) origin of a plate's frame in the item's frame: the middle of the edge it hangs on."""
    x, y = shape.x_cuts, shape.y_cuts
    if (i, j) == (1, 1):
        return np.zeros(2)
    if j == 1:
        return np.array([x[1] if i == 0 else x[2], 0.0])
    return np.array([(x[i] + x[i + 1]) / 2.0, y[1] if j == 0 else y[2]])


def _plate(spec: ItemSpec, shape: SheetShape, i: int, j: int) -> Link:
    low = np.array([shape.x_cuts[i], shape.y_cuts[j]])
    high = np.array([shape.x_cuts[i + 1], shape.y_cuts[j + 1]])
    size = (float(high[0] - low[0]), float(high[1] - low[1]), spec.size_m[2])
    mass = spec.mass_kg * SHARES[i] * SHARES[j]
    centre = (low + high) / 2.0 - _frame(shape, i, j)
    com = (float(centre[0]), float(centre[1]), 0.0)
    boxes = _boxes(shape, i, j, low - _frame(shape, i, j), high - _frame(shape, i, j))
    return Link(_name(i, j), mass, box_inertia(mass, size), com, boxes, mesh=f"{_name(i, j)}.obj")


def _boxes(shape: SheetShape, i: int, j: int, low: Array, high: Array) -> tuple[Box, ...]:
    """A plate's collision boxes: full thickness inside, a thinner strip along outer edges."""
    cut = 0.5 * shape.rim
    inner_low = low + cut * np.array([i == 0, j == 0])
    inner_high = high - cut * np.array([i == 2, j == 2])
    thickness = shape.size[2]
    boxes = [_span(inner_low, inner_high, thickness)]
    thin = thickness * (0.5 + 0.5 * RIM_HEIGHT)
    if i != 1:
        x = (low[0], inner_low[0]) if i == 0 else (inner_high[0], high[0])
        boxes.append(_span(np.array([x[0], low[1]]), np.array([x[1], high[1]]), thin))
    if j != 1:
        y = (low[1], inner_low[1]) if j == 0 else (inner_high[1], high[1])
        boxes.append(_span(np.array([inner_low[0], y[0]]), np.array([inner_high[0], y[1]]), thin))
    return tuple(boxes)


def sheet_outline_boxes(spec: ItemSpec) -> tuple[Box, ...]:
    """The outer shape of the flat pack in five boxes: the same as all of its plates', for a rigid stand-in."""
    shape = sheet_shape(spec)
    half, cut = 0.5 * np.asarray(spec.size_m[:2]), 0.5 * shape.rim
    thin = spec.size_m[2] * (0.5 + 0.5 * RIM_HEIGHT)
    inner = half - cut
    return (
        _span(-inner, inner, spec.size_m[2]),
        _span(np.array([-half[0], -half[1]]), np.array([-inner[0], half[1]]), thin),
        _span(np.array([inner[0], -half[1]]), half, thin),
        _span(np.array([-inner[0], -half[1]]), np.array([inner[0], -inner[1]]), thin),
        _span(np.array([-inner[0], inner[1]]), np.array([inner[0], half[1]]), thin),
    )


def _span(low: Array, high: Array, thickness: float) -> Box:
    size, centre = high - low, (low + high) / 2.0
    return Box((float(size[0]), float(size[1]), thickness), (float(centre[0]), float(centre[1]), 0.0))


def _fold(spec: ItemSpec, shape: SheetShape, i: int, j: int, parent: tuple[int, int]) -> Hinge:
    offset = _frame(shape, i, j) - _frame(shape, *parent)
    axis = (0.0, 1.0, 0.0) if j == 1 else (1.0, 0.0, 0.0)
    reach = SHARES[i] * spec.size_m[0] if j == 1 else SHARES[j] * spec.size_m[1]
    inertia = spec.mass_kg * SHARES[i] * SHARES[j] * reach**2 / 3.0
    return Hinge(
        _name(*parent),
        _name(i, j),
        (float(offset[0]), float(offset[1]), 0.0),
        axis,
        -FOLDS_UP_TO_RAD,
        FOLDS_UP_TO_RAD,
        shape.torque_nm,
        stable_damping(HINGE_DAMPING, inertia),
    )


def build_sheet(spec: ItemSpec, folder: Path) -> None:
    """Write URDF, meshes and textures of a flat pack into ``folder``."""
    shape = sheet_shape(spec)
    pixels = prints.pixels(*spec.size_m[:2])
    top, bottom = prints.front(spec, pixels), prints.back(spec, pixels)
    rim = plain_like(top)
    for i in range(3):
        for j in range(3):
            spans = (shape.x_cuts[i], shape.x_cuts[i + 1]), (shape.y_cuts[j], shape.y_cuts[j + 1])
            atlas = pack([_part(top, spec, *spans, False), _part(bottom, spec, *spans, True), rim])
            builder = ObjBuilder()
            builder.part("plate")
            xs, ys = (np.linspace(*span, _CELLS + 1) for span in spans)
            frame = _frame(shape, i, j)
            add_pillow(builder, xs, ys, shape.half_height, atlas, (float(frame[0]), float(frame[1])))
            write_mesh(folder, _name(i, j), builder, atlas.image)
    (folder / "model.urdf").write_text(sheet_description(spec).text())


def _part(
    picture: Image.Image, spec: ItemSpec, x: tuple[float, float], y: tuple[float, float], mirrored: bool
) -> Image.Image:
    """The part of a face's picture that lies over a plate; a mirrored face has +x on its left."""
    w, h = picture.size
    u0, u1 = (v / spec.size_m[0] + 0.5 for v in x)
    if mirrored:
        u0, u1 = 1.0 - u1, 1.0 - u0
    v0, v1 = (v / spec.size_m[1] + 0.5 for v in y)
    box = round(u0 * w), round((1.0 - v1) * h), round(u1 * w), round((1.0 - v0) * h)
    return picture.crop((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))
