"""Installs launch files, configuration and trained networks (the folders here are links to the project's)."""

import os

from setuptools import find_packages, setup

NAME = "pickcell_bringup"


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
        *tree("launch"),
        *tree("config"),
        *tree("models"),
    ],
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Launch files and configuration of the cell.",
    license="Apache-2.0",
)
