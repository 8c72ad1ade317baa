"""The simulator behind the driver-level ROS interfaces."""

from setuptools import find_packages, setup

NAME = "pickcell_sim_bridge"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"sim = {NAME}.sim:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="The simulator behind the driver-level ROS interfaces.",
    license="Apache-2.0",
)
