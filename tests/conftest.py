"""Property tests draw the same examples on every run, so that one commit has one verdict.

To search with new examples: ``./cell run python -m pytest tests/unit --hypothesis-profile=search``.
"""

from hypothesis import settings

# No deadlines: how long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("repeatable")
