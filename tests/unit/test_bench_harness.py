"""The harness: equal seeds give equal episodes on every backend, finished ones are kept, and one bad job harms no other."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pickcell_sim.bench import run as run_module
from pickcell_sim.bench.cache import EpisodeCache, compute_code_fingerprint
from pickcell_sim.bench.charging import Clock
from pickcell_sim.bench.episode import EpisodeFiles, EpisodeJob, _Run, run_job
from pickcell_sim.bench.parallel import BackendError, ray_is_installed, run_here, run_in_pool, run_with_ray
from pickcell_sim.bench.records import EpisodeRecord, fingerprint
from pickcell_sim.bench.run import SuiteConfig, SuiteRun, jobs_of, run_suite
from pickcell_sim.bench.suites import Perception, Strategy, draw_tote, load_suite
from pickcell_sim.filling.fill import FillError

TINY = load_suite("packed").model_copy(update={"items": (1, 1), "mix": {"box": 1.0}})
"""One box in the workspace."""


def tiny_job(seed: int = 3) -> EpisodeJob:
    return EpisodeJob(TINY, Strategy.AUTO, Perception.TRUE, seed, 1, Clock.NONE)


# -- backends ------------------------------------------------------------------------------------------------------------
def double(x: int) -> int:
    return 2 * x


def fail_on_three(x: int) -> int:
    if x == 3:
        raise ValueError("three")
    return x


def die_on_two(x: int) -> int:
    if x == 2:
        os._exit(9)
    return x


def wait_long(x: int) -> int:
    time.sleep(60.0)
    return x


def test_every_job_is_done_once_and_an_error_is_its_own():
    here = {f.job: (f.result, f.error) for f in run_here(fail_on_three, range(5))}
    pooled = {f.job: (f.result, f.error) for f in run_in_pool(fail_on_three, range(5), 2)}
    assert here == pooled and here[3] == (None, "ValueError: three") and here[4] == (4, "")


def test_a_job_that_kills_its_process_does_not_end_the_run():
    done = {f.job: f for f in run_in_pool(die_on_two, range(4), 1)}
    assert sorted(done) == [0, 1, 2, 3] and "died" in done[2].error
    assert [done[i].result for i in (0, 1, 3)] == [0, 1, 3]


def test_workers_end_when_nobody_wants_their_results():
    started = time.monotonic()
    jobs = run_in_pool(wait_long, [0, 1], 1)
    with pytest.raises(TimeoutError):
        _first_within(jobs, 1.0)
    assert time.monotonic() - started < 30.0


def _first_within(jobs, seconds: float):
    """Ask for a result and be interrupted, as Ctrl-C does."""
    import signal

    def ring(*_):
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return next(jobs)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


def test_missing_ray_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("pickcell_sim.bench.parallel.ray_is_installed", lambda: False)
    with pytest.raises(BackendError, match=r"pip install --no-deps -r requirements/ray\.txt"):
        list(run_with_ray(double, [1], "local"))


@pytest.mark.skipif(not ray_is_installed(), reason="Ray is optional: requirements/ray.txt")
@pytest.mark.parametrize("address", ["here", "127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_said_at_once(address):
    with pytest.raises(BackendError, match=address):
        list(run_with_ray(double, [1], address))


# -- reproducibility -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def here() -> EpisodeFiles:
    return run_job(tiny_job())


def test_the_same_seed_gives_the_same_episode_twice(here):
    again = run_job(tiny_job())
    assert here.record.error == "" and here.record.picks, "the episode ran"
    assert again.record.timeless() == here.record.timeless()
    assert fingerprint([again.record]) == fingerprint([here.record])


def test_an_episode_is_scored_by_the_truth(here):
    pick = here.record.picks[0]
    assert pick.asked == "*" and pick.kind == "box" and pick.cell_s > 1.0 and pick.grasps == 1
    assert pick.success == (pick.delivered == tuple(here.record.presented))
    assert here.record.ended == ("cleared" if pick.success else here.record.ended)


@pytest.mark.slow
def test_a_pool_gives_what_this_process_gives(here):
    (pooled,) = run_in_pool(run_job, [tiny_job()], 2)
    assert pooled.error == "" and pooled.result.record.timeless() == here.record.timeless()


@pytest.mark.slow
@pytest.mark.skipif(not ray_is_installed(), reason="Ray is optional: requirements/ray.txt")
def test_ray_gives_what_this_process_gives(here):
    done = {f.job.seed: f for f in run_with_ray(run_job, [tiny_job(), tiny_job(4)], "local", 2)}
    assert not done[3].error and done[3].result.record.timeless() == here.record.timeless()
    assert not done[4].error and done[4].result.record.timeless() == run_job(tiny_job(4)).record.timeless()


# -- runs ----------------------------------------------------------------------------------------------------------------
def fake_job(job: EpisodeJob) -> EpisodeFiles:
    """An episode without physics."""
    if job.seed == 2 and job.strategy is Strategy.PINCH:
        raise RuntimeError("it went wrong")
    record = EpisodeRecord(job.suite.name, job.strategy.value, job.perception.value, job.seed, {"box-008": "box"}, "cleared")
    return EpisodeFiles(record, {f"job{job.seed}": b"picture"})


@pytest.fixture
def config(tmp_path, monkeypatch) -> SuiteConfig:
    monkeypatch.setattr(run_module, "run_job", fake_job)
    both = (Strategy.SUCTION, Strategy.PINCH)
    return SuiteConfig(TINY, both, (Perception.TRUE,), n=4, clock=Clock.NONE, workers=0, cache=tmp_path)


def test_a_run_holds_all_strategies_on_the_same_seeds(config):
    jobs = jobs_of(config)
    assert [(j.seed, j.strategy.value) for j in jobs[:3]] == [(0, "suction"), (0, "pinch"), (1, "suction")]
    run = run_suite(config)
    assert [e.seed for e in run.episodes[Strategy.SUCTION, Perception.TRUE]] == [0, 1, 2, 3]
    assert [e.seed for e in run.episodes[Strategy.PINCH, Perception.TRUE]] == [0, 1, 3]
    assert run.errors == ["packed-pinch-true-2: RuntimeError: it went wrong"]
    assert run.pictures["packed-suction-true/job1"] == b"picture"


def interrupt_after(count: int):
    seen: list[EpisodeJob] = []

    def on_episode(job, files, kept):
        seen.append(job)
        if len(seen) == count:
            raise KeyboardInterrupt

    return on_episode


def test_an_interrupted_run_goes_on_where_it_stood(config, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run_suite(config, interrupt_after(3))
    done: list[EpisodeJob] = []
    monkeypatch.setattr(run_module, "run_job", lambda job: done.append(job) or fake_job(job))
    kept: list[bool] = []
    resumed = SuiteConfig(**{**vars(config), "resume": True})
    run = run_suite(resumed, lambda job, files, old: kept.append(old))
    assert sum(kept) == 3 and len(done) == 5 and len(kept) == 8
    assert len(run.episodes[Strategy.SUCTION, Perception.TRUE]) == 4 and len(run.pictures) == 7


def test_without_resume_everything_is_run_again(config):
    run_suite(config)
    kept: list[bool] = []
    run_suite(config, lambda job, files, old: kept.append(old))
    assert not any(kept)


def test_kept_episodes_belong_to_their_settings(tmp_path):
    cache, job = EpisodeCache(tmp_path), tiny_job()
    cache.store(job, fake_job(job))
    assert cache.load(job) == fake_job(job)
    other_suite = EpisodeJob(TINY.model_copy(update={"fullness": 0.2}), job.strategy, job.perception, job.seed, 1, job.clock)
    assert cache.load(other_suite) is None
    assert cache.load(EpisodeJob(TINY, job.strategy, job.perception, job.seed, 1, Clock.MEASURED)) is None
    assert cache.load(tiny_job(4)) is None
    (cache.folder(job) / f"{job.seed}-{job.items}.json").write_text("{")
    assert cache.load(job) is None


def test_the_code_that_decides_an_episode_is_told_from_the_rest(tmp_path):
    def sources(pipeline: str, plots: str, trial: str) -> str:
        for name, text in (("src/pickcell/x.py", pipeline), ("sim/pickcell_sim/bench/plots.py", plots),
                           ("sim/pickcell_sim/bench/trial.py", trial)):  # fmt: skip
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return compute_code_fingerprint(tmp_path)

    first = sources("a", "a", "a")
    assert sources("a", "b", "a") == first
    assert sources("b", "a", "a") != first != sources("a", "a", "b")


# -- command line --------------------------------------------------------------------------------------------------------
def invoke(*words: str):
    from pickcell_sim.bench.__main__ import app

    return CliRunner().invoke(app, list(words))


def test_the_command_says_what_is_wrong():
    result = invoke("suite", "totes")
    assert result.exit_code == 3 and "did you mean 'tote'" in result.output
    assert "perturbed" in invoke("suites").output


def test_the_command_keeps_results_and_tells_of_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "run_job", fake_job)
    words = ("suite", "packed", "--strategy", "all", "--perception", "true", "-n", "15", "--workers", "0")
    folder = tmp_path / "kept"
    result = invoke(*words, "--cache", str(tmp_path), "--json", str(folder))
    assert result.exit_code == 0, result.output
    names = {path.name for path in Path(folder).glob("*.json")}
    assert names == {f"packed-{s}-true.json" for s in ("suction", "pinch", "auto", "paired")}
    assert "9 of 9 episodes" in result.output and "it went wrong" in result.output


def test_the_command_ends_with_130_when_interrupted(tmp_path, monkeypatch):
    def interrupted(config: SuiteConfig, on_episode) -> SuiteRun:
        raise KeyboardInterrupt

    monkeypatch.setattr("pickcell_sim.bench.suite_command.run_suite", interrupted)
    result = invoke("suite", "packed", "-n", "5", "--cache", str(tmp_path))
    assert result.exit_code == 130 and "--resume" in result.output


# -- what is asked for ---------------------------------------------------------------------------------------------------
class Filled:
    """A trial of which only is known how its items lie."""

    def __init__(self, shares: dict[str, float]) -> None:
        self.shares = shares

    def exposures(self) -> dict[str, float]:
        return self.shares


def asked(shares: dict[str, float]) -> tuple[str, ...]:
    suite = load_suite("retrieval")
    draw = draw_tote(suite, 5)
    assert len(draw.asked) > suite.picks, "all are candidates until the tote is filled"
    some = dict(zip(draw.asked, shares.values()))
    return _Run(EpisodeJob(suite, Strategy.AUTO, Perception.TRUE, 5, 1), draw, Filled(some), {})._asked()


def test_only_what_is_half_covered_is_asked_for_where_the_suite_says_so():
    draw = draw_tote(load_suite("retrieval"), 5)
    assert asked({"a": 1.0, "b": 0.1, "c": 0.5, "d": 0.4}) == (draw.asked[2],)


def test_a_tote_without_such_an_item_is_drawn_anew():
    with pytest.raises(FillError, match="30% to 70%"):
        asked({"a": 1.0, "b": 0.1})
