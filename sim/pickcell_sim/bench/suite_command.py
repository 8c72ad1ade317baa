"""``./cell bench suite``: run suites with progress, print and keep their results, go on after an interrupt."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pickcell.cell import CellConfigError
from pickcell_sim.bench.charging import STAGES, Clock, StageTimesError, default_stage_times, write_stage_times
from pickcell_sim.bench.episode import EpisodeFiles, EpisodeJob
from pickcell_sim.bench.failures import Failure, write_failure_sheet
from pickcell_sim.bench.parallel import BackendError
from pickcell_sim.bench.result import BenchResult
from pickcell_sim.bench.run import PAIRED, SuiteConfig, SuiteRun, jobs_of, result_name, results_of, run_suite
from pickcell_sim.bench.suites import (
    ABLATIONS,
    TOOL_STRATEGIES,
    Perception,
    Strategy,
    Suite,
    SuiteError,
    load_suite,
    suite_names,
)
from pickcell_sim.items.spec import REPOSITORY

ALL = "all"
INTERRUPTED = 130
FAILED = 3
FILE_WIDTH = 140


def wide_console() -> Console:
    """Tables keep their columns when the output goes into a file."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


class StrategyOption(str, Enum):
    """A strategy, or several on the same seeds."""

    SUCTION = "suction"
    PINCH = "pinch"
    AUTO = "auto"
    ALL = "all"
    ABLATIONS = "ablations"

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """What it stands for."""
        several = {StrategyOption.ALL: TOOL_STRATEGIES, StrategyOption.ABLATIONS: (Strategy.AUTO, *ABLATIONS)}
        return several[self] if self in several else (Strategy(self.value),)


class PerceptionOption(str, Enum):
    """Perception, or both of true and estimated on the same seeds."""

    TRUE = "true"
    ESTIMATED = "estimated"
    LEARNED = "learned"
    BOTH = "both"


