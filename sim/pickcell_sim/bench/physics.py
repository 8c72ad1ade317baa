"""What the simulator costs: speed of physics with a full tote, picks per minute, memory over many totes.

``python -m pickcell_sim.bench.physics --json docs/benchmarks/physics.json``
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from numpy.typing import NDArray

from pickcell.catalogue import Catalogue, load_catalogue
from pickcell.cell import CellConfig, load_cell
from pickcell.geometry import make_pose
from pickcell_sim.bench import statistics
from pickcell_sim.bench.arm_tour import ArmTour
from pickcell_sim.bench.charging import Clock, load_stage_times
from pickcell_sim.bench.episode import EpisodeJob, run_job
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.suites import Perception, Strategy, draw_tote, load_suite
from pickcell_sim.bench.trial import Setup, Trial
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import FillError, fill_tote
from pickcell_sim.items.spawn import item_pose, place_item
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.stand_ins import StandIns
from pickcell_sim.items.totes import ToteContents, mixed_tote
from pickcell_sim.scoring.scorer import Scorer
from pickcell_sim.vision.visuals import VisualPool
from pickcell_sim.world import SimWorld

ITEMS = 25
FULLNESS = 0.45
"""Items whose bounding boxes together take up more of the tote than this are drawn anew."""
REDRAWS = 60
SETTLE_S = 2.0
"""Cell time between filling and touring, not measured: the tote has just been put there."""
SEGMENT_STEPS = 60
"""Steps that are timed together: a quarter of a second of cell time."""
PICKS_PER_TOTE = 8
DISTINCT_TOTES = 2
"""The memory loop goes round these, so that what is loaded once per SKU is not taken for growth."""
THINKING_EVERY = 4
WARM_UP_TOTES = 2 * THINKING_EVERY
"""The first ones load meshes, textures and compiled code, and are not counted."""
MEMORY_ITEMS = 8
MIB = 2.0**20
COMPONENTS = {
    "ArmController": "arm",
    "Jaw": "jaw",
    "SuctionCup": "cup",
    "WristSensor": "sensors",
    "Scorer": "scorer",
    "DamageMonitor": "damage",
    "FallWatch": "scorer",
    "StandIns": "stand_ins",
}


@dataclass(frozen=True)
class PhysicsBenchConfig:
    """How much is measured."""

    seed: int = 0
    totes: int = 4
    """Totes of 25 items in which the arm tours."""
    dips: int = 5
    """Places it dips to in each."""
    memory_picks: int = 400
    picks: int = 16
    """Real picks with the baseline pipeline."""


@dataclass
class Costs:
    """Milliseconds by component, the physics engine among them; per step in the end."""

    ms: dict[str, float] = field(default_factory=dict)
    steps: int = 0


def run_physics_bench(
    config: PhysicsBenchConfig | None = None, root: Path = REPOSITORY, on_part: Callable[[str], None] = lambda text: None
) -> BenchResult:
    """Measure it all in this process. ``on_part``: told what comes next."""
    config = config or PhysicsBenchConfig()
    on_part(f"real-time factor with {ITEMS} items")
    asleep, costs, wall = _tours(config, awake=False)
    on_part("the same with all items awake")
    awake, _, _ = _tours(config, awake=True)
    on_part(f"memory over {config.memory_picks} picks")
    rss = memory_curve(config)
    on_part(f"{config.picks} picks with the baseline pipeline")
    rates = picks_per_minute(config)
    metrics = {
        "realtime_factor_25_items": Metric.of(_rate(asleep), "cell s / CPU s, one core"),
        "realtime_factor_25_items_awake": Metric.of(_rate(awake), "cell s / CPU s, one core"),
        "realtime_factor_25_items_wall": Metric.of(_rate(wall), "cell s / wall s"),
        "picks_per_minute": Metric.of(_rate(rates), "1/min, one process"),
        "memory_growth_mb_per_1000": Metric.of(growth_per_1000(rss), "MB"),
    }
    facts = {
        "items": ITEMS,
        "tours": config.totes,
        "tour_s": round(float(asleep[:, 0].sum()), 1),
        "memory_picks": config.memory_picks,
        "picks": config.picks,
        "rss_mb_at_the_end": round(float(rss[-1, 1]), 1),
        "cost_ms_per_step": {name: round(ms, 4) for name, ms in sorted(costs.ms.items(), key=lambda kv: -kv[1])},
    }
    n = config.totes * config.dips
    return BenchResult("physics", config.seed, n, facts, machine_facts(), commit_id(root), metrics)


def _rate(rows: NDArray[np.float64]) -> statistics.Interval:
    """Sum of the first column over that of the second, rows (amount, time) resampled."""
    return statistics.bootstrap(rows, lambda r: float(r[:, 0].sum() / r[:, 1].sum()))


# -- speed ---------------------------------------------------------------------------------------------------------------


def _tours(config: PhysicsBenchConfig, awake: bool) -> tuple[NDArray[np.float64], Costs, NDArray[np.float64]]:
    """Rows (cell s, CPU s) and (cell s, wall s) of each segment of all tours; costs by component from the last tote."""
    cell = load_cell(REPOSITORY / "config" / "cells" / "panda.yaml", calibrated=False)
    tour = ArmTour(cell)
    cpu: list[tuple[float, float]] = []
    wall: list[tuple[float, float]] = []
    costs = Costs()
    for number in range(config.totes):
        driver = _filled_driver(cell, 1000 * config.seed + number, sleeping=not awake)
        try:
            stand_ins = StandIns(driver.world).attach()
            scorer = Scorer(driver.world, driver)
            driver.advance(SETTLE_S)
            trajectory = tour.through(driver.world, config.seed + number, config.dips)
            if number == config.totes - 1:
                costs = _measured(driver)
            driver.follow(trajectory)
            segments = int(np.ceil(trajectory.duration_s / driver.world.clock.nominal_s / SEGMENT_STEPS))
            before = driver.now_s
            for _ in range(segments):
                start, start_wall = time.process_time(), time.perf_counter()
                driver.step(SEGMENT_STEPS)
                passed = SEGMENT_STEPS * driver.world.clock.nominal_s
                if number < config.totes - 1:  # the tote with the clocks inside is not timed as a whole
                    cpu.append((passed, time.process_time() - start))
                    wall.append((passed, time.perf_counter() - start_wall))
            costs.steps = round((driver.now_s - before) / driver.world.clock.nominal_s)
            scorer.close()
            stand_ins.detach()
        finally:
            driver.close()
    costs.ms = {name: ms / max(costs.steps, 1) for name, ms in costs.ms.items()}
    return np.array(cpu), costs, np.array(wall)


def _filled_driver(cell: CellConfig, seed: int, sleeping: bool = True) -> SimDriver:
    """A cell without cameras whose source tote holds 25 different items of all kinds; what does not fit is drawn anew.

    ``sleeping``: settled items are put to sleep, as in every other use of the simulator.
    """
    catalogue = load_catalogue()
    room_m3 = FULLNESS * float(np.prod(cell.totes["source"].inner))
    for redraw in range(REDRAWS):
        contents = mixed_tote(seed + 100_000 * redraw, ITEMS, "test")
        if sum(float(np.prod(catalogue[sku].dimensions_m)) for sku in contents.skus) > room_m3:
            continue
        driver = SimDriver(SimWorld(cell, seed, sleeping=sleeping))
        try:
            fill_tote(driver.world, contents.skus, contents.seed)
            return driver
        except FillError:
            driver.close()
    raise FillError(f"none of {REDRAWS} draws of {ITEMS} items fits")


def _measured(driver: SimDriver) -> Costs:
    """Have every controller and observer timed from now on, and what lies between them: the physics engine.

    CPU time, so that other processes do not count.
    """
    costs = Costs()

    def timed(call: Callable[[], None]) -> Callable[[], None]:
        owner = type(getattr(call, "__self__", call)).__name__
        name = COMPONENTS.get(owner, owner)

        def run() -> None:
            start = time.thread_time()
            call()
            costs.ms[name] = costs.ms.get(name, 0.0) + 1e3 * (time.thread_time() - start)

        return run

    world = driver.world
    world.before_step[:] = [timed(call) for call in world.before_step]
    world.after_step[:] = [timed(call) for call in world.after_step]
    begun = [0.0]
    world.before_step.append(lambda: begun.__setitem__(0, time.thread_time()))

    def ended() -> None:
        costs.ms["physics"] = costs.ms.get("physics", 0.0) + 1e3 * (time.thread_time() - begun[0])

    world.after_step.insert(0, ended)
    return costs


# -- memory --------------------------------------------------------------------------------------------------------------


def memory_curve(config: PhysicsBenchConfig) -> NDArray[np.float64]:
    """(totes, 2): stand-in picks so far and resident memory (MB) after each tote.

    A stand-in pick does to memory what a pick does: per tote a new world, filled; in every fourth perception, grasp choice
    and planning; and per pick items that move, physics, a frame of every camera, and a score.
    """
    suite = load_suite("tote").model_copy(update={"items": (MEMORY_ITEMS, MEMORY_ITEMS)})
    catalogue = load_catalogue()
    cell = suite.load_cell()
    process = psutil.Process()
    rows: list[tuple[float, float]] = []
    picks = 0
    rounds = -(-config.memory_picks // PICKS_PER_TOTE) + WARM_UP_TOTES
    for number in range(rounds):
        contents = draw_tote(suite, 1000 * config.seed + number % DISTINCT_TOTES, catalogue).contents
        try:
            _stand_in_picks(cell, catalogue, contents, thinking=number % THINKING_EVERY == 0)
        except FillError:
            continue
        gc.collect()
        if number >= WARM_UP_TOTES:
            picks += PICKS_PER_TOTE
            rows.append((float(picks), process.memory_info().rss / MIB))
    return np.array(rows)


def _stand_in_picks(cell: CellConfig, catalogue: Catalogue, contents: ToteContents, thinking: bool) -> None:
    """One world from filling to closing. ``thinking``: with perception, grasp choice, planning, ledger and scorer."""
    rng = np.random.default_rng([contents.seed, 403])
    if thinking:
        with tempfile.TemporaryDirectory(prefix="pickcell-bench-") as folder:
            with Trial(cell, catalogue, contents, Path(folder), Setup(charge=False)) as trial:
                _disturb(trial.driver, trial.scorer, rng)
        return
    driver = SimDriver.create(cell, contents.seed)
    try:
        fill_tote(driver.world, contents.skus, contents.seed)
        _disturb(driver, Scorer(driver.world, driver), rng)
    finally:
        driver.close()


def _disturb(driver: SimDriver, scorer: Scorer, rng: np.random.Generator) -> None:
    """Per pick: an item falls from 5 cm, everything settles for 0.2 s, all cameras look, the scorer judges."""
    world = driver.world
    for _ in range(PICKS_PER_TOTE):
        before = scorer.snapshot()
        item = world.item_bodies[int(rng.choice(sorted(world.item_bodies)))]
        place_item(world, item, make_pose((0.0, 0.0, 0.05)) @ item_pose(world, item))
        driver.step(48)
        for camera in world.cell.cameras:
            driver.capture(camera.name)
        scorer.score(before, item.name)


def growth_per_1000(rows: NDArray[np.float64]) -> statistics.Interval:
    """MB per 1,000 picks: median slope between pairs of rows (picks, MB) (Theil 1950, Sen 1968), rows resampled.

    What a process holds jumps up and down by tens of MB as its allocator keeps pages or gives them back; a least-squares
    line would follow the last jump. Only rows after the same work are compared: perception holds more for a while.
    NaN without any such pair.
    """
    cycle = PICKS_PER_TOTE * THINKING_EVERY

    def slope(sample: NDArray[np.float64]) -> float:
        i, j = np.triu_indices(len(sample), 1)
        picks, mb = (sample[j] - sample[i]).T
        alike = (picks != 0) & (picks % cycle == 0)
        return 1000.0 * float(np.median(mb[alike] / picks[alike])) if alike.any() else float("nan")

    return statistics.bootstrap(rows, slope)


# -- picks ---------------------------------------------------------------------------------------------------------------


def picks_per_minute(config: PhysicsBenchConfig) -> NDArray[np.float64]:
    """Rows (picks, minutes) per tote of the suite ``tote``, filling included, in lock-step with the kept stage times."""
    suite, times = load_suite("tote"), load_stage_times()
    rows = []
    left, number = config.picks, 0
    while left > 0:
        items = min(left, suite.picks)
        seed = 1000 * config.seed + number
        start = time.perf_counter()
        done = run_job(EpisodeJob(suite, Strategy.AUTO, Perception.ESTIMATED, seed, items, Clock.FIXED, times))
        if done.record.picks:
            rows.append((float(len(done.record.picks)), (time.perf_counter() - start) / 60.0))
        left, number = left - items, number + 1
    return np.array(rows)


def main(
    seed: Annotated[int, typer.Option(min=0, help="Decides totes, poses and tours.")] = 0,
    totes: Annotated[int, typer.Option(min=2, help="Totes of 25 items; the last is for the costs by component.")] = 4,
    memory_picks: Annotated[int, typer.Option(min=24, help="Stand-in picks over which memory is watched.")] = 400,
    picks: Annotated[int, typer.Option(min=1, help="Real picks for the rate.")] = 16,
    json: Annotated[Path | None, typer.Option(help="Write the result here, e.g. docs/benchmarks/physics.json.")] = None,
) -> None:
    """Speed and memory of the simulator."""
    config = PhysicsBenchConfig(seed, totes, memory_picks=memory_picks, picks=picks)
    result = run_physics_bench(config, on_part=typer.echo)
    for name, metric in result.metrics.items():
        typer.echo(f"{name:34s} {metric.value:9.3f}  {metric.low:.3f} .. {metric.high:.3f} {metric.unit}")
    typer.echo(f"cost per step, ms: {result.config['cost_ms_per_step']}; visuals: {VisualPool.shared().size}")
    if json:
        result.write(json)


if __name__ == "__main__":
    typer.run(main)
