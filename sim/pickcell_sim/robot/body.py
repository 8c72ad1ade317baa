"""The robot as a PyBullet body: loaded from the expanded description, joints and links found by name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.geometry import Pose, pose_from_quat_xyzw

JointRecord = tuple[float, float, tuple[float, ...], float]
"""Position, velocity, reaction (6,) and motor effort of a joint."""


class RobotBody:
    """Arm and hand in the physics world, base fixed at the cell's ``base_position``, standing at home."""

    def __init__(self, cell: CellConfig, client: int, drawn: bool = True) -> None:
        """``drawn``: this client shows the robot; False leaves its looks to another one."""
        self.cell = cell
        self.client = client
        self.urdf = expand_urdf(cell)
        self.body = self._load(self.urdf, drawn)
        self.joints: dict[str, int] = {}
        """Index of every movable joint by name."""
        self.links: dict[str, int] = {"base_link": -1}
        """Index of every link by name."""
        self.lower: dict[str, float] = {}
        self.upper: dict[str, float] = {}
        self.velocity_max: dict[str, float] = {}
        self.effort_max: dict[str, float] = {}
        for i in range(p.getNumJoints(self.body, physicsClientId=client)):
            info = p.getJointInfo(self.body, i, physicsClientId=client)
            joint, link = info[1].decode(), info[12].decode()
            self.links[link] = i
            if info[2] != p.JOINT_FIXED:
                self.joints[joint] = i
                self.lower[joint], self.upper[joint], self.effort_max[joint], self.velocity_max[joint] = info[8:12]
        self._movable = sorted(self.joints.values())
        self._place = {index: k for k, index in enumerate(self._movable)}
        self._read = list(self._movable)
        self._states: dict[int, JointRecord] | None = None
        self._in_step = False
        self._quieten()
        for name, value in zip(cell.arm.joints, cell.arm.home):
            p.resetJointState(self.body, self.joints[name], value, physicsClientId=client)

    def _load(self, urdf: str, drawn: bool) -> int:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "robot.urdf"
            path.write_text(urdf)
            # Inertias as written: without the flag PyBullet recomputes them from the collision shapes.
            return int(
                p.loadURDF(
                    str(path),
                    basePosition=self.cell.base_position,
                    useFixedBase=True,
                    flags=p.URDF_USE_INERTIA_FROM_FILE | (0 if drawn else p.URDF_IGNORE_VISUAL_SHAPES),
                    physicsClientId=self.client,
                )
            )

    def _quieten(self) -> None:
        """Switch PyBullet's default velocity motors off, and remove the damping it adds to every body."""
        for link in range(-1, p.getNumJoints(self.body, physicsClientId=self.client)):
            p.changeDynamics(
                self.body, link, linearDamping=0.0, angularDamping=0.0, jointDamping=0.0, physicsClientId=self.client
            )
        for index in self.joints.values():
            p.setJointMotorControl2(self.body, index, p.VELOCITY_CONTROL, force=0.0, physicsClientId=self.client)

    def link(self, name: str) -> int:
        """PyBullet index of a link. Raises KeyError listing the links there are."""
        if name not in self.links:
            raise KeyError(f"no link '{name}'; the robot has {sorted(self.links)}")
        return self.links[name]

    def X_world_link(self, name: str) -> Pose:
        """Pose of a link's URDF frame in the world (not of its centre of mass, which PyBullet's index 0 and 1 give)."""
        index = self.link(name)
        if index == -1:
            return self.cell.X_world_base
        state = p.getLinkState(self.body, index, computeForwardKinematics=True, physicsClientId=self.client)
        return pose_from_quat_xyzw(state[4], state[5])

    # -- joints ------------------------------------------------------------------------------------------------------
    def begin_phase(self) -> None:
        """Controllers, or observers, of a step are about to run: they share one reading of the joints."""
        self._states, self._in_step = None, True

    def watch(self, index: int) -> None:
        """Also read a fixed joint, whose reaction somebody wants."""
        if index not in self._read:
            self._read.append(index)

    def end_step(self) -> None:
        """From now on each reading is made anew: between steps, anybody may move the joints."""
        self._states, self._in_step = None, False

    @property
    def states(self) -> dict[int, JointRecord]:
        """The movable and the watched joints by PyBullet's index, read once per phase of a step."""
        states = self._states
        if states is None:
            states = dict(zip(self._read, p.getJointStates(self.body, self._read, physicsClientId=self.client)))
            if self._in_step:
                self._states = states
        return states

    def positions(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        states = p.getJointStates(self.body, [self.joints[n] for n in names], physicsClientId=self.client)
        return np.array([s[0] for s in states])

    def velocities(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        states = p.getJointStates(self.body, [self.joints[n] for n in names], physicsClientId=self.client)
        return np.array([s[1] for s in states])

    def efforts(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Force (N) or torque (Nm) of the motors in the last step."""
        states = p.getJointStates(self.body, [self.joints[n] for n in names], physicsClientId=self.client)
        return np.array([s[3] for s in states])

    def inverse_dynamics(
        self,
        indices: list[int],
        position: NDArray[np.float64],
        velocity: NDArray[np.float64],
        acceleration: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Torques (Nm) that move these joints as given against gravity, with all other joints where they stand.

        ``indices``: PyBullet's, of movable joints; position, velocity and acceleration (n,) of these.
        """
        states = self.states
        q = [states[i][0] for i in self._movable]
        qd, qdd = [0.0] * len(q), [0.0] * len(q)
        places = [self._place[i] for i in indices]
        for k, place in enumerate(places):
            q[place], qd[place], qdd[place] = float(position[k]), float(velocity[k]), float(acceleration[k])
        torques = p.calculateInverseDynamics(self.body, q, qd, qdd, physicsClientId=self.client)
        return np.array([torques[place] for place in places])
