"""A sheet of pictures of failed picks: what the cell saw when it chose, with what it said and what was true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell_sim.bench.episode import EpisodeResult, ScoredPick

TILE = (480, 360)
COLUMNS = 3
MOST = 18
CAPTION_PX = 44


def _picture(pick: ScoredPick, jobs: Path) -> NDArray[np.uint8] | None:
    """The last picture of the pick's grasp, or of what was seen."""
    for moment in ("grasp", "at failure", "before"):
        names = [name for caption, name in pick.report.images.items() if f", {moment}," in caption]
        if names:
            image = cv2.imread(str(jobs / pick.report.job_id / names[-1]))
            if image is not None:
                return np.asarray(cv2.resize(image, TILE), np.uint8)
    return None


def _tile(pick: ScoredPick, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    tile = np.full((TILE[1] + CAPTION_PX, TILE[0], 3), 255, np.uint8)
    tile[: TILE[1]] = image
    codes = [s.code.value for s in pick.report.stages if s.code.value != "ok"]
    truth = pick.score.result.value
    lines = (
        f"{pick.report.job_id} {pick.report.sku} {pick.report.tool}",
        f"{' > '.join(codes[-4:])} | truth: {truth}",
    )
    for i, line in enumerate(lines):
        cv2.putText(tile, line[:78], (6, TILE[1] + 17 + 19 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def write_failure_sheet(episodes: list[EpisodeResult], jobs: Path, path: Path) -> bool:
    """Write the sheet as PNG; False when there is nothing to show."""
    failed = [pick for episode in episodes for pick in episode.picks if not pick.score.success]
    tiles = [_tile(pick, image) for pick in failed if (image := _picture(pick, jobs)) is not None][:MOST]
    if not tiles:
        return False
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    return bool(cv2.imwrite(str(path), np.vstack(rows)))
