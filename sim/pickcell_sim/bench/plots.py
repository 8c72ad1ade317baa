"""Plots of kept results: success, damage and throughput with their intervals, differences, and what picks failed of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from pickcell_sim.bench.result import BenchResult, Metric

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

COLORS = {"suction": "#0072B2", "pinch": "#D55E00", "auto": "#009E73"}
"""Okabe and Ito's colours, told apart with every kind of colour vision."""
CODE_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#000000", "#999999")
OVERVIEW = (
    ("success_rate", "success"),
    ("cleared_rate", "cleared"),
    ("damage_per_1000", "damaged items per\n1000 picks"),
    ("uph", "undamaged units\nper hour"),
)
MOST_CODES = 8
_OTHER = "other"
_DPI = 100
_NO_DATE = {"Software": None}
"""The same results give the same file."""


def _error(metric: Metric) -> tuple[float, float]:
    """Lengths below and above; none where the limits are unknown."""
    if not np.isfinite([metric.low, metric.high]).all():
        return 0.0, 0.0
    return max(0.0, metric.value - metric.low), max(0.0, metric.high - metric.value)


def _points(ax: Any, xs: Sequence[float], metrics: Sequence[Metric], **style: Any) -> None:
    errors = np.array([_error(m) for m in metrics]).reshape(-1, 2).T
    ax.errorbar(
        xs,
        [m.value for m in metrics],
        yerr=errors,
        fmt="o",
        capsize=3,
        markersize=5,
        linewidth=1.2,
        clip_on=False,
        zorder=3,
        **style,
    )


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, metadata=_NO_DATE)
    plt.close(figure)
    return path


def overview(results: Sequence[BenchResult], title: str, path: Path) -> Path:
    """Success, clearing, damage and units per hour of suites (x) and strategies (colour), with 95 % intervals."""
    names = list(dict.fromkeys(r.suite for r in results))
    strategies = [s for s in COLORS if any(r.config["strategy"] == s for r in results)]
    figure, axes = plt.subplots(len(OVERVIEW), 1, figsize=(1.6 + 1.3 * max(4, len(names)), 8.2), sharex=True)
    for ax, (key, label) in zip(axes, OVERVIEW):
        for k, strategy in enumerate(strategies):
            mine = [r for r in results if r.config["strategy"] == strategy and np.isfinite(r.metrics[key].value)]
            xs = [names.index(r.suite) + 0.22 * (k - 0.5 * (len(strategies) - 1)) for r in mine]
            _points(ax, xs, [r.metrics[key] for r in mine], color=COLORS[strategy], label=strategy)
        ax.set_ylabel(label)
        ax.set_ylim(bottom=0.0, top=1.02 if key.endswith("_rate") else None)
        ax.grid(axis="y", alpha=0.3)
    axes[0].set_title(title)
    axes[0].legend(loc="lower left", ncols=3, fontsize=8)
    axes[-1].set_xticks(range(len(names)), names)
    axes[-1].set_xlim(-0.6, len(names) - 0.4)
    figure.tight_layout()
    return _save(figure, path)


def differences(results: Sequence[BenchResult], title: str, path: Path) -> Path:
    """Paired differences of success and damage between strategies, per suite, with 95 % intervals."""
    shown = (("success_rate", "success (share)"), ("damage_per_1000", "damaged items per 1000 picks"))
    pairs = (("pinch", "suction", "#D55E00"), ("auto", "suction", "#009E73"), ("auto", "pinch", "#0072B2"))
    figure, axes = plt.subplots(1, len(shown), figsize=(10.0, 1.6 + 0.55 * len(results)), sharey=True)
    for ax, (key, label) in zip(axes, shown):
        for k, (a, b, color) in enumerate(pairs):
            name = f"{key}_{a}_minus_{b}"
            rows = [(i, r.metrics[name]) for i, r in enumerate(results) if name in r.metrics]
            rows = [(i, m) for i, m in rows if np.isfinite(m.value)]
            ys = [i + 0.2 * (k - 1) for i, _ in rows]
            errors = np.array([_error(m) for _, m in rows]).reshape(-1, 2).T
            values = [m.value for _, m in rows]
            ax.errorbar(values, ys, xerr=errors, fmt="o", capsize=3, markersize=5, color=color, label=f"{a} - {b}")
        ax.axvline(0.0, color="black", linewidth=0.8)
        ax.set_xlabel(label)
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(results)), [r.suite for r in results])
    axes[0].invert_yaxis()
    axes[-1].legend(fontsize=8)
    figure.suptitle(title)
    figure.tight_layout()
    return _save(figure, path)


def failure_breakdown(results: Sequence[BenchResult], title: str, path: Path) -> Path:
    """What ended the failed picks, by code, as a share of all picks."""
    counts: dict[str, int] = {}
    for result in results:
        for code, count in result.config.get("outcomes", {}).items():
            if code != "ok":
                counts[code] = counts.get(code, 0) + count
    codes = sorted(counts, key=lambda code: (-counts[code], code))[:MOST_CODES]
    labels = [f"{r.suite}, {r.config['strategy']}" for r in results]
    figure, ax = plt.subplots(figsize=(10.0, 1.8 + 0.28 * len(results)))
    left = np.zeros(len(results))
    for code, color in zip([*codes, _OTHER], CODE_COLORS):
        shares = np.array([_share(r, code, codes) for r in results])
        if shares.any():
            ax.barh(range(len(results)), shares, left=left, color=color, label=code, height=0.7)
        left += shares
    ax.set_yticks(range(len(results)), labels, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("share of picks that ended with a failure, by its code")
    ax.set_title(title)
    ax.grid(axis="x", alpha=0.3)
    ax.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.9 / (1.8 + 0.28 * len(results))))
    figure.tight_layout()
    return _save(figure, path)


def _share(result: BenchResult, code: str, codes: Sequence[str]) -> float:
    outcomes: dict[str, int] = result.config.get("outcomes", {})
    total = sum(outcomes.values())
    if code == _OTHER:
        count = sum(n for name, n in outcomes.items() if name != "ok" and name not in codes)
    else:
        count = outcomes.get(code, 0)
    return count / total if total else 0.0


def reliability(results: Sequence[BenchResult], path: Path) -> Path:
    """What the confidence of full shapes is worth: share of right points against what was said, per method."""
    figure, axes = plt.subplots(figsize=(4.2, 4.0), constrained_layout=True)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="as it should be")
    for result in results:
        told = [each for each in result.config.get("reliability", []) if each[2] > 0]
        if told:
            axes.plot([t[0] for t in told], [t[1] for t in told], marker="o", label=result.config["method"])
    axes.set(xlabel="confidence", ylabel="share of points within 5 mm of the true surface", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)


def chances(told: dict[str, list[list[float]]], path: Path) -> Path:
    """What chances of grasps are worth: share that succeeded against what was foreseen, per tool and for the choice; the
    marks grow with the number of tries."""
    figure, axes = plt.subplots(figsize=(4.4, 4.2), constrained_layout=True)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="as it should be")
    for name, rows in told.items():
        said, held, count = np.array(rows, dtype=float).reshape(-1, 3).T
        color = COLORS.get(name, COLORS["auto"])
        axes.plot(said, held, color=color, linewidth=1, label=f"{name}, {int(count.sum())} tries")
        axes.scatter(said, held, s=6 + 2 * np.sqrt(count) * 3, color=color, zorder=3)
    axes.set(xlabel="chance of success foreseen", ylabel="share that succeeded", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)
