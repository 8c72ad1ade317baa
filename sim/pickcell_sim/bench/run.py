"""Runs of suites: every strategy and perception on the same seeds, kept episode by episode, summarised at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pickcell.catalogue import config_directory, load_catalogue
from pickcell_sim.bench.cache import EpisodeCache, code_fingerprint, compute_code_fingerprint
from pickcell_sim.bench.charging import Clock, StageTimes, load_stage_times
from pickcell_sim.bench.episode import EpisodeFiles, EpisodeJob, run_job
from pickcell_sim.bench.parallel import Finished, run_here, run_in_pool, run_with_ray
from pickcell_sim.bench.records import EpisodeRecord, fingerprint
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.sensitivity import sensitivity
from pickcell_sim.bench.suites import ABLATIONS, TOOL_STRATEGIES, Perception, Protocol, Strategy, Suite, episode_seeds
from pickcell_sim.bench.summary import episode_row, metrics_of, paired_metrics, tallies
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.scoring.scorer import DISPLACED_M, DISPLACED_RAD, DROP_HEIGHT_M

PAIRED = "paired"
"""Takes the place of the strategy in the names of results that compare strategies."""
ABLATED = "ablated"
"""The same in the names of results that compare the choice with itself without one of its parts."""

DIFFERENCES = (
    (Strategy.PINCH, Strategy.SUCTION),
    (Strategy.AUTO, Strategy.SUCTION),
    (Strategy.AUTO, Strategy.PINCH),
    *((ablation, Strategy.AUTO) for ablation in ABLATIONS),
)
"""Strategies that are compared: the first minus the second."""


@dataclass(frozen=True)
class SuiteConfig:
    """A run of one suite."""

    suite: Suite
    strategies: tuple[Strategy, ...] = TOOL_STRATEGIES
    perceptions: tuple[Perception, ...] = (Perception.TRUE, Perception.ESTIMATED)
    n: int = 0
    """Items asked for (or presented) per strategy and perception; 0: the suite's own number."""
    seed: int = 0
    clock: Clock = Clock.FIXED
    workers: int = 1
    """Processes; 0 runs in this one."""
    ray: str = ""
    """Address of a Ray cluster, or ``local``."""
    resume: bool = False
    """Take over finished episodes of an earlier run with the same code and settings."""
    cache: Path = REPOSITORY / "var" / "bench"

    @property
    def items(self) -> int:
        return self.n or self.suite.n


@dataclass
class SuiteRun:
    """What a run has brought so far."""

    config: SuiteConfig
    episodes: dict[tuple[Strategy, Perception], list[EpisodeRecord]] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    """``suite-strategy-perception/job`` -> JPEG of what went wrong."""
    errors: list[str] = field(default_factory=list)
    """Episodes without a result, and why."""

    def add(self, job: EpisodeJob, files: EpisodeFiles) -> None:
        """Take in an episode."""
        if files.record.ended == "error":
            self.errors.append(f"{job.name}: {files.record.error}")
            return
        records = self.episodes.setdefault((job.strategy, job.perception), [])
        records.append(files.record)
        records.sort(key=lambda record: record.seed)
        for name, data in files.pictures.items():
            self.pictures[f"{result_name(job.suite.name, job.strategy.value, job.perception.value)}/{name}"] = data


def result_name(suite: str, strategy: str, perception: str) -> str:
    """Stem of a kept result."""
    return f"{suite}-{strategy}-{perception}"


def jobs_of(config: SuiteConfig) -> list[EpisodeJob]:
    """All episodes of a run. Those of one seed stand together, so that a run that is cut short is still paired."""
    times: StageTimes | None = load_stage_times() if config.clock is Clock.FIXED else None
    return [
        EpisodeJob(config.suite, strategy, perception, seed, items, config.clock, times)
        for seed, items in episode_seeds(config.suite, config.items, config.seed)
        for perception in config.perceptions
        for strategy in config.strategies
    ]


def run_suite(
    config: SuiteConfig, on_episode: Callable[[EpisodeJob, EpisodeFiles | None, bool], None] = lambda job, files, kept: None
) -> SuiteRun:
    """Run a suite. ``on_episode`` hears of each finished episode (None: it failed) and whether it was kept from before.

    An interrupt ends the workers at once; what is finished is on disk for ``resume``. Raises what the backends raise.
    """
    run, cache, missing = SuiteRun(config), EpisodeCache(config.cache), []
    for job in jobs_of(config):
        kept = cache.load(job) if config.resume else None
        if kept is None:
            missing.append(job)
        else:
            run.add(job, kept)
            on_episode(job, kept, True)
    for finished in _execute(config, missing):
        if finished.result is None:
            run.errors.append(f"{finished.job.name}: {finished.error}")
        else:
            cache.store(finished.job, finished.result)
            run.add(finished.job, finished.result)
        on_episode(finished.job, finished.result, False)
    return run


def _execute(config: SuiteConfig, jobs: list[EpisodeJob]) -> Iterator[Finished[EpisodeJob, EpisodeFiles]]:
    if config.ray:
        return run_with_ray(run_job, jobs, config.ray, config.workers or None)
    return run_in_pool(run_job, jobs, config.workers) if config.workers else run_here(run_job, jobs)


