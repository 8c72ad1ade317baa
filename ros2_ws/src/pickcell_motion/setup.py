"""Node motion_planner: collision-checked, timed motions."""

from setuptools import find_packages, setup

NAME = "pickcell_motion"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"motion_planner = {NAME}.motion_planner:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Node motion_planner: collision-checked, timed motions.",
    license="Apache-2.0",
)
