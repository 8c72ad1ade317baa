"""The claims on one page: tables with intervals, and a plot of the four claims and of the ratio's sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from pickcell_sim.bench.claims.series import CLAIMS, HEAVY_BOX
from pickcell_sim.bench.result import BenchResult
from pickcell_sim.bench.statistics import Interval, wilson
from pickcell_sim.damage.scaling import SCALES

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Row = dict[str, Any]
COLORS = {"suction": "#1f6fd6", "pinch": "#d66a1f"}
INTRO = (
    "Single items with true poses, taken from an open tray, lifted 0.25 m, carried 0.5 m sideways in a straight line and "
    "set down from 10 mm, by the simulator's own cup and jaw. The same seeds give both tools the same items in the same "
    "poses. Nothing is planned around and no camera looks. Limits of damage: `config/damage.yaml`. "
    "Intervals are 95 % (Wilson). Made by `./cell bench claims`."
)


def write_report(result: BenchResult, folder: Path) -> list[Path]:
    """``claims.json``, ``claims.md`` and ``plots/claims.png`` in a folder."""
    kept, page, picture = folder / "claims.json", folder / "claims.md", folder / "plots" / "claims.png"
    result.write(kept)
    picture.parent.mkdir(parents=True, exist_ok=True)
    plot(result, picture)
    page.write_text(markdown(result, picture.relative_to(folder)))
    return [kept, page, picture]


# -- words ---------------------------------------------------------------------------------------------------------------
def markdown(result: BenchResult, picture: Path) -> str:
    """The page."""
    lines = ["# Claims", "", INTRO, "", f"Seed {result.seed}, n = {result.n} per series, commit {result.commit}.", ""]
    lines += [f"![claims]({picture})", ""]
    for name, claim in CLAIMS.items():
        rows = [row for row in result.episodes if row["claim"] == name]
        if rows:
            lines += [f"## {claim.sentence}", "", *_table(rows), ""]
    if result.config["sensitivity"]:
        lines += _ratio_section(result)
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| item | lies | tool | m/s² asked (reached) | n | delivered % | lost in flight, % of holds | damaged % | how |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        n, tool, reached = row["n"], _tool_text(row), row["reached_mps2"]
        how = [f"{k} {v}" for k, v in {**row["damage"], **_failures(row)}.items()]
        lines.append(
            f"| {row['kind'].replace('_', ' ')} | {row['posture']} | {tool} | {row['acceleration_mps2']:g} "
            f"({f'{reached:.1f}' if reached else '-'}) | {n} | {_percent(wilson(row['delivered'], n))} "
            f"| {_percent(wilson(row['lost'], row['held']))} | {_percent(wilson(row['damaged'], n))} | {', '.join(how)} |"
        )
    return lines


def _tool_text(row: Row) -> str:
    if row["tool"] == "pinch":
        return "pinch"
    cup, source = row["series"].split("-")[3:5]
    return f"suction, {cup} cup, {source}"


def _failures(row: Row) -> dict[str, int]:
    return {k.replace("_", " "): v for k, v in row["outcomes"].items() if k != "delivered"} | row["why"]


def _percent(interval: Interval) -> str:
    if not np.isfinite(interval[0]):
        return "-"
    return "{:.0f} ({:.0f} .. {:.0f})".format(*(100.0 * v for v in interval))


def _ratio_section(result: BenchResult) -> list[str]:
    told = {"impact": "fall height", "opening": "book opening", "crush": "pad force", "film": "film's vacuum"}
    lines = [
        "## Suction : pinch damage ratio, and what it depends on", "",
        f"Headline: {result.config['headline']}. Books count hardcovers and paperbacks alike; suction takes them lying, by "
        "the cover, pinch standing, across the thickness: a jaw from above cannot straddle a lying book. Where pinch "
        "damaged nothing the ratio has no upper end, and its lower end says what is shown: suction's lower bound over "
        "pinch's upper bound. Recounted from recorded values, nothing was simulated again.", "",
        "| varied | at | suction damages % | pinch damages % | ratio |", "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in result.config["sensitivity"]:
        what = f"limit of {told[row['what']]}, times" if row["what"] in told else row["what"].replace("_", " ")
        lines.append(
            f"| {what} | {row['at']:g} | {_percent(_interval(row['suction']))} | {_percent(_interval(row['pinch']))} "
            f"| {_ratio_text(row['ratio'])} |"
        )
    return [*lines, "", *_access_lines(result)]


def _access_lines(result: BenchResult) -> list[str]:
    """What the tools reach in full totes, in a sentence; nothing when it was not counted."""
    counted = result.config.get("full_totes")
    if not counted:
        return []
    parts = [
        f"{tool} has a grasp on {hits} of {n} {group}s ({_percent(wilson(hits, n))} %)"
        for tool, groups in counted.items()
        for group, (hits, n) in groups.items()
    ]
    return [
        "Measured access: true scenes of totes filled by dropping books, boxes and other things (mix of the suite "
        f"`books_boxes`), every item offered to the grasp choice with one tool: {'; '.join(parts)}. The rows "
        "`measured` above use these shares.",
        "",
    ]


def _interval(values: Sequence[float | None]) -> Interval:
    low, middle, high = (np.inf if v is None else float(v) for v in (values[1], values[0], values[2]))
    return middle, low, high


def _ratio_text(values: Sequence[float | None]) -> str:
    value, low, high = (None if v is None else f"{v:.2g}" if v < 100 else f"{v:.0f}" for v in values)
    if low is None:  # nothing was tried with the jaw
        return "-"
    if value is None:
        return f"> {low}"
    return f"{value} ({low} .. {high or 'no end'})"


# -- pictures ------------------------------------------------------------------------------------------------------------
def plot(result: BenchResult, path: Path) -> None:
    """Four panels: damage, seals against acceleration, holds of bags and flats, the ratio's sensitivity."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 9))
    rows = list(result.episodes)
    _damage_panel(axes[0, 0], [r for r in rows if r["claim"] == "books_boxes"])
    _acceleration_panel(axes[0, 1], [r for r in rows if r["claim"] == "acceleration"])
    _hold_panel(axes[1, 0], [r for r in rows if r["claim"] in ("bags", "flats")])
    _ratio_panel(axes[1, 1], result.config["sensitivity"])
    figure.suptitle(f"Claims with true poses, n = {result.n} per series, seed {result.seed}; bars: 95 %")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Axes, rows: Sequence[Row], key: str) -> None:
    """Shares with intervals, one bar per row."""
    at = np.arange(len(rows))[::-1]
    found = np.array([wilson(row[key], row["n"]) for row in rows]).reshape(-1, 3)
    spread = np.array([found[:, 0] - found[:, 1], found[:, 2] - found[:, 0]]).clip(0.0)
    axis.barh(at, found[:, 0], xerr=spread, color=[COLORS[row["tool"]] for row in rows], ecolor="#333333", capsize=2)
    names = [f"{r['kind'].replace('_', ' ')} {r['posture']}, {_tool_text(r)}, {r['acceleration_mps2']:g} m/s²" for r in rows]
    axis.set_yticks(at, names, fontsize=7)
    axis.set_xlim(0.0, 1.0)
    axis.grid(axis="x", alpha=0.3)


