"""Products that behave as nothing about them promises: how likely one is contrary to a tool, from its outcomes.

Offsets of log-odds that are drawn from a bell curve take dozens of failures to learn that a slippery film cannot be pinched
at all, because no product was so far off in training. So a second explanation stands beside them, as in models with heavy
tails (Box and Tiao, Biometrika 55, 1968): one product in a hundred fails with a tool mostly, whatever its grasps look like.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

PRIOR = 0.01
"""Share of products that are contrary to a tool (assumed)."""
SUCCESS = 0.15
"""Of tries of a contrary product (assumed): what can be taken in no other way is still tried now and then."""
TRUST = 0.95
"""No chance foreseen is believed to be surer than that when it is weighed against this explanation."""


def after(contrary: float, foreseen: float, success: bool, drift: float) -> float:
    """Chance that a product is contrary, after an outcome whose chance of success was ``foreseen`` (0..1) if it is not.

    ``drift``: share by which the chance goes back to PRIOR first: a packaging may have changed."""
    before = (1.0 - drift) * contrary + drift * PRIOR
    p = float(np.clip(foreseen, 1.0 - TRUST, TRUST))
    if p <= SUCCESS:  # a failure that was to be expected anyhow
        return before
    like_contrary, like_foreseen = (SUCCESS, p) if success else (1.0 - SUCCESS, 1.0 - p)
    return before * like_contrary / (before * like_contrary + (1.0 - before) * like_foreseen)


def mixed(success: F64, contrary: float) -> F64:
    """(C,) chances of success when a product may be contrary: as foreseen, or at most SUCCESS."""
    return np.asarray((1.0 - contrary) * success + contrary * np.minimum(success, SUCCESS), dtype=np.float64)
