"""The record of one pick: what was tried, how long each stage took, how it ended. Written as JSON next to its pictures."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pickcell.outcome import Code, Outcome, Stage


@dataclass
class StageRecord:
    """One stage of one attempt."""

    stage: Stage
    attempt: int
    start_s: float
    """Cell time."""
    duration_s: float = 0.0
    """Cell time, computation included."""
    compute_s: float = 0.0
    """Wall time spent on perception, choice and planning within it."""
    code: Code = Code.OK
    text: str = ""


@dataclass
class PickReport:
    """Everything an operator wants to know about one pick."""

    job_id: str
    sku: str
    order_id: str = ""
    line: int = 0
    code: Code = Code.OK
    text: str = ""
    tool: str = ""
    attempts: int = 0
    start_s: float = 0.0
    duration_s: float = 0.0
    started_unix_s: float = field(default_factory=time.time)
    explanation: str = ""
    """Why this item, tool and grasp."""
    placed: bool = False
    """True when the wanted item was released in the destination tote and seen to be gone from the hand."""
    needs_person: str = ""
    """What a person must look at, although the cell may go on: an item whose place is not known."""
    moved: int = 0
    """Neighbours that were put aside for it."""
    put_off: list[str] = field(default_factory=list)
    """How earlier tries of this piece ended, which were put off until others of the order had made room."""
    mass_kg: float | None = None
    """Measured at the wrist."""
    stages: list[StageRecord] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    """Caption -> file name in the report's directory."""
    perception_ms: dict[str, float] = field(default_factory=dict)

    def finish(self, outcome: Outcome[Any], now_s: float) -> None:
        self.code, self.text = outcome.code, outcome.text
        self.duration_s = now_s - self.start_s

    def stage_durations(self) -> dict[str, float]:
        """Stage -> cell seconds, summed over attempts."""
        out: dict[str, float] = {}
        for record in self.stages:
            out[record.stage.value] = out.get(record.stage.value, 0.0) + record.duration_s
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, enums as their values."""
        return json.loads(json.dumps(asdict(self), default=lambda v: getattr(v, "value", str(v))))

    @staticmethod
    def from_dict(data: dict[str, Any]) -> PickReport:
        """Inverse of :meth:`to_dict`. Raises KeyError or ValueError on a dictionary that is not a report."""
        data = dict(data)
        data["code"] = Code(data["code"])
        data["stages"] = [StageRecord(**{**s, "stage": Stage(s["stage"]), "code": Code(s["code"])}) for s in data["stages"]]
        return PickReport(**data)


def write_record(report: PickReport, directory: Path) -> Outcome[Path]:
    """Write ``report.json`` atomically. LEDGER_UNWRITABLE when the disk refuses (the pick itself is not undone)."""
    target = directory / "report.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps(report.to_dict(), indent=1))
        partial.replace(target)
    except OSError as error:
        return Outcome.failure(Code.LEDGER_UNWRITABLE, f"The report {target}: {error.strerror}.")
    return Outcome.success(target)


def read_record(directory: Path) -> PickReport:
    """Raises OSError when there is no report, ValueError when it is not one."""
    try:
        return PickReport.from_dict(json.loads((directory / "report.json").read_text()))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{directory}/report.json is not a pick report: {error}") from error
