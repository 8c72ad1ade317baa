"""Lets the contract suites use the helpers of the unit and node tests."""

import sys
from pathlib import Path

for folder in ("unit", "nodes"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