def results_of(run: SuiteRun) -> dict[str, BenchResult]:
    """Result per strategy and perception, and the differences between strategies, by the stem of their file."""
    config, machine, commit = run.config, machine_facts(), _commit()
    suite, out = config.suite, {}
    for (strategy, perception), episodes in sorted(run.episodes.items(), key=lambda item: [k.value for k in item[0]]):
        facts = {"strategy": strategy.value, "perception": perception.value, **_facts(config, episodes)}
        name = result_name(suite.name, strategy.value, perception.value)
        facts |= tallies(episodes, suite.protocol) | {"damage_at_other_limits": sensitivity(episodes, suite.protocol)}
        facts["errors"] = [e for e in run.errors if e.startswith(f"{name}-")]
        rows = tuple(episode_row(episode, suite.protocol) for episode in episodes)
        n = sum(row["presented"] for row in rows)
        metrics = metrics_of(episodes, suite.protocol)
        out[name] = BenchResult(suite.name, config.seed, n, facts, machine, commit, metrics, rows)
    for perception in config.perceptions:
        paired = _paired(run, perception, machine, commit)
        if paired is not None:
            compared = ABLATED if set(config.strategies) & set(ABLATIONS) else PAIRED
            out[result_name(suite.name, compared, perception.value)] = paired
    return out


def _paired(run: SuiteRun, perception: Perception, machine: dict[str, Any], commit: str) -> BenchResult | None:
    """Differences between the strategies of a run, seed by seed; None when there is only one."""
    protocol = run.config.suite.protocol
    rows = {
        strategy.value: [episode_row(episode, protocol) for episode in run.episodes[strategy, perception]]
        for strategy in Strategy
        if (strategy, perception) in run.episodes
    }
    facts = {"strategy": PAIRED, "perception": perception.value, "clock": run.config.clock.value}
    return _differences(run.config.suite.name, run.config.seed, rows, facts, machine, commit)


def paired_of(results: Sequence[BenchResult]) -> BenchResult | None:
    """Differences between kept results of one suite and perception, from their rows; None when nothing can be paired.

    Raises ValueError when the results are not of one kind.
    """
    of = {(r.suite, r.config["perception"], r.seed, r.config["clock"]) for r in results}
    if len(of) != 1:
        raise ValueError(f"only results of one suite, perception, seed and clock can be paired, got {sorted(of)}")
    first, commits = results[0], sorted({r.commit for r in results})
    rows = {r.config["strategy"]: list(r.episodes) for r in results}
    facts = {"strategy": PAIRED, "perception": first.config["perception"], "clock": first.config["clock"]}
    return _differences(first.suite, first.seed, rows, facts, first.machine, ", ".join(commits))


def _differences(
    suite: str, seed: int, rows: dict[str, list[dict[str, Any]]], facts: dict[str, Any], machine: dict[str, Any], commit: str
) -> BenchResult | None:
    metrics: dict[str, Metric] = {}
    for a, b in DIFFERENCES:
        if a.value in rows and b.value in rows:
            for name, metric in paired_metrics(rows[a.value], rows[b.value]).items():
                metrics[f"{name}_{a.value}_minus_{b.value}"] = metric
    if not metrics:
        return None
    seeds = set.intersection(*({row["seed"] for row in each} for each in rows.values()))
    facts = facts | {"totes": len(seeds), "interval": "bootstrap over totes, both strategies on the same"}
    return BenchResult(suite, seed, len(seeds), facts, machine, commit, metrics)


def _facts(config: SuiteConfig, episodes: list[EpisodeRecord]) -> dict[str, Any]:
    """What the figures depend on."""
    suite = config.suite
    kinds: dict[str, int] = {}
    for episode in episodes:
        for kind in episode.presented.values():
            kinds[kind] = kinds.get(kind, 0) + 1
    facts = {
        "protocol": suite.protocol.value,
        "cell": suite.cell,
        "fill": suite.fill.value,
        "split": suite.split,
        "totes": len(episodes),
        "items_per_tote": " to ".join(map(str, dict.fromkeys(suite.items))),
        "picks_per_tote": suite.picks if suite.protocol is Protocol.ORDER else "until the round ends",
        "attempts_per_pick": suite.attempts,
        "moved_per_pick": suite.moved,
        "perturbation": suite.perturbation,
        "clock": config.clock.value,
        "workers": f"ray {config.ray}" if config.ray else config.workers,
        "catalogue": load_catalogue().version,
        "code": code_fingerprint(),
        "fingerprint": fingerprint(episodes),
        "intervals": "shares: Wilson; damage: exact Poisson or bootstrap over totes, the wider; times and UPH: bootstrap",
        "item_mix": {kind: count for kind, count in sorted(kinds.items(), key=lambda i: (-i[1], i[0]))},
        "mix_weights": dict(suite.mix),
        "thresholds": _thresholds(),
    }
    if config.clock is Clock.FIXED:
        times = load_stage_times()
        facts |= {"charged_ms": times.median_ms, "charged_from": times.source}
    return facts


def _thresholds() -> dict[str, Any]:
    """Limits by which damage, drops and displacements are counted."""
    path = config_directory() / "damage.yaml"
    damage = yaml.safe_load(path.read_text()) if path.is_file() else {}
    return {
        "drop_height_m": DROP_HEIGHT_M,
        "displaced_m": DISPLACED_M,
        "displaced_deg": round(57.29577951308232 * DISPLACED_RAD, 3),
        **{key: _values(value) for key, value in damage.items()},
    }


def _values(tree: Any) -> Any:
    """Values without their sources."""
    if isinstance(tree, dict):
        return tree["value"] if "value" in tree else {key: _values(value) for key, value in tree.items()}
    return tree


def _commit() -> str:
    """The commit, and whether the sources changed while the run was on: its episodes may then not agree."""
    changed = compute_code_fingerprint() != code_fingerprint()
    return commit_id(REPOSITORY) + (" (sources changed during the run)" if changed else "")
