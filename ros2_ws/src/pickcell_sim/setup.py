"""Shows the code, which lives outside the workspace (the folder pickcell_sim here is a link), to colcon."""

from setuptools import find_packages, setup

NAME = "pickcell_sim"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.json", "*.yaml", "*.html", "*.npz", "*.css", "*.js"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="PyBullet picking cell: world, items, cup and finger physics, cameras, scorer and benchmarks.",
    license="Apache-2.0",
)
