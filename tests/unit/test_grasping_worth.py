"""From chances to costs and back: cheaper is better, experience shifts, hopeless grasps go, holds are refined."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell.grasping.chance import RATING, Chances, LearnedChances, Spread, logit, sigmoid, tree_inputs
from pickcell.grasping.cost import CostConfig, expected_cost_s, not_worth_a_try
from pickcell.grasping.experience import Experience
from pickcell.grasping.films import film_limit_pa
from pickcell.grasping.refine import RefineConfig, cheapest, variants
from pickcell.grasping.table import CandidateTable
from pickcell.grasping.verdict import verdict
from pickcell.grasping.worth import FORESEEN, HARM, HARMFUL, HOPELESS, Product, Worth
from pickcell.network import ModelError
from pickcell.outcome import Code
from pickcell.values import Tool

BOX = Product("box", "box-1")
PRICES = CostConfig()


class Foreseen:
    """Chances as they stand in the table: success is the rating, harm grows with the pads' force."""

    def of(self, table: CandidateTable, kind: str) -> Chances:
        return Chances(logit(table.quality), np.clip(table.force_n / 100.0, 0.0, 1.0))


def table(quality, tool=Tool.PINCH, force_n=20.0, reason=None) -> CandidateTable:
    n = len(quality)
    force = np.full(n, force_n)
    return CandidateTable(
        tool, np.tile(np.eye(4), (n, 1, 1)), np.array(quality, float), np.full(n, 0.05), np.full(n, 0.07), force,
        np.full(n, 4.0), {"room": np.ones(n)}, np.array(reason or [""] * n, dtype="U64"),
        {"force_n": force, "used_mps2": np.full(n, 4.0)},
    )  # fmt: skip


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_success_and_less_harm_never_cost_more(p, q, harm):
    low, high = sorted((p, q))
    cost = expected_cost_s(np.array([low, high]), np.full(2, harm), 5.0, 3.0, PRICES)
    assert cost[1] <= cost[0] + 1e-9
    assert expected_cost_s(np.array([p]), np.array([high]), 5.0, 3.0, PRICES) >= cost.min() - 200.0


def test_chances_become_qualities_and_the_hopeless_are_rejected():
    rated = Worth(Foreseen(), None, PRICES).of(table([0.9, 0.02, 0.5], reason=["", "", "blocked"]), BOX)
    assert rated.quality[0] == pytest.approx(0.9) and rated.quality[2] == 0.0
    assert list(rated.reason) == ["", HOPELESS, "blocked"]
    assert np.isinf(rated.cost_s[2]) and rated.cost_s[0] < rated.cost_s[1]
    assert rated.scores[HARM][0] == pytest.approx(0.2) and rated.scores[FORESEEN][0] == pytest.approx(float(logit(0.9)))


def test_a_hold_that_is_judged_again_is_judged_by_the_same_rating():
    """Forests know the rating from geometry: the chance that they made of it is no second rating."""

    class Hopeful(Foreseen):
        def of(self, table: CandidateTable, kind: str) -> Chances:
            return Chances(logit(table.quality) + 1.0, np.zeros(len(table)))

    worth = Worth(Hopeful(), None, PRICES)
    once = worth.of(table([0.6, 0.4, 0.5], reason=["", "", "blocked"]), BOX)
    again = worth.of(once, BOX)
    assert np.array_equal(again.quality, once.quality) and np.array_equal(again.scores[RATING], once.scores[RATING])
    assert once.scores[RATING][0] == pytest.approx(0.6)


def test_what_is_likely_to_harm_is_refused_unless_the_cell_has_to_take_it():
    rough = table([0.6, 0.6, 0.02], force_n=20.0)
    rough.force_n[1:] = 70.0
    assert list(Worth(Foreseen(), None, PRICES).of(rough, BOX).reason) == ["", HARMFUL, HOPELESS]
    told = Worth(Foreseen(), None, CostConfig(person_s=np.inf)).of(rough, BOX)
    assert list(told.reason) == ["", "", ""]
    assert told.cost_s[1] > told.cost_s[0]


@given(st.floats(1e-6, 1), st.floats(0, 1))
def test_a_person_is_called_at_once_when_that_is_cheaper(success, harm):
    cost = expected_cost_s(np.array([success]), np.array([harm]), 5.0, 3.0, PRICES)
    tried_first = cost[0] + (1.0 - success) * PRICES.person_s
    assert not_worth_a_try(cost, np.array([success]), PRICES)[0] == (cost[0] > PRICES.person_s * success)
    assert abs(tried_first - PRICES.person_s) < 1e-9 or (
        not_worth_a_try(cost, np.array([success]), PRICES)[0] == (tried_first > PRICES.person_s)
    )
    assert not not_worth_a_try(cost, np.array([success]), CostConfig(person_s=np.inf))[0]


