"""Node grasp_selector: ranks the grasps on one instance of a scene."""

from setuptools import find_packages, setup

NAME = "pickcell_grasping"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"grasp_selector = {NAME}.grasp_selector:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Node grasp_selector: ranks the grasps on one instance of a scene.",
    license="Apache-2.0",
)
