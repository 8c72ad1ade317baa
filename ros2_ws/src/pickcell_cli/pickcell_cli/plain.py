"""Messages as plain values, for ``--json``."""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """A message, or a field of one, as dictionaries, lists, numbers and strings; NaN and infinity become None."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: to_plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, (list, tuple, array.array, np.ndarray)):
        return [to_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
