"""What outcomes teach: nothing without evidence, the right way with it, kept over a restart, and never lost silently."""

from __future__ import annotations

import logging
import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell.grasping.chance import Spread, sigmoid
from pickcell.grasping.experience import Experience
from pickcell.values import Tool

SPREAD = {Tool.PINCH: Spread(kind=0.4, sku=1.0), Tool.SUCTION: Spread(kind=0.4, sku=1.0)}


def taught(outcomes, foreseen=1.5, sku="box-1", path=None) -> Experience:
    experience = Experience(SPREAD, path)
    for success in outcomes:
        experience.learn(Tool.SUCTION, "box", sku, foreseen, success)
    return experience


def test_without_evidence_nothing_is_added_and_nothing_counts_as_known():
    belief = Experience(SPREAD).belief(Tool.PINCH, "box", "box-1")
    assert (belief.mean, belief.learned, belief.tries) == (0.0, 0.0, 0)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(-4, 4))
def test_a_success_raises_and_a_failure_lowers_what_is_believed(outcomes, foreseen):
    experience = taught(outcomes, foreseen)
    before = experience.belief(Tool.SUCTION, "box", "box-1").mean
    experience.learn(Tool.SUCTION, "box", "box-1", foreseen, True)
    higher = experience.belief(Tool.SUCTION, "box", "box-1").mean
    experience.learn(Tool.SUCTION, "box", "box-1", foreseen, False)
    lower = experience.belief(Tool.SUCTION, "box", "box-1").mean
    assert before < higher and lower < higher


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.floats(-3, 3))
def test_what_is_known_stays_between_nothing_and_everything(outcomes, foreseen):
    belief = taught(outcomes, foreseen).belief(Tool.SUCTION, "box", "box-1")
    assert 0.0 <= belief.learned <= np.hypot(0.4, 1.0) and np.isfinite(belief.mean)
    assert (belief.tries, belief.successes) == (len(outcomes), sum(outcomes))


def test_a_sku_that_always_fails_is_soon_believed_to_fail():
    belief = taught([False] * 10).belief(Tool.SUCTION, "box", "box-1")
    assert float(sigmoid(np.array(1.5 + belief.mean))) < 0.5


def test_one_sku_moves_its_kind_a_little_and_other_kinds_and_tools_not_at_all():
    experience = taught([False] * 10)
    own, sibling = (experience.belief(Tool.SUCTION, "box", sku).mean for sku in ("box-1", "box-2"))
    assert own < sibling < 0.0 and sibling > 0.5 * own
    assert experience.belief(Tool.SUCTION, "can", "can-1").mean == 0.0
    assert experience.belief(Tool.PINCH, "box", "box-1").mean == 0.0


def test_what_was_believed_is_unlearned_when_a_product_changes():
    experience = taught([False] * 20 + [True] * 20)
    assert experience.belief(Tool.SUCTION, "box", "box-1").mean > -0.3


def test_it_is_there_again_after_a_restart(tmp_path):
    path = tmp_path / "deep" / "experience.sqlite"
    first = taught([False, False, True], path=path)
    kept = first.belief(Tool.SUCTION, "box", "box-1")
    first.close()
    again = Experience(SPREAD, path)
    assert again.belief(Tool.SUCTION, "box", "box-1") == kept
    again.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*), SUM(success) FROM outcomes").fetchone() == (3, 1)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "experience.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OSError, match="Move it away"):
        Experience(SPREAD, path)


def test_a_disk_that_cannot_be_written_is_logged_and_what_was_learned_lives_on(tmp_path, caplog):
    experience = taught([False], path=tmp_path / "experience.sqlite")
    experience._db.execute("DROP TABLE outcomes")
    with caplog.at_level(logging.ERROR):
        experience.learn(Tool.SUCTION, "box", "box-1", 1.5, False)
    assert "could not be written" in caplog.text
    assert experience.belief(Tool.SUCTION, "box", "box-1").tries == 2


def test_unknown_products_teach_their_kind_only_and_nameless_ones_nothing():
    experience = Experience(SPREAD)
    experience.learn(Tool.PINCH, "can", "", 0.0, True)
    experience.learn(Tool.PINCH, "", "", 0.0, True)
    assert experience.belief(Tool.PINCH, "can", "can-9").mean > 0.0
    assert experience.belief(Tool.PINCH, "", "").mean == 0.0
