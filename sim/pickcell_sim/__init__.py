"""The simulated cell: physics, robot, items and cameras behind the same interfaces as real drivers."""

from pickcell_sim.quiet import quiet_output

with quiet_output():  # PyBullet says when it was built, once per process
    import pybullet as _pybullet  # noqa: F401
