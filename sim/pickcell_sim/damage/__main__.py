"""Print the limits of damage as the table of docs/damage.md: ``python -m pickcell_sim.damage [FILE]``."""

from __future__ import annotations

import sys

from pickcell_sim.damage.limits import DamageLimitsError, load_damage_limits
from pickcell_sim.damage.table import limits_table


def main(arguments: list[str]) -> int:
    """0, or 2 with a message for a file that cannot be used."""
    try:
        print(limits_table(load_damage_limits(*arguments[:1])))
    except DamageLimitsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
