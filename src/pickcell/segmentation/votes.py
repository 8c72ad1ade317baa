"""Where each patch's pixels say that the middle of their item is.

Pixels vote for the middle of the item that they show (as in C. Xie et al., "Unseen object instance segmentation for robotic
environments", T-RO 2021), seen or hidden; patches whose votes meet are one item even where nothing that is seen joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse
from pickcell.segmentation.affinity import ViewAffinity
from pickcell.segmentation.offsets import STRIDE, VOTE_HEIGHT_M, VOTE_PX

VOTE_FEATURES = ("vote_gap", "vote_far", "vote_sure", "vote_spread", "no_vote")
"""Per pair of patches: distance between the places that they vote for, in units of 3 cm and of 10 cm, at most 1 and 2; the
same against how much their pixels disagree, at most 4; that disagreement, in units of 3 cm, at most 2; 1 where either has no
votes, and the others are 0."""
FARTHEST_M = 1.0
"""A vote further than this from the pixel's own point is none."""


@dataclass(frozen=True)
class PatchVotes:
    """What the pixels on each patch say together."""

    middle: NDArray[np.float64]
    """(P, 3) mean of the votes, in the tote's frame; 0 where there are none."""
    spread: NDArray[np.float64]
    """(P,) root mean square distance of the votes from it, metres."""
    count: NDArray[np.float64]
    """(P,) votes."""


def patch_votes(
    answers: Sequence[ViewAffinity], pictures: Sequence[NDArray[np.int32]], patches: int, X_base_tote: Pose
) -> PatchVotes:
    """``pictures``: per answer the patch under each of its pixels, -1 for none."""
    total = np.zeros((patches, 5))  # sum of x, y, z, of squares, and count
    for answer, patch in zip(answers, pictures, strict=True):
        camera, crop = answer.view.camera, answer.crop
        X = inverse(X_base_tote) @ answer.view.X_base_camera
        k = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        _add_votes(total, patch, answer.logits[0], answer.votes, k, X, crop.scale, crop.u0, crop.v0)
    count = total[:, 4]
    n = np.maximum(count, 1.0)
    middle = total[:, :3] / n[:, None]
    variance = np.maximum(total[:, 3] / n - np.sum(middle**2, axis=1), 0.0)
    return PatchVotes(middle, np.sqrt(variance), count)


@njit(cache=True, nogil=True)
def _add_votes(total, patch, item, votes, k, X, scale, u0, v0):  # type: ignore[no-untyped-def]
    """Each pixel's vote: where the ray through the voted pixel meets the voted height. ``X``: camera in tote."""
    h, w = patch.shape
    for r in range(h):
        for c in range(w):
            p = patch[r, c]
            if p < 0 or item[r, c] <= 0.0:
                continue
            column = STRIDE * c + 0.5 * (STRIDE - 1) + VOTE_PX * votes[0, r, c]
            row = STRIDE * r + 0.5 * (STRIDE - 1) + VOTE_PX * votes[1, r, c]
            a, b = (column / scale + u0 - k[2]) / k[0], (row / scale + v0 - k[3]) / k[1]
            dz = X[2, 0] * a + X[2, 1] * b + X[2, 2]
            if dz > -0.1:  # a ray that hardly falls meets a height anywhere
                continue
            t = (VOTE_HEIGHT_M * votes[2, r, c] - X[2, 3]) / dz
            x = (X[0, 0] * a + X[0, 1] * b + X[0, 2]) * t + X[0, 3]
            y = (X[1, 0] * a + X[1, 1] * b + X[1, 2]) * t + X[1, 3]
            z = VOTE_HEIGHT_M * votes[2, r, c]
            if abs(x) > FARTHEST_M or abs(y) > FARTHEST_M:
                continue
            total[p, 0] += x
            total[p, 1] += y
            total[p, 2] += z
            total[p, 3] += x * x + y * y + z * z
            total[p, 4] += 1.0


def vote_features(votes: PatchVotes, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(E, len(VOTE_FEATURES)) of pairs (E, 2) of patches."""
    a, b = pairs.T
    gap = np.linalg.norm(votes.middle[a] - votes.middle[b], axis=1)
    spread = np.sqrt(votes.spread[a] ** 2 + votes.spread[b] ** 2)
    known = (votes.count[a] > 0) & (votes.count[b] > 0)
    columns = [
        np.minimum(gap / 0.03, 1.0),
        np.minimum(gap / 0.1, 2.0),
        np.minimum(gap / (spread + 0.01), 4.0),
        np.minimum(spread / 0.03, 2.0),
    ]
    return np.column_stack([*(np.where(known, column, 0.0) for column in columns), ~known])
