"""What hangs on the cup: the spring between lip and item, the lip's sliding, and how long its limits have been violated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, make_pose
from pickcell_sim.hand.held_part import HeldPart
from pickcell_sim.hand.lip import Waves
from pickcell_sim.hand.suction import Cup, Seal, hold_use, slid_by, sliding_spring
from pickcell_sim.quick_pose import cross, pose_of, rotation_vector
from pickcell_sim.world import ItemBody

Array = NDArray[np.float64]

BREAK_S = 0.008
"""A violated limit ends the hold after this time."""
SLIP_LOSS_CONFORMITIES = 2.0
"""A lip that has slid by this many times its conformity in one go, without pause, has rolled over (assumed)."""
OTHERS_MAX = np.array([0.5, 0.5, 0.5, 10.0, 10.0, 10.0])
"""Bound on the velocity change per step (m/s, rad/s) expected from other forces: an impact is not extrapolated."""
OTHERS_LASTING = np.array([20.0, 20.0, 20.0, 0.3, 0.3, 0.3])
"""Bound (N, Nm) on those that last: what a light thing (a card under the thrust of the slide) has beyond OTHERS_MAX."""
OTHERS_LASTING_SHARE = 0.1
"""Of what is seen in a step; the rest is from before."""


@dataclass(frozen=True)
class LipState:
    """The lip's frame in the world, and the motion of the cup that carries it."""

    X_world_lip: Pose
    centre: Array
    """(3,) centre of mass of the cup's link, at which ``linear`` holds."""
    linear: Array
    angular: Array

    @staticmethod
    def read(client: int, body: int, link: int) -> LipState:
        """From the robot's cup link."""
        s = p.getLinkState(body, link, computeLinkVelocity=True, computeForwardKinematics=True, physicsClientId=client)
        return LipState(pose_of(s[4], s[5]), np.array(s[0]), np.array(s[6]), np.array(s[7]))


@dataclass(frozen=True)
class Pull:
    """What the cup does to the item in a step: (6,) force and torque in the lip's axes, at a point (3,) of the world."""

    force: Array
    point: Array


@dataclass
class _OtherForces:
    """Observes what everything but the spring (gravity, contacts, joints, the moving arm) does to the relative velocity.

    Without it the implicit spring would take a held item that also rests on something for a free one, and be too soft.
    """

    velocity: Array
    pull: Array
    """(6,) velocity change that the spring was expected to make in the step after ``velocity`` was read."""
    lasting: Array = field(default_factory=lambda: np.zeros(6))
    """(6,) what has lasted beyond OTHERS_MAX."""

    def velocity_change(self, velocity: Array, bound: Array) -> Array:
        """(6,) change over one step that is not the spring's, from the newest relative velocity.

        ``bound`` (6,): of what lasts.
        """
        seen = velocity - self.velocity - self.pull
        sudden = np.clip(seen, -OTHERS_MAX, OTHERS_MAX)
        beyond = np.clip(seen - sudden, -bound, bound)
        self.lasting = self.lasting + OTHERS_LASTING_SHARE * (beyond - self.lasting)
        return sudden + self.lasting


