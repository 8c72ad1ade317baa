"""Descriptions (URDF) of items that consist of several links on hinges, or of one link with a compound collision shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Vector = tuple[float, float, float]
EXPLICIT_DAMPING_SHARE = 0.1
COARSEST_STEP_S = 1.0 / 120.0
"""Joint damping is integrated explicitly: it stays below this share of inertia per step at the coarsest step in use."""


@dataclass(frozen=True)
class Box:
    """A collision box of full extents ``size`` in a link's frame, turned about the link's axes (roll, pitch, yaw)."""

    size: Vector
    centre: Vector = (0.0, 0.0, 0.0)
    rpy: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Link:
    """A rigid part. Its frame is that of its joint; the base link's frame is the item's."""

    name: str
    mass_kg: float
    inertia: Vector
    """Principal moments about ``com``, along the link's axes, kg m^2."""
    com: Vector = (0.0, 0.0, 0.0)
    boxes: tuple[Box, ...] = ()
    hulls: tuple[str, ...] = ()
    """Files of convex collision meshes."""
    mesh: str = ""
    """File of the visible mesh, in the link's frame; empty: nothing to see."""
    rgb: Vector = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Hinge:
    """A revolute joint that rests where it is until more than its friction acts on it."""

    parent: str
    child: str
    origin: Vector
    """In the parent's frame."""
    axis: Vector
    lower: float
    upper: float
    friction_nm: float
    """Coulomb torque. Physics applies it as a velocity motor of this strength, see ``spawn.brake_hinges``."""
    damping: float = 0.0
    """N m s."""


@dataclass
class Description:
    """A tree of links; the first one is the base."""

    name: str
    links: list[Link]
    hinges: list[Hinge] = field(default_factory=list)

    @property
    def mass_kg(self) -> float:
        return sum(link.mass_kg for link in self.links)

    def text(self) -> str:
        """The URDF."""
        body = "".join([*map(_link, self.links), *map(_hinge, self.hinges)])
        return f'<?xml version="1.0"?>\n<robot name="{self.name}">\n{body}</robot>\n'


def box_inertia(mass_kg: float, size: Sequence[float]) -> Vector:
    """Principal moments (kg m^2) of a uniform box of full extents ``size``."""
    x, y, z = (float(s) ** 2 for s in size)
    return mass_kg / 12.0 * (y + z), mass_kg / 12.0 * (x + z), mass_kg / 12.0 * (x + y)


def stable_damping(wanted: float, inertia_about_hinge: float) -> float:
    """``wanted`` (N m s), or less where the moving side (kg m^2) is too light for explicit integration."""
    return min(wanted, EXPLICIT_DAMPING_SHARE * inertia_about_hinge / COARSEST_STEP_S)


def shell_inertia(mass_kg: float, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(3,) diagonal about the origin of a symmetric shell of boxes with uniform density; products of inertia cancel."""
    volumes = np.array([float(np.prod(box.size)) for box in boxes])
    masses = mass_kg * volumes / volumes.sum()
    total = np.zeros(3)
    for mass, box in zip(masses, boxes):
        rotation = _rotation(box.rpy)
        own = rotation @ np.diag(box_inertia(float(mass), box.size)) @ rotation.T
        c = np.asarray(box.centre)
        total += np.diag(own + mass * ((c @ c) * np.eye(3) - np.outer(c, c)))
    return total


def _rotation(rpy: Vector) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_euler("xyz", rpy).as_matrix())


def _xyz(values: Sequence[float]) -> str:
    return " ".join(f"{float(v):.6f}" for v in values)


def _link(link: Link) -> str:
    ixx, iyy, izz = (f"{v:.6e}" for v in link.inertia)
    shapes = [
        f'    <collision><origin xyz="{_xyz(box.centre)}" rpy="{_xyz(box.rpy)}"/>'
        f'<geometry><box size="{_xyz(box.size)}"/></geometry></collision>\n'
        for box in link.boxes
    ] + [f'    <collision><geometry><mesh filename="{name}"/></geometry></collision>\n' for name in link.hulls]
    visual = ""
    if link.mesh:
        color = " ".join(f"{v:.3f}" for v in link.rgb)
        visual = (
            f'    <visual><geometry><mesh filename="{link.mesh}"/></geometry>'
            f'<material name="{link.name}"><color rgba="{color} 1"/></material></visual>\n'
        )
    return (
        f'  <link name="{link.name}">\n'
        f'    <inertial><origin xyz="{_xyz(link.com)}"/><mass value="{link.mass_kg:.6f}"/>\n'
        f'      <inertia ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"/></inertial>\n'
        f"{visual}{''.join(shapes)}  </link>\n"
    )


def _hinge(hinge: Hinge) -> str:
    return (
        f'  <joint name="{hinge.parent}_{hinge.child}" type="revolute">\n'
        f'    <parent link="{hinge.parent}"/><child link="{hinge.child}"/>\n'
        f'    <origin xyz="{_xyz(hinge.origin)}"/><axis xyz="{_xyz(hinge.axis)}"/>\n'
        f'    <limit lower="{hinge.lower:.5f}" upper="{hinge.upper:.5f}" effort="100" velocity="100"/>\n'
        f'    <dynamics damping="{hinge.damping:.6e}" friction="{hinge.friction_nm:.6f}"/>\n'
        f"  </joint>\n"
    )


@dataclass(frozen=True)
class ClosedShape:
    """A described item as one rigid body, all hinges at zero, in the frame of its base link."""

    mass_kg: float
    com: NDArray[np.float64]
    """(3,)."""
    inertia: NDArray[np.float64]
    """(3, 3) about the centre of mass, kg m^2."""
    boxes: tuple[Box, ...]
    """All collision boxes."""


def closed_shape(description: Description) -> ClosedShape:
    """Mass properties and boxes of a described item with all hinges at zero."""
    origins = {description.links[0].name: np.zeros(3)}
    for hinge in description.hinges:  # parents come first
        origins[hinge.child] = origins[hinge.parent] + np.asarray(hinge.origin)
    masses = np.array([link.mass_kg for link in description.links])
    places = np.array([origins[link.name] + np.asarray(link.com) for link in description.links])
    com = masses @ places / masses.sum()
    inertia = np.zeros((3, 3))
    for link, place in zip(description.links, places):
        d = place - com
        inertia += np.diag(link.inertia) + link.mass_kg * ((d @ d) * np.eye(3) - np.outer(d, d))
    boxes = []
    for link in description.links:
        for box in link.boxes:
            x, y, z = (float(v) for v in origins[link.name] + np.asarray(box.centre))
            boxes.append(Box(box.size, (x, y, z), box.rpy))
    return ClosedShape(float(masses.sum()), com, inertia, tuple(boxes))
