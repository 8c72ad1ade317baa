"""``./cell bench pick``: the first benchmark of the project, as a suite of the common harness.

It charges computations as measured on this machine, so that its units per hour are those of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pickcell_sim.bench.charging import Clock
from pickcell_sim.bench.result import BenchResult
from pickcell_sim.bench.run import SuiteConfig, SuiteRun, results_of
from pickcell_sim.bench.suites import Perception, Strategy, load_suite

NOT_KEPT = ("strategy", "perception")


@dataclass(frozen=True)
class PickBenchConfig:
    n: int = 100
    seed: int = 0
    cell: str = "panda"
    split: str = "test"
    workers: int = 1
    clock: Clock = Clock.MEASURED
    resume: bool = False

    def suite_config(self) -> SuiteConfig:
        """Raises SuiteError."""
        suite = load_suite("pick").model_copy(update={"cell": self.cell, "split": self.split})
        return SuiteConfig(
            suite, (Strategy.AUTO,), (Perception.ESTIMATED,), self.n, self.seed, self.clock, self.workers, resume=self.resume
        )


def summarise(run: SuiteRun) -> BenchResult | None:
    """The result as it is kept in docs/benchmarks/pick.json; None when no episode has one."""
    for result in results_of(run).values():
        facts: dict[str, Any] = {k: v for k, v in result.config.items() if k not in NOT_KEPT}
        return BenchResult("pick", result.seed, result.n, facts, result.machine, result.commit, result.metrics)
    return None
