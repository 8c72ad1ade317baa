"""A call in a copy of this process, so that whatever it does to the simulation is forgotten."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

R = TypeVar("R")


class ForkError(RuntimeError):
    """The call raised, or took too long; the message says which."""


def forked(call: Callable[[], R], timeout_s: float) -> R:
    """What ``call`` returns when it is made in a fork of this process. Raises ForkError.

    The physics engine lives in this process's memory: a fork is an exact copy of the simulated world, with all of its
    joints, seals and contacts, in a few milliseconds. The call must not draw pictures: a renderer's context is not copied.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        _answer(call, theirs)
    theirs.close()
    try:
        answered = ours.poll(timeout_s)
        ok, value = ours.recv() if answered else (False, f"no answer within {timeout_s:.0f} s")
    except EOFError:
        ok, value = False, "it died"
    finally:
        ours.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not ok:
        raise ForkError(value)
    return value  # type: ignore[no-any-return]


def _answer(call: Callable[[], object], pipe: Connection) -> None:
    """Call, send what came of it, and end without running anybody's clean-up: it belongs to the parent."""
    try:
        pipe.send((True, call()))
    except BaseException as error:
        pipe.send((False, f"{type(error).__name__}: {error} ({traceback.extract_tb(error.__traceback__)[-1]})"))
    finally:
        os._exit(0)
