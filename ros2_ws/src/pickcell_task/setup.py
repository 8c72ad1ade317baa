"""Node pick_task: runs picks and orders, and answers operators."""

from setuptools import find_packages, setup

NAME = "pickcell_task"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"pick_task = {NAME}.pick_task:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Node pick_task: runs picks and orders, and answers operators.",
    license="Apache-2.0",
)
