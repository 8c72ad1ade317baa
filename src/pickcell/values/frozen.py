"""Validation shared by all values: arrays inside frozen dataclasses are checked once and made read-only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def freeze(owner: Any, name: str, shape: tuple[int | None, ...], dtype: Any) -> None:
    """Check field ``name`` of a frozen dataclass against ``shape`` (None: any length), cast, and make it read-only.

    Raises ValueError naming the field when the shape does not fit.
    """
    array: NDArray[Any] = np.asarray(getattr(owner, name), dtype=dtype)
    if array.ndim != len(shape) or any(w is not None and w != g for w, g in zip(shape, array.shape)):
        raise ValueError(f"{type(owner).__name__}.{name}: expected shape {shape}, got {array.shape}")
    view = array.view()
    view.flags.writeable = False
    object.__setattr__(owner, name, view)
