"""``python -m pickcell_cli``."""

from pickcell_cli.cli import main

if __name__ == "__main__":
    main()