def _damage_panel(axis: Axes, rows: Sequence[Row]) -> None:
    axis.set_title("Damaged, share of trials")
    if rows:
        _bars(axis, rows, "damaged")


def _hold_panel(axis: Axes, rows: Sequence[Row]) -> None:
    axis.set_title("Held (bags and flats), share of trials")
    if rows:
        _bars(axis, rows, "held")


def _acceleration_panel(axis: Axes, rows: Sequence[Row]) -> None:
    axis.set_title("Heavy boxes lost in flight, share of holds")
    styles: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        styles.setdefault((row["kind"], row["posture"], _tool_text(row)), []).append(row)
    for (_, posture, tool), group in styles.items():
        group = sorted(group, key=lambda r: r["acceleration_mps2"])
        at = np.array([r["acceleration_mps2"] for r in group])
        found = np.array([wilson(r["lost"], r["held"]) for r in group])
        line = axis.plot(at, found[:, 0], marker="o", label=f"{posture}, {tool}")[0]
        axis.fill_between(at, found[:, 1], found[:, 2], alpha=0.15, color=line.get_color())
    axis.set_xlabel(f"acceleration asked of the tool, m/s²  ({HEAVY_BOX.replace('_', ' ')}: 0.7 to 0.9 kg)")
    axis.set_ylim(0.0, 1.02)
    axis.grid(alpha=0.3)
    if rows:
        axis.legend(fontsize=8)


def _ratio_panel(axis: Axes, swept: Sequence[Row]) -> None:
    """Lower ends of the ratio, which are always finite; the value where there is one."""
    axis.set_title("Suction : pinch damage ratio: lower end (line), value (dots)")
    names = dict.fromkeys(row["what"] for row in swept if not row["what"].endswith("measured"))
    for name in names:
        rows = [row for row in swept if row["what"] == name]
        at = np.array([row["at"] for row in rows], dtype=float)
        x = np.log2(at) / 2.0 + 0.5 if name in SCALES else at  # halved .. doubled limits over the same width as 0 .. 1
        low = np.array([row["ratio"][1] for row in rows], dtype=float)
        value = np.array([np.nan if row["ratio"][0] is None else row["ratio"][0] for row in rows], dtype=float)
        line = axis.plot(x, low, label=name.replace("_", " ") + (" limit x0.5 .. x2" if name in SCALES else " 0 .. 1"))[0]
        axis.plot(x, value, "o", ms=4, color=line.get_color())
    axis.axhline(10.0, color="#888888", lw=1, ls="--")
    axis.set_yscale("log")
    axis.set_xlabel("from the lowest to the highest of what is varied")
    axis.grid(alpha=0.3)
    if swept:
        axis.legend(fontsize=7)
