"""Ports of the core over the driver-level ROS interfaces: a library for the nodes that move the cell or look at it."""

from setuptools import find_packages, setup

NAME = "pickcell_drivers"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Ports of the core over the driver-level ROS interfaces.",
    license="Apache-2.0",
)
