"""Reports of picks as results of actions and services."""

from __future__ import annotations

from collections.abc import Sequence

from pickcell_interfaces.msg import ItemResult

from pickcell.outcome import Code
from pickcell.task.record import PickReport
from pickcell_conversions.outcomes import code_msg, named_values_to_msg


def item_result(report: PickReport) -> ItemResult:
    """What became of one piece."""
    return ItemResult(
        line=max(0, report.line),
        sku=report.sku,
        tool=report.tool,
        outcome=code_msg(report.code, report.text),
        attempts=report.attempts,
        duration=float(report.duration_s),
        stage_times=named_values_to_msg(report.stage_durations()),
        explanation=report.explanation,
    )


def delivered(reports: Sequence[PickReport]) -> int:
    """Pieces that were delivered and verified."""
    return sum(report.code is Code.OK for report in reports)