def suite(
    names: Annotated[list[str], typer.Argument(help="Names of config/suites, YAML files, or 'all'.", metavar="SUITE...")],
    strategy: Annotated[
        StrategyOption,
        typer.Option(
            help="Tools that may be chosen; 'all': suction, pinch and auto; 'ablations': auto, and auto without the learned "
            "score, completed shapes, knowledge of the item, refusing what is likely to be harmed."
        ),
    ] = StrategyOption.AUTO,
    perception: Annotated[
        PerceptionOption, typer.Option(help="What is seen: the truth, or what the pipeline makes of images.")
    ] = PerceptionOption.ESTIMATED,
    n: Annotated[int, typer.Option("-n", "--n", min=0, help="Items asked for or presented; 0: the suite's own.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides totes, poses, noise, order and perturbations.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 runs in this one.")] = 1,
    ray: Annotated[str, typer.Option(help="Run on a Ray cluster: HOST:PORT, auto, or local to start one.")] = "",
    clock: Annotated[Clock, typer.Option(help="What computing costs: measured, fixed medians, none.")] = Clock.FIXED,
    resume: Annotated[bool, typer.Option("--resume", help="Take over episodes finished by an earlier run.")] = False,
    json: Annotated[Path | None, typer.Option(help="Keep results in this folder, e.g. docs/benchmarks.")] = None,
    cache: Annotated[Path, typer.Option(help="Where finished episodes are kept.")] = REPOSITORY / "var" / "bench",
) -> None:
    """Run benchmark suites: every strategy and perception asked for on the same totes. Ctrl-C keeps what is finished."""
    console = wide_console()
    both = (Perception.TRUE, Perception.ESTIMATED)
    perceptions = both if perception is PerceptionOption.BOTH else (Perception(perception.value),)
    try:
        wanted = suite_names() if names == [ALL] else names
        for chosen in [load_suite(name) for name in wanted]:
            config = SuiteConfig(chosen, strategy.strategies, perceptions, n, seed, clock, workers, ray, resume, cache)
            _keep(console, run_with_progress(console, config), json)
    except (SuiteError, StageTimesError, CellConfigError, BackendError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None


def suites() -> None:
    """List the suites."""
    table = Table("suite", "what", "items per tote", "asked per tote", "n")
    for name in suite_names():
        one: Suite = load_suite(name)
        items = " to ".join(map(str, dict.fromkeys(one.items)))
        table.add_row(name, one.description, items, str(one.items_per_episode), str(one.n))
    wide_console().print(table)


def stage_times(
    n: Annotated[int, typer.Option("-n", "--n", min=8, help="Items asked for.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Use another seed than the benchmarks.")] = 1000,
    suite_name: Annotated[str, typer.Option("--suite", help="What to measure on.")] = "tote",
    to: Annotated[Path | None, typer.Option(help="File to write instead of config/suites/stage_times.yaml.")] = None,
) -> None:
    """Measure what --clock fixed charges: medians of each computation on this machine, on one process."""
    console = wide_console()
    config = SuiteConfig(
        load_suite(suite_name), (Strategy.AUTO,), (Perception.ESTIMATED,), n, seed, Clock.MEASURED, workers=1
    )
    run = run_with_progress(console, config)
    (result,) = results_of(run).values()
    medians = {stage: result.metrics[f"compute_{stage}_ms_median"].value for stage in STAGES}
    machine = ", ".join(f"{key} {value}" for key, value in result.machine.items())
    said = f"./cell bench stage-times -n {n} --seed {seed} --suite {suite_name}; commit {result.commit}; {machine}"
    write_stage_times(to or default_stage_times(), medians, said)
    console.print(f"Written: {to or default_stage_times()}: {medians}")


@dataclass
class _Tally:
    """What the progress line says."""

    done: int = 0
    picks: int = 0
    delivered: int = 0
    damaged: int = 0
    kept: int = 0
    failed: list[str] = field(default_factory=list)

    def add(self, job: EpisodeJob, files: EpisodeFiles | None, kept: bool) -> None:
        self.done += 1
        self.kept += kept
        if files is None or files.record.ended == "error":
            self.failed.append(job.name)
            return
        self.picks += len(files.record.picks)
        self.delivered += sum(p.success for p in files.record.picks)
        self.damaged += len(files.record.damaged())

    def text(self) -> str:
        failed = f", {len(self.failed)} episodes failed" if self.failed else ""
        return f"{self.delivered} of {self.picks} picks delivered, {self.damaged} items damaged{failed}"


def run_with_progress(console: Console, config: SuiteConfig) -> SuiteRun:
    """Run a suite with a progress bar, or a line per episode where there is no terminal. Exits with 130 on Ctrl-C."""
    jobs = jobs_of(config)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tally = _Tally()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(config.suite.name, total=len(jobs))

        def on_episode(job: EpisodeJob, files: EpisodeFiles | None, kept: bool) -> None:
            tally.add(job, files, kept)
            progress.update(task, advance=1, description=f"{config.suite.name}: {tally.text()}")
            if not console.is_terminal:
                eta_s = progress.tasks[task].time_remaining
                eta = f", about {_duration(eta_s)} left" if eta_s else ""
                console.print(f"{job.name}: {tally.done} of {len(jobs)} episodes, {tally.text()}{eta}", highlight=False)

        try:
            run = run_suite(config, on_episode)
        except KeyboardInterrupt:
            progress.stop()
            console.print(f"Interrupted: {tally.done} of {len(jobs)} episodes are kept; go on with --resume.")
            raise typer.Exit(INTERRUPTED) from None
    if tally.kept:
        console.print(f"{tally.kept} of {len(jobs)} episodes were taken over from before.")
    return run


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90.0 else f"{seconds / 60.0:.0f} min"


def _keep(console: Console, run: SuiteRun, folder: Path | None) -> None:
    """Print the results of a run, write its failure sheets, and keep it all if wanted."""
    results = results_of(run)
    for name, result in results.items():
        print_result(console, name, result)
        if folder is not None:
            result.write(folder / f"{name}.json")
    sheets = (folder or run.config.cache) / "failures"
    for strategy, perception in run.episodes:
        name = result_name(run.config.suite.name, strategy.value, perception.value)
        if write_failure_sheet(failures_of(run, name), sheets / f"{name}.jpg"):
            console.print(f"Pictures of what failed: {sheets / name}.jpg")
    for error in run.errors:
        console.print(f"[red]no result: {error}[/red]", highlight=False)
    if folder is not None and results:
        console.print(f"Kept in {folder}: {', '.join(results)}. ./cell bench page makes the page.")


def failures_of(run: SuiteRun, result: str = "") -> list[Failure]:
    """What went wrong and has a picture, of one result or of all."""
    out = []
    for (strategy, perception), episodes in run.episodes.items():
        name = result_name(run.config.suite.name, strategy.value, perception.value)
        if result in ("", name):
            shown = [Failure.of(p, run.pictures.get(f"{name}/{p.job_id}")) for e in episodes for p in e.picks]
            out += [failure for failure in shown if failure is not None]
    return out


_TERSE = (
    "success_rate", "attempt_success_rate", "cleared_rate", "damage_per_1000", "damage_target_per_1000",
    "damage_neighbour_per_1000", "drop_rate", "missed_rate", "double_rate", "wrong_item_rate", "assist_rate", "uph",
    "realtime_factor", "cycle_s_median",
)  # fmt: skip


def print_result(console: Console, name: str, result: BenchResult) -> None:
    """The figures that matter first; all are in the file."""
    console.print(f"\n[bold]{name}[/bold]: seed {result.seed}, n = {result.n}, commit {result.commit}", highlight=False)
    table = Table("metric", "value", "95 % interval", "unit")
    for key, m in result.metrics.items():
        if key in _TERSE or result.config.get("strategy") == PAIRED:
            table.add_row(key, f"{m.value:.4g}", f"{m.low:.4g} .. {m.high:.4g}", m.unit)
    console.print(table)
    for key in ("failed_attempts", "damage_events", "damaged_kinds", "delivered_by_kind", "rounds_ended"):
        if result.config.get(key):
            said = ", ".join(f"{k} {v}" for k, v in result.config[key].items())
            console.print(f"{key.replace('_', ' ')}: {said}", highlight=False)
    console.print(f"fingerprint {result.config.get('fingerprint', '-')}", highlight=False)
