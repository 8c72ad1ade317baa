"""``./cell bench guard``: what open eyes are worth. The same picks disturbed in the same way, with the guard and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from pickcell.outcome import Code
from pickcell_sim.bench import statistics
from pickcell_sim.bench.records import EpisodeRecord, PickRecord
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.run import SuiteConfig
from pickcell_sim.bench.suite_command import run_with_progress, wide_console
from pickcell_sim.bench.suites import NO_PERTURBATION, Perception, Strategy, Suite, load_suite
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.perturbations.kinds import Kind

SHARES = {
    Kind.TARGET_SHIFT.value: 0.5,
    Kind.INTRUDER.value: 0.25,
    Kind.SLIP_IN_HAND.value: 0.125,
    Kind.VACUUM_LEAK.value: 0.125,
}
"""Of the disturbed picks."""
INTERVENED = tuple(code.value for code in (Code.TARGET_MOVED, Code.PATH_BLOCKED))
HOLD_SAID = tuple(
    code.value for code in (Code.SLIPPED, Code.SEAL_LOST, Code.DROPPED, Code.MISSED, Code.SEAL_NOT_MADE, Code.ITEM_MISMATCH)
)
HIT_N = 10.0
"""A force from which the arm has collided with what reached in: less is a touch."""


@dataclass(frozen=True)
class Disturbed:
    """Episodes of one kind of disturbance."""

    kind: str
    episodes: list[EpisodeRecord]

    @property
    def picks(self) -> list[PickRecord]:
        return [pick for episode in self.episodes for pick in episode.picks]

    @property
    def struck(self) -> list[PickRecord]:
        """Those in which it found its moment and something to act on."""
        return [pick for pick in self.picks if pick.struck]


def guard(
    n: Annotated[int, typer.Option("-n", "--n", min=20, help="Disturbed picks, and half as many without.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Decides totes, order and what goes wrong when.")] = 0,
    suite: Annotated[str, typer.Option(help="Whose totes: a suite, or a file of one.")] = "disturbed",
    on: Annotated[bool, typer.Option("--guard/--no-guard", help="With the guard, or with eyes closed.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    resume: Annotated[bool, typer.Option(help="Take over finished episodes of an earlier run.")] = False,
    json: Annotated[Path | None, typer.Option(help="Keep the result in this folder.")] = None,
) -> None:
    """Picks in which the item is shoved, a hand reaches in, the hold slips or leaks: what is still delivered, hit, harmed.

    Run it twice, with --guard and with --no-guard: seeds and disturbances are the same.
    """
    console, base = wide_console(), load_suite(suite)
    groups = []
    for kind, share in (*SHARES.items(), (NO_PERTURBATION, 0.5)):
        config = SuiteConfig(
            _suite(base, kind, on), (Strategy.AUTO,), (Perception.ESTIMATED,), round(share * n), seed,
            workers=workers, resume=resume,
        )  # fmt: skip
        run = run_with_progress(console, config)
        for error in run.errors:
            console.print(f"[red]no result: {error}[/red]", highlight=False)
        groups.append(Disturbed(kind, run.episodes.get((Strategy.AUTO, Perception.ESTIMATED), [])))
    metrics = guard_metrics(groups)
    table = Table("metric", "value", "95 % interval", "unit")
    for name, m in metrics.items():
        table.add_row(name, f"{m.value:.4g}", f"{m.low:.4g} .. {m.high:.4g}", m.unit)
    console.print(table)
    if json is not None:
        name = f"perturbed-{'guard' if on else 'noguard'}"
        facts = {"suite": base.name, "guard": on, "shares": SHARES, "struck": {g.kind: len(g.struck) for g in groups}}
        picks = sum(len(g.picks) for g in groups)
        BenchResult(name, seed, picks, facts, machine_facts(), commit_id(REPOSITORY), metrics).write(json / f"{name}.json")
        console.print(f"kept in {json / f'{name}.json'}", highlight=False)


def _suite(base: Suite, kind: str, on: bool) -> Suite:
    name = f"{base.name}-{kind}-{'guard' if on else 'noguard'}"
    return base.model_copy(update={"name": name, "perturbation": kind, "guard": on})


def guard_metrics(groups: Sequence[Disturbed]) -> dict[str, Metric]:
    """Shares are of the picks that were struck, damage of all that were to be disturbed."""
    by_kind = {group.kind: group for group in groups}
    shoved = by_kind[Kind.TARGET_SHIFT.value].struck
    reached = by_kind[Kind.INTRUDER.value].struck
    loosened = [*by_kind[Kind.SLIP_IN_HAND.value].struck, *by_kind[Kind.VACUUM_LEAK.value].struck]
    calm = by_kind[NO_PERTURBATION].picks
    disturbed = [group for group in groups if group.kind != NO_PERTURBATION]
    return {
        "delivered_rate": _share(shoved, lambda pick: pick.success),
        "shift_noticed_rate": _share(shoved, lambda pick: _said(pick, INTERVENED)),
        "collision_rate": _share(reached, lambda pick: pick.met_n > HIT_N),
        "intruder_delivered_rate": _share(reached, lambda pick: pick.success),
        "noticed_rate": _share(loosened, lambda pick: pick.success or _said(pick, HOLD_SAID)),
        "hold_delivered_rate": _share(loosened, lambda pick: pick.success),
        "false_intervention_rate": _share(calm, lambda pick: _said(pick, INTERVENED)),
        "undisturbed_delivered_rate": _share(calm, lambda pick: pick.success),
        "damage_per_1000": _damage([episode for group in disturbed for episode in group.episodes]),
        "uph": _uph([episode for group in disturbed for episode in group.episodes]),
        "undisturbed_uph": _uph(by_kind[NO_PERTURBATION].episodes),
    }


def _said(pick: PickRecord, codes: Iterable[str]) -> bool:
    return any(failure.endswith(f": {code}") for failure in pick.failures for code in codes)


def _share(picks: Sequence[PickRecord], of: Callable[[PickRecord], bool]) -> Metric:
    return Metric.of(statistics.wilson(sum(of(pick) for pick in picks), len(picks)), "share")


def _damage(episodes: Sequence[EpisodeRecord]) -> Metric:
    rows = np.array([[sum(len(pick.damage) > 0 for pick in e.picks), len(e.picks) / 1000.0] for e in episodes])
    return Metric.of(statistics.clustered_rate(rows), "picks with damage per 1000")


def _uph(episodes: Sequence[EpisodeRecord]) -> Metric:
    rows = np.array([[sum(e.delivered_undamaged()), sum(pick.cell_s for pick in e.picks)] for e in episodes])
    return Metric.of(statistics.rate_per_hour(rows), "undamaged units/h of cell time")