def test_experience_turns_the_choice_between_two_tools():
    experience = Experience({tool: Spread(kind=0.3, sku=1.2) for tool in Tool})
    worth = Worth(Foreseen(), experience, PRICES)
    sucked, pinched = table([0.9], Tool.SUCTION, 0.0), table([0.8], Tool.PINCH, 0.0)
    assert worth.of(sucked, BOX).cost_s[0] < worth.of(pinched, BOX).cost_s[0]
    for _ in range(4):
        experience.learn(Tool.SUCTION, "box", "box-1", 2.2, False)
    assert worth.of(sucked, BOX).cost_s[0] > worth.of(pinched, BOX).cost_s[0]
    other = Product("can", "can-1")
    assert worth.of(sucked, other).cost_s[0] < worth.of(pinched, other).cost_s[0]


def test_of_two_alike_the_one_that_is_known_less_is_tried():
    experience = Experience({tool: Spread(kind=0.3, sku=1.2) for tool in Tool})
    worth = Worth(Foreseen(), experience, PRICES)
    for success in (True, True, True, True, True, False) * 3:  # as often as foreseen: nothing new, but known now
        experience.learn(Tool.SUCTION, "box", "box-1", float(logit(5 / 6)), success)
    assert experience.belief(Tool.SUCTION, "box", "box-1").learned > 0.3
    known, unknown = worth.of(table([0.8], Tool.SUCTION, 0.0), BOX), worth.of(table([0.8], Tool.PINCH, 0.0), BOX)
    assert unknown.cost_s[0] < known.cost_s[0]


def test_a_hold_is_made_gentler_where_force_harms():
    worth, config = Worth(Foreseen(), None, PRICES), RefineConfig()
    rated = worth.of(table([0.9, 0.7]), BOX)
    refined = cheapest(worth.of(variants(rated, config, 60.0), BOX), len(rated), config.worth_s)
    assert np.allclose(refined.force_n, 0.5 * 20.0) and np.all(refined.cost_s < rated.cost_s)
    assert np.allclose(refined.measures["force_n"], refined.force_n)


def test_no_variant_is_gentler_than_what_holds_or_stronger_than_the_jaw():
    for row in variants(table([0.9], force_n=55.0), RefineConfig(), 60.0).force_n:
        assert 6.0 <= row <= 60.0
    assert np.all(variants(table([0.9], force_n=4.0), RefineConfig(), 60.0).force_n >= 4.0)


@pytest.mark.parametrize("code", list(Code))
def test_only_ends_of_the_hold_itself_teach(code):
    teaches = {Code.OK: True, Code.MISSED: False, Code.SEAL_LOST: False, Code.DOUBLE_PICK: False}
    if code in teaches:
        assert verdict(code) is teaches[code]
    if code in (Code.NO_PATH, Code.CANCELLED, Code.NODE_LOST, Code.ITEM_MISMATCH, Code.ESTOP):
        assert verdict(code) is None


def test_a_film_bears_more_under_a_smaller_cup_and_other_kinds_bear_everything():
    assert film_limit_pa("shrink", 0.010) > film_limit_pa("shrink", 0.020) > 0.0
    assert np.isinf(film_limit_pa("box", 0.010)) and np.isinf(film_limit_pa("", 0.010))


def test_log_odds_and_chances_are_each_others_inverse():
    p = np.array([0.001, 0.3, 0.999])
    assert np.allclose(sigmoid(logit(p)), p)


def test_unknown_kinds_are_not_a_number_to_the_trees():
    named = {"rating": np.array([0.5, 0.6]), "gap_mm": np.array([1.0, 2.0])}
    inputs = tree_inputs(named, "", ("kind", "gap_mm", "rating"))
    assert inputs.shape == (2, 3) and np.isnan(inputs[:, 0]).all()
    assert np.isfinite(tree_inputs(named, "box", ("kind", "gap_mm"))).all()
    with pytest.raises(KeyError):
        tree_inputs(named, "box", ("nothing_like_it",))


def test_missing_and_broken_models_are_refused_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(ModelError, match="cell train grasps"):
        LearnedChances(tmp_path)
    (tmp_path / "grasp_chances.json").write_text(json.dumps({"tools": {"pinch": {}}, "spread": {}}))
    with pytest.raises(ModelError, match="pinch"):
        LearnedChances(tmp_path)