@dataclass
class Hold:
    """One hold, from the seal until it is let go."""

    part: HeldPart
    item: ItemBody | None
    X_part_anchor: Pose
    """Where the lip is on the part (its inertial frame); it moves when the lip slides."""
    seal: Seal
    waves: Waves | None
    porosity_m3ps_pa: float
    established: bool = False
    """Has there been a vacuum yet?"""
    violated_s: float = 0.0
    wrench: Array = field(default_factory=lambda: np.zeros(6))
    """(6,) what the item pulls with, in the lip's axes."""
    use: tuple[float, float] = (0.0, 0.0)
    """Share of the peel and slip limits."""
    slid_m: float = 0.0
    """How far the lip has slid: in all, since the seal was measured, and since it last stuck."""
    unmeasured_m: float = 0.0
    in_one_go_m: float = 0.0
    peak_pa: float = 0.0
    _others: _OtherForces | None = None

    def __post_init__(self) -> None:
        self.formed = self.seal
        """The seal as it was before the lip slid."""

    @property
    def body(self) -> int:
        return self.part.body

    def pull(self, cup: Cup, lip: LipState, vacuum_pa: float, slide_mobility: float, step_s: float) -> Pull:
        """The spring's force for the next step. ``slide_mobility``: 1/kg of the cup itself along its axis."""
        X_world_part, linear, angular = self.part.state()
        grip_n = vacuum_pa * cup.area_m2
        if self.use[1] > 1.0:
            self._slide(cup, lip.X_world_lip, X_world_part, grip_n)
        X_world_anchor = X_world_part @ self.X_part_anchor
        point, R = X_world_anchor[:3, 3], lip.X_world_lip[:3, :3]
        lip_linear = lip.linear + cross(lip.angular, point - lip.centre)
        part_linear = linear + cross(angular, point - X_world_part[:3, 3])
        velocity = np.concatenate([R.T @ (part_linear - lip_linear), R.T @ (angular - lip.angular)])
        mobility = self.part.mobility(R, point, X_world_part)
        mobility[2, 2] += slide_mobility
        others, lasting = np.zeros(6), np.zeros(6)
        if self._others is not None:
            others = self._others.velocity_change(velocity, step_s * np.diag(mobility) * OTHERS_LASTING)
            lasting = self._others.lasting
        stretch = _displacement(inverse(lip.X_world_lip) @ X_world_anchor)
        force, slip_use = sliding_spring(cup, stretch, velocity + others, mobility, step_s, grip_n)
        self._others = _OtherForces(velocity, step_s * mobility @ force, lasting)
        self.wrench = -force
        self.use = (hold_use(self.wrench, vacuum_pa, cup)[0], slip_use)
        return Pull(force, point)

    def _slide(self, cup: Cup, X_world_lip: Pose, X_world_part: Pose, grip_n: float) -> None:
        """Let the lip hold the item where it has slid to."""
        X_lip_anchor = inverse(X_world_lip) @ X_world_part @ self.X_part_anchor
        slid = slid_by(cup, _displacement(X_lip_anchor), grip_n - self.wrench[2])
        if not slid.any():
            return
        # Back to the part by way of the world: an error of the anchor's rotation is carried along, not multiplied.
        X_lip_new = make_pose((-slid[0], -slid[1], 0.0), (0.0, 0.0, -slid[2])) @ X_lip_anchor
        self.X_part_anchor = inverse(X_world_part) @ X_world_lip @ X_lip_new
        distance = float(np.hypot(np.hypot(slid[0], slid[1]), cup.radius_m * slid[2]))
        self.slid_m += distance
        self.unmeasured_m += distance
        self.in_one_go_m += distance

    def is_lost(self, cup: Cup, step_s: float, venting: bool) -> bool:
        """Count this step's violations. Has a limit been violated for too long, and by a slip, too far?

        A sliding lip keeps its vacuum for some millimetres; one that is ``venting`` does not.
        """
        peels, slips = self.use[0] > 1.0, self.use[1] > 1.0
        self.violated_s = self.violated_s + step_s if peels or slips else 0.0
        self.in_one_go_m = self.in_one_go_m if slips else 0.0
        rolled_over = self.in_one_go_m > SLIP_LOSS_CONFORMITIES * cup.conformity_m
        return self.violated_s >= BREAK_S and (peels or venting or rolled_over)

    def tight_use(self, cup: Cup, vacuum_pa: float, tight_pa: float) -> float:
        """Share of the nearer limit that the present load would take up at ``tight_pa`` instead of ``vacuum_pa``."""
        grip_n, tight_n = vacuum_pa * cup.area_m2, tight_pa * cup.area_m2
        peel = self.use[0] * grip_n / tight_n
        slip = self.use[1] * max(grip_n - self.wrench[2], 0.0) / max(tight_n - self.wrench[2], 1e-9)
        return max(peel, slip)


def _displacement(X_lip_anchor: Pose) -> Array:
    """(6,) translation (m) and rotation vector (rad) of the anchor from the lip."""
    return np.concatenate([X_lip_anchor[:3, 3], rotation_vector(X_lip_anchor[:3, :3])])
