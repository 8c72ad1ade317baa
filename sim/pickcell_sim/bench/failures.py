"""A sheet of pictures of what went wrong: what the cell saw when it chose, with what it said and what was true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell_sim.bench.records import PickRecord

TILE = (360, 270)
COLUMNS = 3
MOST = 6
CAPTION_PX = 60
LINE_LENGTH = 60
JPEG_QUALITY = 70


@dataclass(frozen=True)
class Failure:
    """A pick that failed or damaged something, with its picture."""

    title: str
    said: str
    true: str
    picture: bytes
    """JPEG."""

    @staticmethod
    def of(pick: PickRecord, picture: bytes | None) -> Failure | None:
        """None for a pick that went well, or has no picture."""
        if picture is None or (pick.success and not pick.damage):
            return None
        damage = ", ".join(f"{e.sku} {e.kind} {e.value:.3g} > {e.limit:.3g} {e.unit}" for e in pick.damage[:2])
        said = " > ".join(pick.failures[-3:]) or f"said {pick.code}"
        return Failure(
            f"{pick.job_id} {pick.sku} {pick.tool}", said, f"truth: {pick.result}{'; ' if damage else ''}{damage}", picture
        )

    @property
    def lines(self) -> tuple[str, str, str]:
        return self.title, self.said, self.true


def _tile(failure: Failure) -> NDArray[np.uint8] | None:
    image = cv2.imdecode(np.frombuffer(failure.picture, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    tile = np.full((TILE[1] + CAPTION_PX, TILE[0], 3), 255, np.uint8)
    tile[: TILE[1]] = cv2.resize(image, TILE, interpolation=cv2.INTER_AREA)
    for i, line in enumerate(failure.lines):
        where = (5, TILE[1] + 16 + 18 * i)
        cv2.putText(tile, line[:LINE_LENGTH], where, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def write_failure_sheet(failures: Sequence[Failure], path: Path) -> bool:
    """Write the sheet (PNG or JPEG by the ending), spread evenly over the failures; False when there is nothing to show."""
    if not failures:
        return False
    spread = np.unique(np.linspace(0, len(failures) - 1, min(MOST, len(failures))).astype(int))
    tiles = [tile for i in spread if (tile := _tile(failures[int(i)])) is not None]
    if not tiles:
        return False
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    return bool(cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]))
