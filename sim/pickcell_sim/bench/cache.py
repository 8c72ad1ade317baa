"""Finished episodes on disk, so that a run that was interrupted goes on where it stood.

A run's folder is named by everything that decides its episodes: suite, split, cell and stage-time files, clock, and the
source code of the pipeline and the simulator. What was run with other code is never taken for a result of this one.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from pickcell.catalogue import config_directory
from pickcell_sim.bench.episode import EpisodeFiles, EpisodeJob
from pickcell_sim.bench.records import EpisodeRecord
from pickcell_sim.items.spec import REPOSITORY

_CODE = ("src/pickcell", "sim/pickcell_sim", "urdf")
_NOT_CODE = ("src/pickcell/setup", "sim/pickcell_sim/bench")
_BENCH_CODE = ("episode.py", "trial.py", "suites.py", "charging.py", "records.py")
"""Of the benchmarks, only what decides an episode: a new plot does not make old episodes wrong."""
_CONFIG = ("catalogue/catalogue.yaml", "splits", "cells", "damage.yaml", "perturbations.yaml")


@cache
def code_fingerprint(root: Path = REPOSITORY) -> str:
    """Twelve digits over all source and configuration that decide an episode."""
    return compute_code_fingerprint(root)


def compute_code_fingerprint(root: Path = REPOSITORY) -> str:
    """As :func:`code_fingerprint`, read anew: tells whether the sources have changed meanwhile."""
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files(root: Path) -> list[Path]:
    found: set[Path] = set()
    for folder in _CODE:
        for path in (root / folder).rglob("*"):
            relative = path.relative_to(root).as_posix()
            skipped = relative.startswith(_NOT_CODE) and not (path.parent.name == "bench" and path.name in _BENCH_CODE)
            if path.is_file() and path.suffix in (".py", ".xacro", ".urdf", ".json", ".yaml") and not skipped:
                found.add(path)
    for name in _CONFIG:
        path = config_directory() / name
        found |= {path} if path.is_file() else {p for p in path.glob("*") if p.is_file()}
    return sorted(found)


class EpisodeCache:
    """Episodes of one folder, one JSON file and a folder of pictures each."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, job: EpisodeJob) -> Path:
        """Where a job's run is kept."""
        decides = {
            "suite": job.suite.model_dump(mode="json"),
            "clock": job.clock.value,
            "times": job.stage_times.median_ms if job.stage_times else None,
            "code": code_fingerprint(),
        }
        key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
        return self.root / f"{job.suite.name}-{job.strategy.value}-{job.perception.value}-{key}"

    def _path(self, job: EpisodeJob) -> Path:
        return self.folder(job) / f"{job.seed}-{job.items}.json"

    def load(self, job: EpisodeJob) -> EpisodeFiles | None:
        """A finished episode, None when there is none or its file is unreadable."""
        try:
            record = EpisodeRecord.from_dict(json.loads(self._path(job).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        pictures = self._path(job).with_suffix("")
        return EpisodeFiles(record, {p.stem: p.read_bytes() for p in sorted(pictures.glob("*.jpg"))})

    def store(self, job: EpisodeJob, files: EpisodeFiles) -> None:
        """Keep a finished episode; a half-written one is never seen."""
        path = self._path(job)
        pictures = path.with_suffix("")
        pictures.mkdir(parents=True, exist_ok=True)
        for old in pictures.glob("*.jpg"):
            old.unlink()
        for job_id, data in files.pictures.items():
            (pictures / f"{job_id}.jpg").write_bytes(data)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(files.record.to_dict()))
        partial.replace(path)
