"""Installs the xacro files (the folder urdf here is a link to the project's) and the node that publishes transforms."""

import os

from setuptools import find_packages, setup

NAME = "pickcell_description"


def tree(folder):
    """(destination, files) of every folder below ``folder``; os.walk with relative paths works through a link."""
    return [
        (f"share/{NAME}/{current}", [os.path.join(current, f) for f in sorted(files)])
        for current, _, files in os.walk(folder)
        if files
    ]


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *tree("urdf"),
    ],
    entry_points={"console_scripts": [f"robot_state = {NAME}.robot_state:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Robot description (xacro) and the node that publishes the robot's transforms.",
    license="Apache-2.0",
)
