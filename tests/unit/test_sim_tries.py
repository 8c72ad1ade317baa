"""Tries: a fork forgets, its errors arrive, and kept tries are read back."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest

from pickcell_sim.bench.statistics import calibration_error
from pickcell_sim.tries.attempt import GraspTry
from pickcell_sim.tries.forked import ForkError, forked
from pickcell_sim.tries.records import TryFileError, load_tries


def test_a_fork_answers_and_what_it_did_is_forgotten():
    kept = [1]

    def change() -> int:
        kept.append(2)
        return len(kept)

    assert forked(change, 10.0) == 2
    assert kept == [1]


def test_errors_deaths_and_delays_of_a_fork_are_told_apart():
    def raises() -> None:
        raise ValueError("wrong on purpose")

    with pytest.raises(ForkError, match="wrong on purpose"):
        forked(raises, 10.0)
    with pytest.raises(ForkError, match="died"):
        forked(lambda: os._exit(3), 10.0)
    with pytest.raises(ForkError, match="no answer"):
        forked(lambda: time.sleep(30), 0.2)


def test_tries_are_read_back_as_they_were(tmp_path):
    made = GraspTry(
        "t", "box-1", "box", "pinch", 0.8, {"gap_mm": 1.0}, "ok", "place", "success", (("crush", "target"),), 0, 0, 5.0
    )
    (tmp_path / "t.jsonl").write_text(json.dumps(made.as_dict()) + "\n")
    assert load_tries(tmp_path) == [made]
    assert not made.success and made.was_tried


def test_no_tries_and_broken_ones_say_what_to_do(tmp_path):
    with pytest.raises(TryFileError, match="cell tries"):
        load_tries(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"sku": 1}\n')
    with pytest.raises(TryFileError, match="line 1"):
        load_tries(tmp_path)


def test_the_calibration_error_of_the_right_and_of_the_wrong():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    happened = rng.random(20_000) < p
    assert calibration_error(p, happened) < 0.02
    assert calibration_error(np.clip(p + 0.2, 0, 1), happened) > 0.1
    assert calibration_error(np.zeros(4), np.ones(4, bool)) == 1.0
