"""Node ``motion_planner``: collision-checked, timed motions from where the arm is."""
