"""Everything around the code: environment, build, health check, start and stop.

Standard library only, and older Pythons than the project's own are welcome: these modules run under the
system's ``python3`` before the virtual environment exists (``PYTHONPATH=src python3 -m pickcell.setup ...``).
The user's door to it is the ``cell`` script at the repository's root.
"""
