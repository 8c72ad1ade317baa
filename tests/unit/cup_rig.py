"""What the cup's tests share: hands with other cups, blocks pressed on, and loads that grow until the cup lets go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pybullet as p
from sim_rig import add_block, cell_named

from pickcell_sim.driver import SimDriver
from pickcell_sim.hand.suction import Pump

OVERTRAVEL_M = 0.005


@contextmanager
def fitted(cup: str = "30mm", source: str = "ejector", vacuum_pa: float | None = None, seed: int = 0) -> Iterator[SimDriver]:
    """A cell without cameras whose hand has this cup; ``vacuum_pa``: instead of what the source reaches with no gap."""
    cell = cell_named("panda")
    driver = SimDriver.create(cell.model_copy(update={"hand": cell.hand.fitted(cup, source)}), seed, cameras=False)
    if vacuum_pa is not None:
        driver.cup.pump = Pump(vacuum_pa=vacuum_pa)
    try:
        driver.step(24)
        yield driver
    finally:
        driver.close()


def lip_extended(driver: SimDriver) -> np.ndarray:
    """Where the lip comes to stand with the slide out, minus the overtravel: the height of a surface to be pressed on."""
    lip = driver.world.X_world_link("tcp_suction")[:3, 3]
    return lip - [0, 0, driver.cell.hand.cup_stroke_m - OVERTRAVEL_M]


def pedestal(driver: SimDriver, top: float) -> int:
    x, y, _ = lip_extended(driver)
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.04, 0.04, top / 2], physicsClientId=driver.world.client)
    return int(p.createMultiBody(0, shape, -1, [x, y, top / 2], physicsClientId=driver.world.client))


def seal_on_block(
    driver: SimDriver, size: tuple[float, float, float], mass: float, offset: float = 0.0, cylinder: bool = False
) -> tuple[int, int]:
    """Press the cup on a block on a pedestal for 0.6 s; (block, pedestal). ``offset``: of the block's centre along x."""
    x, y, z = lip_extended(driver)
    stand = pedestal(driver, z - size[2])
    block = add_block(driver.world, size, mass, (x + offset, y, z - size[2] / 2), cylinder=cylinder)
    driver.set_vacuum(True)
    driver.advance(0.6)
    return block, stand


def remove(driver: SimDriver, body: int) -> None:
    p.removeBody(body, physicsClientId=driver.world.client)


def hang_block(driver: SimDriver, size: tuple[float, float, float], mass: float, offset: float = 0.0) -> int:
    """A block that hangs on the cup, at rest."""
    block, stand = seal_on_block(driver, size, mass, offset)
    assert driver.cup.held_body == block
    remove(driver, stand)
    driver.advance(0.5)
    return block


Load = Callable[[float], tuple[np.ndarray, np.ndarray]]
"""Force (3,) and torque (3,) about the centre of the lip that a magnitude stands for, world axes."""


def load_until_it_breaks(driver: SimDriver, block: int, load: Load, expected: float) -> tuple[float, float]:
    """Load a held block at the lip, quickly to 90 % of ``expected``, then slowly.

    Returns the magnitudes at which the lip began to slide (that of the end when it never did) and at which it let go.
    """
    client, step_s = driver.world.client, driver.world.step_s
    magnitude, slides_at = 0.0, None
    while driver.cup.held_body is not None:
        magnitude += step_s * (3.0 if magnitude < 0.9 * expected else 0.15) * expected
        assert magnitude < 1.2 * expected, "the cup bears much more than it should"
        force, torque = load(magnitude)
        lip = driver.world.X_world_link("cup_link")[:3, 3]
        p.applyExternalForce(block, -1, force.tolist(), lip.tolist(), p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(block, -1, torque.tolist(), p.WORLD_FRAME, physicsClientId=client)
        driver.step()
        if slides_at is None and driver.cup.slid_m:
            slides_at = magnitude
    return slides_at or magnitude, magnitude
