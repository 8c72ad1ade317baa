"""The operator's command line: pick, order, status, cancel, pause, resume, reset, explain, report."""

from setuptools import find_packages, setup

NAME = "pickcell_cli"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": [f"pickcell = {NAME}.cli:main"]},
    zip_safe=False,
    maintainer="pickcell developers",
    maintainer_email="pickcell@example.org",
    description="The operator's command line: pick, order, status, cancel, pause, resume, reset, explain, report.",
    license="Apache-2.0",
)
