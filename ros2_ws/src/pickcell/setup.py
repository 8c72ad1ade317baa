"""Shows the code, which lives outside the workspace (the folder pickcell here is a link), to colcon."""

from setuptools import find_packages, setup

NAME = "pickcell"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.json", "*.yaml", "*.npz"], "pickcell.task": ["templates/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="ROS-free core library of the picking cell: values in, values out.",
    license="Apache-2.0",
)
