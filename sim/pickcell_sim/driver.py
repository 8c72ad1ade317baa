"""The simulated cell as its drivers show it: arm, jaw, vacuum, sensors and cameras; nothing that only physics knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.values import JawState, JointState, JointTrajectory, RgbdFrame, RobotReading, Wrench
from pickcell_sim.hand.cup import SuctionCup
from pickcell_sim.hand.jaw import Jaw
from pickcell_sim.hand.suction import AMBIENT_PA
from pickcell_sim.robot.arm import ArmController, ArmStatus
from pickcell_sim.robot.wrench import WristSensor
from pickcell_sim.vision.cameras import SimCameras
from pickcell_sim.world import SimWorld

CUP_CLEARANCE_M = 0.004
"""The jaw stays this much wider than the cup while the cup is out between the pads."""
ENCODER_NOISE_RAD = 1e-5


class HandBusyError(ValueError):
    """A command that would make the hand let go of what it holds; the message says what to do first."""


class SimDriver:
    """All drivers of one simulated cell, in lock-step with its physics. Everything follows from the world's seed."""

    def __init__(self, world: SimWorld, cameras: SimCameras | None = None) -> None:
        self.world = world
        self.cameras = cameras
        streams = np.random.SeedSequence([world.seed, 0xD01]).spawn(4)
        jaw_rng, cup_rng, wrist_rng, self._rng = (np.random.default_rng(s) for s in streams)
        # The devices themselves are for tests and the scorer; nodes and ports use the methods below.
        self.arm = ArmController(world.robot, world.clock)
        self.jaw = Jaw(world.robot, world.clock, jaw_rng)
        self.cup = SuctionCup(world, cup_rng)
        self._wrist = WristSensor(world.robot, world.clock, wrist_rng)
        world.before_step += [self.arm.control, self.jaw.control, self.cup.control]
        world.after_step += [self.arm.observe, self.jaw.observe, self.cup.observe, self._wrist.observe]
        hand = world.cell.hand
        self._joint_names = (*world.cell.arm.joints, *hand.jaw_joints, hand.cup_joint)
        self._owed_s = 0.0

    @staticmethod
    def create(
        cell: CellConfig, seed: int = 0, *, cameras: bool = True, window: bool = False, camera_seed: int | None = None
    ) -> SimDriver:
        """A world of its own with the cell's furniture and robot, and cameras and a window if wanted. Close it when done.

        ``camera_seed``: for where the cameras truly stand and for their noise, ``seed`` unless given.
        """
        world = SimWorld(cell, seed, window=window)
        # Beside the window's own OpenGL context EGL is not tried: the cameras then use the slow software renderer.
        return SimDriver(world, SimCameras(world, cell, seed if camera_seed is None else camera_seed) if cameras else None)

    def close(self) -> None:
        """End the simulation; calling twice does no harm."""
        self.world.close()

    @property
    def cell(self) -> CellConfig:
        return self.world.cell

    # -- time --------------------------------------------------------------------------------------------------------
    @property
    def now_s(self) -> float:
        """Cell time."""
        return self.world.time_s

    def step(self, n: int = 1) -> None:
        """Advance by ``n`` physics steps."""
        self.world.step(n)

    def advance(self, duration_s: float) -> None:
        """Let cell time pass in whole steps; the remainder is kept for the next call, so that no time is lost."""
        if not np.isfinite(duration_s) or duration_s < 0:
            raise ValueError(f"time can advance by a duration >= 0 only, got {duration_s}")
        self._owed_s += duration_s
        steps = int(self._owed_s / self.world.clock.nominal_s + 1e-9)
        self._owed_s -= steps * self.world.clock.nominal_s
        self.world.step(steps)

    # -- arm ---------------------------------------------------------------------------------------------------------
    def joint_states(self) -> JointState:
        """Arm joints, jaw joints and cup slide, in this order, with encoder noise on the arm's positions."""
        robot, arm = self.world.robot, self.arm
        hand = self._joint_names[len(arm.names) :]
        noise = self._rng.normal(0.0, ENCODER_NOISE_RAD, len(arm.names))
        return JointState(
            self.now_s,
            self._joint_names,
            np.concatenate([arm.position + noise, robot.positions(hand)]),
            np.concatenate([arm.velocity, robot.velocities(hand)]),
            np.concatenate([arm.effort, robot.efforts(hand)]),
        )

    @property
    def arm_setpoint(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position and velocity (n,) that the arm's controller commands now."""
        return self.arm.desired.copy(), self.arm.desired_velocity.copy()

    def follow(self, trajectory: JointTrajectory, elapsed_s: float = 0.0) -> int:
        """Give the arm a goal, replacing a running one; returns its number. Raises GoalRejectedError saying why not."""
        return self.arm.follow(trajectory, elapsed_s)

    @property
    def arm_status(self) -> ArmStatus:
        """What has become of the newest goal."""
        return self.arm.status

    def stop(self) -> None:
        """Controlled stop of the arm, along its path."""
        self.arm.stop()

    @property
    def estop(self) -> bool:
        return self.arm.estop

    def set_estop(self, pressed: bool) -> None:
        """Press or release the emergency stop. The hand keeps holding: dropping an item is not safer."""
        self.arm.set_estop(pressed)

    @property
    def protective_stop(self) -> bool:
        return self.arm.protective_stop

    def clear_protective_stop(self) -> None:
        """A person has looked: the arm accepts goals again."""
        self.arm.clear_protective_stop()

    # -- hand --------------------------------------------------------------------------------------------------------
    def move_jaw(self, width_m: float, force_n: float) -> None:
        """Move the jaw; while the cup is out between the pads it stays wider than the cup."""
        least = self._least_width_m if self.cup.on else 0.0
        self.jaw.move(max(width_m, least), force_n)

    def jaw_state(self) -> JawState:
        return self.jaw.state(self.now_s)

    @property
    def vacuum_on(self) -> bool:
        return self.cup.on

    def set_vacuum(self, on: bool) -> None:
        """Switch the vacuum; the cup's slide extends with it and retracts after it. The jaw makes way for the cup.

        Raises HandBusyError when the jaw would have to let go of something.
        """
        if on and self.jaw.command.width_m < self._least_width_m:
            if self.jaw.stalled and self.jaw.width_m < self._least_width_m:
                raise HandBusyError("the jaw holds something narrower than the cup: open the jaw first")
            self.jaw.move(self._least_width_m, self.jaw.force_max_n)
        self.cup.set_vacuum(on)

    def regulate_vacuum(self, most_pa: float) -> None:
        """Let no more than this vacuum (Pa below ambient) build up under the cup. Raises ValueError for what is not > 0."""
        if not most_pa > 0.0:
            raise ValueError(f"the vacuum can be regulated to values > 0, got {most_pa} Pa")
        self.cup.most_pa = most_pa

    @property
    def _least_width_m(self) -> float:
        return 2 * self.cup.cup.radius_m + CUP_CLEARANCE_M

    def pressure_pa(self) -> float:
        """One reading of the absolute pressure in the cup's line."""
        return self.cup.pressure_pa

    # -- sensors -----------------------------------------------------------------------------------------------------
    def wrench(self) -> Wrench:
        """One reading of the wrist sensor."""
        return self._wrist.state(self.now_s)

    def reading(self) -> RobotReading:
        """All of the robot's sensors at once."""
        return RobotReading(
            joints=self.joint_states(),
            jaw=self.jaw_state(),
            wrench=self.wrench(),
            pressure_pa=self.pressure_pa(),
            ambient_pa=AMBIENT_PA,
            vacuum_on=self.vacuum_on,
            estop=self.estop,
            protective_stop=self.protective_stop,
        )

    def capture(self, camera: str) -> RgbdFrame | None:
        """One frame of a camera now; None when it stays silent. RuntimeError in a world set up without cameras."""
        if self.cameras is None:
            raise RuntimeError("this world was set up without cameras: SimDriver.create(cell, seed, cameras=True)")
        return self.cameras.capture(camera)
