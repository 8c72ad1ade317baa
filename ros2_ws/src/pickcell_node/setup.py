"""What every stage node shares: parameters, heartbeat, service guard, main loop."""

from setuptools import find_packages, setup

NAME = "pickcell_node"

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
    description="What every stage node shares: parameters, heartbeat, service guard, main loop.",
    license="Apache-2.0",
)
