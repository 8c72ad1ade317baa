"""Node scene: camera images in, scenes out."""

from setuptools import find_packages, setup

NAME = "pickcell_perception"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"scene = {NAME}.scene:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="Node scene: camera images in, scenes out.",
    license="Apache-2.0",
)
