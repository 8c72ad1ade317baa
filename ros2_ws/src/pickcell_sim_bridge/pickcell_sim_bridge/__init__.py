"""The simulator behind the driver-level ROS interfaces: to the rest of the cell it is just another set of drivers."""
