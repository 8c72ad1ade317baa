"""Runs the project's YAML launch files where ``ros2 launch`` is not installed.

A launch file is resolved as launch and launch_ros (Jazzy) would, for the subset of actions the project uses;
anything outside it is refused with file and line rather than ignored. Then one process per node is started, each
in a process group of its own, and watched. No ROS library is imported here.

    python -m pickcell_bringup.launch_runner launch/pick.launch.yaml headless:=true
"""
