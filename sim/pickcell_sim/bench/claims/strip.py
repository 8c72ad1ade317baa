"""Strips of pictures of a trial, to watch what the numbers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import look_at
from pickcell.values import CameraModel
from pickcell_sim.bench.claims.record import TrialRecord
from pickcell_sim.bench.claims.series import Series
from pickcell_sim.bench.claims.trial import Trial
from pickcell_sim.driver import SimDriver

WIDTH, HEIGHT = 300, 260
CAPTION_PX = 20
EYE, TARGET = (1.42, 0.0, 0.5), (0.45, 0.0, 0.2)


class _Film:
    """Pictures at a fixed period of cell time."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.frames: list[NDArray[np.uint8]] = []
        self._next_s = 0.0
        self._camera = CameraModel.from_fov("film", WIDTH, HEIGHT, float(np.deg2rad(48.0)))
        self._X = look_at(EYE, TARGET)

    def look(self, driver: SimDriver) -> None:
        if driver.now_s < self._next_s:
            return
        self._next_s = driver.now_s + self.period_s
        picture = driver.world.visuals.render(self._camera, self._X).color
        self.frames.append(_captioned(picture, f"{driver.now_s:.2f} s"))


def _captioned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    tile = np.full((picture.shape[0] + CAPTION_PX, picture.shape[1], 3), 255, np.uint8)
    tile[: picture.shape[0]] = picture
    cv2.putText(
        tile, text, (4, tile.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA
    )  # fmt: skip
    return tile


def film(series: Series, seed: int, number: int, period_s: float = 0.3) -> tuple[TrialRecord, NDArray[np.uint8]]:
    """Run a trial and return its record with a strip of pictures (H, W, 3) RGB, ``period_s`` of cell time apart."""
    reel = _Film(period_s)
    trial = Trial(series, seed, number, reel.look)
    try:
        record = trial.run()
    finally:
        trial.close()
    worst = ", ".join(f"{kind} {peak.value:.3g} of {peak.limit:.3g}" for kind, peak in record.peaks.items())
    title = f"{series.name} #{number} {record.sku}: {record.outcome} {record.why}  {worst}"
    strip = np.hstack(reel.frames) if reel.frames else np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    return record, np.vstack([_heading(title, strip.shape[1]), strip])


def _heading(text: str, width: int) -> NDArray[np.uint8]:
    row = np.full((24, width, 3), 235, np.uint8)
    cv2.putText(row, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return row


def write_strips(trials: Sequence[tuple[Series, int]], seed: int, path: Path, period_s: float = 0.3) -> list[TrialRecord]:
    """One strip per (series, trial number), below each other, as a picture file; the records."""
    records, strips = [], []
    for series, number in trials:
        record, strip = film(series, seed, number, period_s)
        records.append(record)
        strips.append(strip)
    width = max(strip.shape[1] for strip in strips)
    rows = [cv2.copyMakeBorder(s, 0, 4, 0, width - s.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255)) for s in strips]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])
    return records
