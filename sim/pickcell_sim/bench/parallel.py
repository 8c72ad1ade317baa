"""Independent jobs on many cores or machines: in this process, in a pool of processes, or with Ray. All give equal results.

Jobs are pure functions of their argument, so where and in which order they run does not matter. Workers are started
afresh (spawn) and end after a few jobs: renderers keep some memory of every world that they have drawn.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from pickcell_sim.items.spec import REPOSITORY

JOBS_PER_PROCESS = 8
RAY_INSTALL = "./cell run python -m pip install --no-deps -r requirements/ray.txt"
RAY_LOCAL = "local"
RAY_AUTO = "auto"
REACH_TIMEOUT_S = 5.0
_NOT_SHIPPED = ["var", "log", "docs", "ros2_ws", "**/__pycache__", "*.sqlite"]
"""Of the working tree, when Ray sends it to other machines."""

J = TypeVar("J")
R = TypeVar("R")


class BackendError(RuntimeError):
    """The jobs cannot be run as asked; the message says what to do."""


@dataclass(frozen=True)
class Finished(Generic[J, R]):
    """A job and what came of it: a result, or the reason why there is none."""

    job: J
    result: R | None
    error: str = ""


def run_here(function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[Finished[J, R]]:
    """One after another in this process."""
    for job in jobs:
        yield _guarded(function, job)


def run_in_pool(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[Finished[J, R]]:
    """In ``workers`` processes, as they finish. A job that kills its process twice is an error of that job alone.

    Closing the iterator (or an interrupt in its consumer) ends the workers at once.
    """
    batch = JOBS_PER_PROCESS * workers
    for first in range(0, len(jobs), batch):
        broken: list[J] = []
        yield from _one_pool(function, jobs[first : first + batch], workers, broken)
        for job in broken:  # which of them killed the pool is not known: each gets a process of its own
            again: list[J] = []
            yield from _one_pool(function, [job], 1, again)
            if again:
                yield Finished(job, None, "its process died, twice")


def _one_pool(function: Callable[[J], R], jobs: Sequence[J], workers: int, broken: list[J]) -> Iterator[Finished[J, R]]:
    """Run jobs in one pool; those that were lost with it are appended to ``broken``."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _leave_interrupts_to_the_parent)
    processes: list[Any] = []
    try:
        futures: dict[Future[Finished[J, R]], J] = {pool.submit(_guarded, function, job): job for job in jobs}
        processes = list((pool._processes or {}).values())
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda f: jobs.index(futures[f])):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken.append(futures[future])
        pool.shutdown()
    finally:  # nothing is left to do for them, or nobody wants it any more
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            if process.is_alive():
                process.terminate()


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches all processes of a terminal: the parent alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _guarded(function: Callable[[J], R], job: J) -> Finished[J, R]:
    try:
        return Finished(job, function(job))
    except Exception as error:  # one bad job must not end a night's run
        return Finished(job, None, f"{type(error).__name__}: {error}")


def ray_is_installed() -> bool:
    return find_spec("ray") is not None


def run_with_ray(
    function: Callable[[J], R], jobs: Sequence[J], address: str, workers: int | None = None
) -> Iterator[Finished[J, R]]:
    """On a Ray cluster: ``local`` starts one here, ``auto`` or ``HOST:PORT`` joins a running one.

    A running cluster gets a copy of this working tree; its machines need the same Python environment. ``workers``: jobs
    that run at once (default: as many as the cluster has processors). Raises BackendError when Ray is not installed or the
    cluster does not answer.
    """
    if not ray_is_installed():
        raise BackendError(f"Ray is not installed. It is optional: {RAY_INSTALL}")
    import ray

    local = address == RAY_LOCAL
    if not local and address != RAY_AUTO:
        _check_reachable(address)
    _start_ray(ray, address, workers)
    remote = ray.remote(num_cpus=1, max_calls=JOBS_PER_PROCESS, max_retries=1)(_guarded)
    at_once = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    try:
        left = list(jobs)[::-1]
        running: dict[Any, J] = {}
        while left or running:
            while left and len(running) < at_once:
                job = left.pop()
                running[remote.remote(function, job)] = job
            done, _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done[0])
            try:
                yield ray.get(done[0])
            except ray.exceptions.RayError as error:
                yield Finished(job, None, f"{type(error).__name__}: {str(error).splitlines()[0]}")
    finally:
        for reference in list(running):
            ray.cancel(reference, force=True)
        ray.shutdown()
        if local:
            os.environ.pop("RAY_ADDRESS", None)


def _check_reachable(address: str) -> None:
    """Ray itself tries an address for minutes. Raises BackendError when nothing listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise BackendError(f"'{address}' is no address of a Ray cluster: local, auto or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), REACH_TIMEOUT_S).close()
    except OSError as error:
        raise BackendError(f"no Ray cluster at '{address}': {error}; start one with ray start --head") from error


def _start_ray(ray: Any, address: str, workers: int | None) -> None:
    """Start or join a cluster. Raises BackendError."""
    quiet = {"log_to_driver": False, "logging_level": "warning"}
    source = [str(REPOSITORY / folder) for folder in ("src", "sim")]
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        if address == RAY_LOCAL:
            path = os.pathsep.join([*source, os.environ.get("PYTHONPATH", "")])
            ray.init(
                num_cpus=workers or os.cpu_count(),
                include_dashboard=False,
                object_store_memory=256 * 1024 * 1024,
                runtime_env={"env_vars": {"PYTHONPATH": path}},
                **quiet,
            )
            return
        shipped = {
            "working_dir": str(REPOSITORY),
            "excludes": _NOT_SHIPPED,
            "env_vars": {"PYTHONPATH": os.pathsep.join(("src", "sim"))},  # in the copy, where its workers start
        }
        ray.init(address=address, runtime_env=shipped, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise BackendError(f"no Ray cluster at '{address}': {str(error).splitlines()[0]}") from error
