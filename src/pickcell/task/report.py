"""The report of an order as one self-contained HTML file: table, pictures, timeline. Opens anywhere, needs no network."""

from __future__ import annotations

import base64
import html
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from pickcell.outcome import Code, Stage
from pickcell.task.record import PickReport, StageRecord

STAGE_COLORS: dict[Stage, str] = {
    Stage.OBSERVE: "#4c78a8",
    Stage.CHOOSE: "#72b7b2",
    Stage.APPROACH: "#eeca3b",
    Stage.GRASP: "#f58518",
    Stage.LIFT: "#e45756",
    Stage.VERIFY: "#b279a2",
    Stage.TRANSFER: "#54a24b",
    Stage.PLACE: "#88b04b",
    Stage.VERIFY_PLACE: "#9d755d",
    Stage.RECORD: "#bab0ac",
}


@dataclass(frozen=True)
class ReportItem:
    """A pick with the directory its pictures lie in."""

    report: PickReport
    directory: Path | None = None


def _data_uri(path: Path) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None


def _pictures(item: ReportItem) -> list[tuple[str, str]]:
    """(caption, data URI) of each picture that is still there."""
    if item.directory is None:
        return []
    found = ((caption, _data_uri(item.directory / name)) for caption, name in item.report.images.items())
    return [(caption, uri) for caption, uri in found if uri is not None]


def _timeline(reports: list[PickReport], width: int = 960, row: int = 22) -> Markup:
    """SVG: one row per pick, one bar per stage over cell time; failed stages are outlined."""
    if not reports:
        return Markup("")
    start = min(r.start_s for r in reports)
    span = max(max(r.start_s + r.duration_s for r in reports) - start, 1e-6)
    left = 170
    scale = (width - left - 10) / span
    parts = [f'<svg viewBox="0 0 {width} {row * len(reports) + 30}" role="img" aria-label="timeline">']
    for i, report in enumerate(reports):
        y = i * row + 4
        parts.append(f'<text x="0" y="{y + 13}">{html.escape(report.sku[:24])}</text>')
        parts.extend(_bar(stage, left + (stage.start_s - start) * scale, y, scale, row - 8) for stage in report.stages)
    for k in range(6):
        x, y = left + k * span / 5 * scale, row * len(reports) + 20
        anchor = "end" if k == 5 else "start"
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{k * span / 5:.0f} s</text>')
    return Markup("".join(parts) + "</svg>")


def _bar(stage: StageRecord, x: float, y: float, scale: float, height: int) -> str:
    failed = stage.code is not Code.OK
    title = html.escape(f"{stage.stage.value} {stage.duration_s:.2f} s: {stage.code.value} {stage.text}")
    edge = ' stroke="#c00" stroke-width="2"' if failed else ""
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{max(1.0, stage.duration_s * scale):.1f}" height="{height}" '
        f'fill="{STAGE_COLORS[stage.stage]}"{edge}><title>{title}</title></rect>'
    )


def render_html(title: str, items: list[ReportItem], facts: dict[str, str]) -> str:
    """The page as text. ``facts``: what to say about the run as a whole (seed, cell, machine)."""
    environment = Environment(loader=PackageLoader("pickcell.task"), autoescape=select_autoescape(default=True))
    reports = [item.report for item in items]
    return environment.get_template("report.html.j2").render(
        title=title,
        facts=facts,
        items=[(item.report, _pictures(item)) for item in items],
        stages=[stage.value for stage in Stage],
        colors={stage.value: color for stage, color in STAGE_COLORS.items()},
        delivered=sum(r.placed and r.code is Code.OK for r in reports),
        outcomes=Counter(r.code.value for r in reports).most_common(),
        timeline=_timeline(reports),
    )


def write_html(path: Path, title: str, items: list[ReportItem], facts: dict[str, str]) -> Path:
    """Write the page. Raises OSError when the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_html(title, items, facts))
    return path
