"""Property tests draw the same examples on every run, so that one commit has one verdict.

To search with new examples: ``./cell run python -m pytest tests/unit --hypothesis-profile=search``.
"""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile("repeatable")
