"""pickcell: the ROS-free core of a picking cell. Arrays and values in, values out."""

__version__ = "0.1.0"
