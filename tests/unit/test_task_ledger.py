"""The ledger: nothing is lost, nothing is counted twice, and a full disk is said before anything moves."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.outcome import Code
from pickcell.task.ledger import Ledger, Place


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def total(ledger: Ledger) -> int:
    return sum(n for place in Place for n in ledger.counts(place).values())


def test_an_item_is_in_one_place_at_a_time(ledger):
    assert ledger.set_manifest({"a": 2, "b": 1}).value == 3
    item = ledger.take("a", "job").unwrap()
    assert ledger.counts(Place.SOURCE) == {"a": 1, "b": 1}
    assert ledger.in_hand() == (item, "a")
    ledger.move(item, Place.DESTINATION, "job").unwrap()
    assert ledger.in_hand() is None and ledger.counts(Place.DESTINATION) == {"a": 1}
    assert [m["to_place"] for m in ledger.moves()] == ["destination", "hand"]


def test_taking_what_is_not_there(ledger):
    assert ledger.take("a", "job").code is Code.ITEM_NOT_IN_MANIFEST


def test_moving_an_unknown_item_is_a_callers_mistake(ledger):
    with pytest.raises(ValueError, match="no item 7"):
        ledger.move(7, Place.SOURCE, "job")


def test_a_new_manifest_keeps_what_was_delivered(ledger):
    ledger.set_manifest({"a": 1})
    ledger.move(ledger.take("a", "job").unwrap(), Place.DESTINATION, "job").unwrap()
    ledger.set_manifest({"b": 4})
    assert ledger.counts(Place.SOURCE) == {"b": 4} and ledger.counts(Place.DESTINATION) == {"a": 1}


def test_after_a_crash_the_hand_is_a_persons_business(tmp_path):
    path = tmp_path / "ledger.sqlite"
    before = Ledger(path)
    before.set_manifest({"a": 1, "b": 1})
    before.take("a", "job-1").unwrap()
    before.record_job("job-1", "a", "running").unwrap()
    before._db.close()  # the process dies here: nothing is flushed or closed in order
    after = Ledger(path)
    notes = after.recover().unwrap()
    assert len(notes) == 2 and "a person must look" in notes[0]
    assert after.counts(Place.NEEDS_PERSON) == {"a": 1} and after.counts(Place.SOURCE) == {"b": 1}
    assert [j["code"] for j in after.jobs("done")] == ["cancelled"]
    after.close()


def test_a_full_disk_is_a_typed_failure_and_changes_nothing(ledger):
    ledger.set_manifest({"a": 1})
    ledger._db.execute(f"PRAGMA max_page_count = {ledger._db.execute('PRAGMA page_count').fetchone()[0]}")
    big = "x" * 100_000
    assert ledger.record_job(big, "a", "queued").code is Code.LEDGER_UNWRITABLE
    assert ledger.jobs() == [] and ledger.counts(Place.SOURCE) == {"a": 1}


def test_a_locked_file_is_a_typed_failure(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger._db.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert ledger.set_manifest({"a": 1}).code is Code.LEDGER_UNWRITABLE
    other.execute("ROLLBACK")
    assert ledger.set_manifest({"a": 1}).ok
    other.close()
    ledger.close()


def test_a_path_that_cannot_be_opened(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Ledger(tmp_path / "file" / "ledger.sqlite")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["take a", "take b", "deliver", "return", "crash"]), max_size=15))
def test_the_number_of_items_never_changes(tmp_path_factory, events):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite")
    ledger.set_manifest({"a": 3, "b": 2})
    for event in events:
        hand = ledger.in_hand()
        if event.startswith("take") and hand is None:
            ledger.take(event[-1], "job")
        elif event == "deliver" and hand:
            ledger.move(hand[0], Place.DESTINATION, "job")
        elif event == "return" and hand:
            ledger.move(hand[0], Place.SOURCE, "job")
        elif event == "crash":
            ledger.recover()
        assert total(ledger) == 5
        assert sum(ledger.counts(Place.HAND).values()) <= 1
    ledger.close()
