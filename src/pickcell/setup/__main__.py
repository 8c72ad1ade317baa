"""Entry of ``python3 -m pickcell.setup``."""

import sys

from pickcell.setup.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
