"""Ports of the core over the driver-level ROS interfaces. A library: the nodes of task, motion and perception use it.

Every class is constructed with an rclpy node that some executor spins elsewhere. Blocking calls are made from a worker
thread, never from a callback of that executor: nothing here spins.
"""
