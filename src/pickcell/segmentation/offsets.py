"""Pairs of pixels that the affinity network judges: whether a pixel and the one at an offset show the same item."""

from __future__ import annotations

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
"""Channel 0 of the answer is the logit of "an item"; channel 1 + k that of "the same item" at OFFSETS[k]."""
