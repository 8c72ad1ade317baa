"""The lip on a surface of the physics world: rays round the rim, the unevenness that meshes do not have, and the seal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, transform_points
from pickcell_sim.hand.suction import Cup, Seal, ring_seal, wave_factor
from pickcell_sim.items.assets import item_spec
from pickcell_sim.world import ItemBody

Array = NDArray[np.float64]

RIM_RAYS = 24
RAY_BEHIND_M = 0.006
RAY_AHEAD_M = 0.012
ROBOT_GROUP = 64
"""Collision group of the robot, so that rays from inside the cup see items and furniture only."""

FOLD_LENGTH_M = (0.010, 0.030)
"""Range of the wave lengths of folds and wrinkles (assumed, from polyethylene bags and mailers)."""
WAVES = 16


@dataclass(frozen=True)
class Surface:
    """What a lip meets beyond an item's shape."""

    wrinkle_m: float = 0.0
    """Peak to valley of its fine waves."""
    permeance_m_per_s_pa: float = 0.0
    """Air through it: volume flow per area and pressure difference (Darcy)."""


def surface_of(item: ItemBody | None) -> Surface:
    """The surface that an item's SKU has; smooth and tight for furniture and for bodies of no SKU."""
    if item is None or not item.name:
        return Surface()
    try:
        spec = item_spec(item.name)
    except KeyError:
        return Surface()
    return Surface(spec.wrinkle_m, spec.permeance_m_per_s_pa)


@dataclass(frozen=True)
class Waves:
    """A height field made of plane waves, fixed in an item's frame. The same seed gives the same folds."""

    vectors: Array
    """(W, 3) radians per metre."""
    phases: Array
    """(W,)"""
    amplitude_m: float
    """Of each wave: all together differ by the surface's ``wrinkle_m`` from peak to valley, as four standard deviations."""

    @staticmethod
    def draw(wrinkle_m: float, seed: tuple[int, ...]) -> Waves:
        """Folds in all directions, of lengths spread evenly over FOLD_LENGTH_M."""
        rng = np.random.default_rng(seed)
        directions = rng.normal(size=(WAVES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(*FOLD_LENGTH_M, WAVES)
        phases = rng.uniform(0.0, 2 * np.pi, WAVES)
        return Waves(2 * np.pi / lengths[:, None] * directions, phases, wrinkle_m / 4.0 * np.sqrt(2.0 / WAVES))

    def heights(self, points: Array, radius_m: float) -> tuple[Array, Array]:
        """(N,) heights at ``points`` (N, 3) in the item's frame, and what a lip of this radius finds them in addition to it.

        The second is what :func:`pickcell_sim.hand.suction.ring_seal` calls steepened.
        """
        waves = self.amplitude_m * np.cos(points @ self.vectors.T + self.phases)
        factor = wave_factor(2 * np.pi / np.linalg.norm(self.vectors, axis=1), radius_m)
        return waves.sum(axis=1), waves @ (factor - 1.0)


def rim_points(radius_m: float) -> Array:
    """(24, 3) points of the lip in its frame; the first on +x, counting towards +y."""
    angles = np.linspace(0.0, 2 * np.pi, RIM_RAYS, endpoint=False)
    return radius_m * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(RIM_RAYS)])


def rim_heights(client: int, X_world_lip: Pose, radius_m: float, body: int) -> Array:
    """(24,) height of ``body``'s surface over the lip's plane round the rim; NaN where another body or none is hit.

    All links of the body count: a mailer's plates are one surface.
    """
    rim = rim_points(radius_m)
    starts = transform_points(X_world_lip, rim - np.array([0, 0, RAY_BEHIND_M]))
    ends = transform_points(X_world_lip, rim + np.array([0, 0, RAY_AHEAD_M]))
    hits = p.rayTestBatch(starts.tolist(), ends.tolist(), collisionFilterMask=~ROBOT_GROUP, physicsClientId=client)
    length = RAY_BEHIND_M + RAY_AHEAD_M
    return np.array([h[2] * length - RAY_BEHIND_M if h[0] == body else np.nan for h in hits])


def measure_seal(client: int, cup: Cup, X_world_lip: Pose, body: int, X_world_item: Pose, waves: Waves | None) -> Seal:
    """The seal of a lip at this pose on a body, whose surface has ``waves`` beside what its shape has."""
    heights = rim_heights(client, X_world_lip, cup.radius_m, body)
    if waves is None:
        return ring_seal(heights, cup.radius_m, cup.conformity_m)
    in_item = transform_points(inverse(X_world_item) @ X_world_lip, rim_points(cup.radius_m))
    fine, steepened = waves.heights(in_item, cup.radius_m)
    return ring_seal(heights + fine, cup.radius_m, cup.conformity_m, steepened)
