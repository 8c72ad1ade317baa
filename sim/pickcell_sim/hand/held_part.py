"""One link of a body in the physics world as a spring at a point of it sees it: pose, velocity, and exact mobility.

The mobility (velocity change per impulse) of a link with joints is that of the whole tree, free base and free joints: what
the tree's mass matrix gives. Limits and friction of the joints are not in it; the holder observes what they do.
"""

from __future__ import annotations

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell_sim.hand.suction import mobility_at
from pickcell_sim.quick_pose import pose_of, poses_of

Array = NDArray[np.float64]

_AXES = {p.JOINT_REVOLUTE: 1, p.JOINT_PRISMATIC: 1, p.JOINT_SPHERICAL: 3, p.JOINT_FIXED: 0}
LEAST_INERTIA = 1e-9


class HeldPart:
    """A link of a PyBullet body; link -1 is the base. Masses and joints are read once, when it is made.

    Raises ValueError naming the body's joint that is of another type than revolute, prismatic, spherical or fixed.
    """

    def __init__(self, client: int, body: int, link: int) -> None:
        self.client = client
        self.body = body
        self.link = link
        infos = [p.getDynamicsInfo(body, i, physicsClientId=client) for i in range(-1, self._count())]
        self._masses = np.array([info[0] for info in infos])
        self._inertias = np.array([info[2] for info in infos])
        self.mass_kg = float(self._masses[link + 1])
        self._fixed = float(self._masses[0]) == 0.0
        """A body whose base has no mass stands still: furniture."""
        self._read_joints()
        self.jointed = bool(len(self._kinds))
        """Does it have joints that move? Without, it is rigid as a whole."""
        if not self.jointed:
            self._rigid()

    def _count(self) -> int:
        return int(p.getNumJoints(self.body, physicsClientId=self.client))

    def _read_joints(self) -> None:
        """One entry per joint axis: its link, kind and direction in the link's frame; and which axes move which link."""
        joints, kinds, axes = [], [], []
        self._carries = np.zeros((len(self._masses), 0), dtype=bool)
        """(links + 1, axes) does the axis lie between the base and the link?"""
        for i in range(self._count()):
            info = p.getJointInfo(self.body, i, physicsClientId=self.client)
            kind, parent = info[2], info[16]
            if kind not in _AXES:
                raise ValueError(f"the cup cannot hold a body with joint '{info[1].decode()}' of PyBullet's type {kind}")
            row = self._carries[parent + 1].copy()
            self._carries[i + 1] = row
            for k in range(_AXES[kind]):
                joints.append(i)
                kinds.append(kind)
                axes.append(np.eye(3)[k] if kind == p.JOINT_SPHERICAL else np.array(info[13]))
                column = np.zeros((len(self._masses), 1), dtype=bool)
                column[i + 1] = True
                self._carries = np.hstack([self._carries, column])
        self._joints = np.array(joints, dtype=int)
        self._kinds = np.array(kinds, dtype=int)
        self._axes = np.array(axes).reshape(-1, 3)

    def _rigid(self) -> None:
        """Lump what fixed joints hold together: a body without joints costs no more than one link."""
        if len(self._masses) > 1 and not self._fixed:
            poses, _ = self._link_states()
            centre = self._masses @ poses[:, :3, 3] / self._masses.sum()
            arms = poses[:, :3, 3] - centre
            turned = np.einsum("nij,nj,nkj->ik", poses[:, :3, :3], self._inertias, poses[:, :3, :3])
            inertia = turned + np.einsum("n,nij->ij", self._masses, _about_centre(arms))
            X_part = poses[self.link + 1]
            self._offset = X_part[:3, :3].T @ (centre - X_part[:3, 3])
            inertia = X_part[:3, :3].T @ inertia @ X_part[:3, :3]
        else:
            self._offset = np.zeros(3)
            inertia = np.diag(np.maximum(self._inertias[self.link + 1], LEAST_INERTIA))
        self._inverse_mass = 0.0 if self._fixed else 1.0 / float(self._masses.sum())
        self._inverse_inertia = np.zeros((3, 3)) if self._fixed else np.linalg.inv(inertia)

    # -- state -------------------------------------------------------------------------------------------------------
    def state(self) -> tuple[Pose, Array, Array]:
        """Pose of the link's inertial frame in the world, and its linear (at that origin) and angular velocity."""
        if self.link == -1:
            where = p.getBasePositionAndOrientation(self.body, physicsClientId=self.client)
            linear, angular = p.getBaseVelocity(self.body, physicsClientId=self.client)
            return pose_of(*where), np.array(linear), np.array(angular)
        s = p.getLinkState(
            self.body, self.link, computeLinkVelocity=True, computeForwardKinematics=True, physicsClientId=self.client
        )
        return pose_of(s[0], s[1]), np.array(s[6]), np.array(s[7])

    def X_world_base(self) -> Pose:
        """Pose of the base's inertial frame: the item's own frame."""
        return pose_of(*p.getBasePositionAndOrientation(self.body, physicsClientId=self.client))

    def _link_states(self) -> tuple[Array, Array]:
        """(links + 1, 4, 4) inertial frames in the world, the base's first, and (links, 4, 4) the links' joint frames."""
        base = self.X_world_base()
        count = len(self._masses) - 1
        if not count:
            return base[None], np.zeros((0, 4, 4))
        states = p.getLinkStates(self.body, list(range(count)), computeForwardKinematics=True, physicsClientId=self.client)
        table = np.array([(*s[0], *s[1], *s[4], *s[5]) for s in states])
        inertial = poses_of(table[:, :3], table[:, 3:7])
        return np.concatenate([base[None], inertial]), poses_of(table[:, 7:10], table[:, 10:])

    # -- mobility ----------------------------------------------------------------------------------------------------
    def mobility(self, R_world_lip: Array, point: Array, X_world_part: Pose) -> Array:
        """(6, 6) velocity change of ``point`` (3,) (world, moving with the link) per impulse there, in the lip's axes.

        Linear part first. Joints count as free. ``X_world_part``: the pose that :meth:`state` gave.
        """
        if self.jointed:
            W = self._tree_mobility(point)
            turn = np.zeros((6, 6))
            turn[:3, :3] = turn[3:, 3:] = R_world_lip
            return np.asarray(turn.T @ W @ turn)
        R = R_world_lip.T @ X_world_part[:3, :3]
        arm = R_world_lip.T @ (point - X_world_part[:3, 3]) - R @ self._offset
        return mobility_at(self._inverse_mass, R @ self._inverse_inertia @ R.T, arm)

    def _tree_mobility(self, point: Array) -> Array:
        """(6, 6) J M^-1 J^T in world axes, from the tree's mass matrix M over base twist and joint rates."""
        poses, frames = self._link_states()
        origins = frames[self._joints, :3, 3]
        axes = np.einsum("nij,nj->ni", frames[self._joints, :3, :3], self._axes)
        points = np.vstack([poses[:, :3, 3], point])
        J = self._jacobians(points, np.append(np.arange(len(poses)), self.link + 1), poses[0, :3, 3], origins, axes)
        inertias = np.einsum(
            "nij,nj,nkj->nik", poses[:, :3, :3], np.maximum(self._inertias, LEAST_INERTIA), poses[:, :3, :3]
        )
        moved, turned = J[:-1, :3], J[:-1, 3:]
        M = np.einsum("n,nia,nib->ab", self._masses, moved, moved) + np.einsum("nia,nij,njb->ab", turned, inertias, turned)
        return np.asarray(J[-1] @ np.linalg.solve(M, J[-1].T))

    def _jacobians(self, points: Array, links: NDArray[np.int_], base: Array, origins: Array, axes: Array) -> Array:
        """(N, 6, 6 + axes) twist (linear first) of points that move with links (0: base) per base twist and joint rate."""
        turning = self._kinds != p.JOINT_PRISMATIC
        angular = np.where(turning[:, None], axes, 0.0)
        lever = points[:, None, :] - origins[None, :, :]
        linear = np.where(turning[:, None], np.einsum("aij,naj->nai", _cross(axes), lever), axes[None])
        carried = self._carries[links][:, :, None]
        joint = np.concatenate([linear * carried, np.broadcast_to(angular, linear.shape) * carried], axis=2)
        if self._fixed:
            return np.asarray(joint.transpose(0, 2, 1))
        J = np.zeros((len(points), 6, 6 + len(axes)))
        J[:, :3, :3] = J[:, 3:, 3:6] = np.eye(3)
        J[:, :3, 3:6] = -_cross(points - base)
        J[:, :, 6:] = joint.transpose(0, 2, 1)
        return J


def _cross(v: Array) -> Array:
    """(N, 3, 3) matrices of the cross product with (N, 3) from the left."""
    C = np.zeros((len(v), 3, 3))
    C[:, 0, 1], C[:, 0, 2], C[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return C - C.transpose(0, 2, 1)


def _about_centre(arms: Array) -> Array:
    """(N, 3, 3) inertia per mass of points at (N, 3)."""
    return np.sum(arms**2, axis=1)[:, None, None] * np.eye(3) - arms[:, :, None] * arms[:, None, :]
