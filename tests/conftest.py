"""Property tests draw the same examples on every run, so that one commit has one verdict.

To search with new examples: ``./cell run python -m pytest tests/unit --hypothesis-profile=search``.
"""

from pathlib import Path

from hypothesis import settings

from pickcell.setup.layout import Layout
from pickcell.setup.warm_up import forget_stale_kernels

# A kernel that calls one of another file, which has changed since, would be tested with the old one.
forget_stale_kernels(Layout(Path(__file__).resolve().parents[1]))

# No deadlines: how long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("repeatable")
