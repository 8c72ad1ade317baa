"""The simulated cell: physics, robot, items and cameras behind the same interfaces as real drivers."""
