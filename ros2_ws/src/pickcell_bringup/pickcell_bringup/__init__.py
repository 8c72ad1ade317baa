"""Starts the cell: launch files, configuration, and a small launch runner for machines without ros2 launch."""
