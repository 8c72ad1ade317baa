"""The kinds of perturbation, and by which magnitudes each is described."""

from __future__ import annotations

from enum import Enum

from pickcell.outcome import Stage

STAGES = tuple(stage.value for stage in Stage)
"""Moments of a pick, in order, as the task announces them."""


class Kind(str, Enum):
    """What can go wrong in the middle of a pick."""

    TARGET_SHIFT = "target_shift"  # the wanted item is shoved
    NEIGHBOUR_SHIFT = "neighbour_shift"  # an item beside it is shoved
    INTRUDER = "intruder"  # a hand or forearm reaches over the totes, stays, and leaves
    SLIP_IN_HAND = "slip_in_hand"  # what is held becomes slippery, or something tugs at it
    VACUUM_LEAK = "vacuum_leak"  # the lip leaks more than its seal explains
    CAMERA_KNOCKED = "camera_knocked"  # a camera stands off its calibration from now on
    LIGHTS_DIMMED = "lights_dimmed"  # the room is darker for a while
    LENS_BLURRED = "lens_blurred"  # one camera is out of focus for a while


def kind_named(name: str) -> Kind:
    """The kind with a name. Raises ValueError listing the kinds."""
    try:
        return Kind(name)
    except ValueError:
        raise ValueError(f"no perturbation '{name}'; there are {[k.value for k in Kind]}") from None


_SHOVE = {"distance_m": (0.0, 0.2), "turn_deg": (-180.0, 180.0), "push_s": (0.05, 2.0), "force_n": (1.0, 100.0)}

MAGNITUDES: dict[Kind, dict[str, tuple[float, float]]] = {
    Kind.TARGET_SHIFT: _SHOVE,
    Kind.NEIGHBOUR_SHIFT: {**_SHOVE, "gap_m": (0.0, 0.5)},
    Kind.INTRUDER: {
        "along": (0.0, 1.0),
        "height_m": (0.0, 1.0),
        "speed_mps": (0.05, 3.0),
        "stay_s": (0.0, 60.0),
        "width_m": (0.01, 0.3),
        "length_m": (0.05, 1.0),
        "force_n": (5.0, 500.0),
    },
    Kind.SLIP_IN_HAND: {"friction_factor": (0.0, 1.0), "impulse_ns": (0.0, 20.0), "lasts_s": (0.01, 10.0)},
    Kind.VACUUM_LEAK: {"leak_factor": (1.0, 1e4), "lasts_s": (0.01, 60.0)},
    Kind.CAMERA_KNOCKED: {"offset_m": (0.0, 0.5), "turn_deg": (0.0, 90.0)},
    Kind.LIGHTS_DIMMED: {"brightness": (0.0, 1.0), "lasts_s": (0.01, 600.0)},
    Kind.LENS_BLURRED: {"sigma_px": (0.1, 100.0), "lasts_s": (0.01, 600.0)},
}
"""Per kind, the magnitudes that config/perturbations.yaml must give a range for, and the bounds that make sense."""

VARIANTS: dict[Kind, tuple[str, ...]] = {Kind.INTRUDER: ("box", "cylinder"), Kind.SLIP_IN_HAND: ("friction", "tug")}
"""Kinds that come in several forms."""
