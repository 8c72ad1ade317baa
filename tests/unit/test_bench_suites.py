"""Suites: files that say what is wrong with them, draws that follow from seeds, and what computing is charged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pickcell.catalogue import load_catalogue
from pickcell_sim.bench.charging import Clock, StageTimesError, charge_of, load_stage_times, write_stage_times
from pickcell_sim.bench.suites import Protocol, SuiteError, draw_tote, episode_seeds, load_suite, suite_names
from pickcell_sim.items.totes import load_split, random_tote

GOOD = "description: x\nitems: [2, 3]\nmix: {box: 1}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_committed_suites_are_those_of_the_plan():
    assert {"packed", "pile", "tote", "books_boxes", "flats", "bags", "perturbed", "pick"} <= set(suite_names())


@pytest.mark.parametrize("name", suite_names())
def test_every_committed_suite_can_be_drawn(name):
    suite, catalogue = load_suite(name), load_catalogue()
    payload_kg = suite.load_cell().hand.payload_max_kg
    for seed in range(20):
        draw = draw_tote(suite, seed, catalogue)
        skus = draw.contents.skus
        assert suite.items[0] <= len(skus) <= suite.items[1]
        assert set(skus) <= set(load_split(suite.split))
        assert len({catalogue[sku].name for sku in skus}) == len(skus), "twins in one tote"
        assert all(catalogue[sku].mass_kg <= payload_kg and catalogue[sku].kind in suite.mix for sku in skus)
        if suite.protocol is Protocol.CLEAR:
            assert not draw.asked
        else:
            picks = suite.picks if suite.exposure is None else len(skus)  # how things lie is seen when the tote is filled
            assert len(draw.asked) == min(picks, len(skus)) and set(draw.asked) <= set(skus)
            assert not suite.asked or all(catalogue[sku].kind in suite.asked for sku in draw.asked)


def test_draws_follow_from_the_seed():
    suite = load_suite("tote")
    assert draw_tote(suite, 7) == draw_tote(suite, 7)
    assert draw_tote(suite, 7) != draw_tote(suite, 8)
    assert draw_tote(suite, 7, redraw=1) != draw_tote(suite, 7)
    sizes = {len(draw_tote(suite, seed).contents.skus) for seed in range(40)}
    assert min(sizes) == 15 and max(sizes) == 25


def test_kinds_come_by_their_weights():
    suite = load_suite("tote").model_copy(update={"items": (1, 1), "mix": {"box": 3.0, "can": 1.0}})
    catalogue = load_catalogue()
    kinds = [catalogue[draw_tote(suite, seed, catalogue).contents.skus[0]].kind for seed in range(400)]
    assert kinds.count("box") / 400 == pytest.approx(0.75, abs=0.07)


def test_the_pick_suite_draws_as_the_first_benchmark_did():
    draw = draw_tote(load_suite("pick"), 3)
    assert draw.contents == random_tote(3, 12, "test")
    assert list(draw.asked) == list(np.random.default_rng([3, 7]).permutation(draw.contents.skus))[:8]


def test_seeds_of_a_run():
    assert episode_seeds(load_suite("tote"), 20, 3) == [(3000, 8), (3001, 8), (3002, 4)]
    assert episode_seeds(load_suite("packed"), 12, 0) == [(0, 5), (1, 5), (2, 5)]
    with pytest.raises(SuiteError, match="at most 1000 totes"):
        episode_seeds(load_suite("tote"), 9000, 0)


def test_an_unknown_suite_names_its_neighbours():
    with pytest.raises(SuiteError, match=r"did you mean 'tote'.*books_boxes"):
        load_suite("totes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a mapping"),
        (GOOD + "colour: red\n", "colour"),
        (GOOD.replace("items: [2, 3]", "items: [3, 2]"), "items"),
        (GOOD.replace("items: [2, 3]", "items: [0, 2]"), r"items\.0"),
        (GOOD.replace("box", "bocks"), "bocks.*irregular"),
        (GOOD + "asked: [card]\n", "asked.*card"),
        (GOOD + "split: tset\n", "split.*tset.*train"),
        (GOOD + "cell: pandas\n", "cell.*pandas.*iiwa"),
        (GOOD + "perturbation: earthquake\n", "perturbation.*earthquake.*intruder"),
        (GOOD + "protocol: clear\n", "clear"),
        (GOOD + "mix: {box: -1}\n", "mix"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_suite_file_is_named_with_its_key(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(SuiteError, match=f"(?s)mine.yaml.*{said}"):
        load_suite(path)


def test_a_split_that_is_too_small_is_said():
    suite = load_suite("bags").model_copy(update={"items": (60, 60)})
    with pytest.raises(SuiteError, match="60 different items"):
        draw_tote(suite, 0)


def test_charges_of_the_three_clocks():
    times = load_stage_times()
    assert charge_of(Clock.MEASURED, None)("observe", 1.5) == 1.5
    assert charge_of(Clock.NONE, None)("observe", 1.5) == 0.0
    assert charge_of(Clock.FIXED, times)("observe", 1.5) == pytest.approx(1e-3 * times.median_ms["observe"])
    with pytest.raises(ValueError, match="fixed"):
        charge_of(Clock.FIXED, None)


def test_stage_times_round_trip_and_say_what_is_wrong(tmp_path):
    path = tmp_path / "times.yaml"
    write_stage_times(path, load_stage_times().median_ms, "here")
    assert load_stage_times(path).source == "here"
    path.write_text("source: x\nmedian_ms: {observe: 1, think: 2}\n")
    with pytest.raises(StageTimesError, match=r"times\.yaml.*select.*think"):
        load_stage_times(path)
    path.write_text("source: x\nmedian_ms: {observe: slow}\n")
    with pytest.raises(StageTimesError, match=r"times\.yaml.*\n.*observe"):
        load_stage_times(path)
    with pytest.raises(ValueError, match="never called"):
        write_stage_times(path, {"observe": 1.0}, "here")
