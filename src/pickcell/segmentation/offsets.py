"""What the affinity network says of each pixel: whether it shows an item, whether the pixel at an offset shows the same
one, and where that item's middle is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDE = 2
"""Pixels of the crop per pixel of the network's answer."""
OFFSETS: tuple[tuple[int, int], ...] = (
    (0, 1), (1, 0),
    (0, 3), (3, 0), (3, 3), (3, -3),
    (0, 8), (8, 0), (6, 6), (6, -6),
)  # fmt: skip
"""(rows, columns), in pixels of the answer (about 4 mm): neighbours, across an edge, and across a small item."""
REACHES = (slice(0, 2), slice(2, 6), slice(6, 10))
"""The offsets in groups of like length."""
LOGITS = 1 + len(OFFSETS)
"""Channel 0 of the answer is the logit of "an item"; channel 1 + k that of "the same item" at OFFSETS[k]."""
VOTES = 3
"""The channels after those say where the middle of the item's full shape is: how many VOTE_PX pixels of the crop to the
right and down, and how many VOTE_HEIGHT_M above the tote's floor."""
VOTE_PX = 32.0
VOTE_HEIGHT_M = 0.1
CHANNELS_OUT = LOGITS + VOTES


def pixel_centres(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Row (height, 1) and column (width,), in pixels of the crop, of the pixels of an answer."""
    middle = 0.5 * (STRIDE - 1)
    rows = STRIDE * np.arange(height, dtype=np.float32) + np.float32(middle)
    return rows[:, None], STRIDE * np.arange(width, dtype=np.float32) + np.float32(middle)
