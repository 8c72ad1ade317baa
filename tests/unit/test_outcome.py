"""Outcome codes: complete, documented, and typed failures stay failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from pickcell.outcome import CODES, Code, Outcome, Recovery

ROOT = Path(__file__).resolve().parents[2]


def test_every_code_has_a_recovery_and_a_sentence():
    assert set(CODES) == set(Code)
    for code, info in CODES.items():
        assert info.sentence.endswith("."), code
        if info.recovery in (Recovery.OBSERVE_AGAIN, Recovery.NEXT_GRASP, Recovery.RETURN_ITEM):
            assert info.resume is not None, f"{code} is retried but names no stage to resume from"


def test_the_page_of_outcomes_is_complete():
    page = (ROOT / "docs" / "outcomes.md").read_text()
    for code, info in CODES.items():
        resume = info.resume.value if info.resume else "-"
        assert f"| `{code.value}` | {info.sentence} | {info.recovery.value} | {resume} |" in page, code


def test_success_and_failure():
    good = Outcome.success(3)
    assert good.ok and good.unwrap() == 3
    bad: Outcome[int] = Outcome.failure(Code.MISSED, "Again.")
    assert not bad.ok and bad.text == CODES[Code.MISSED].sentence + " Again."
    assert bad.failed_as().code is Code.MISSED
    with pytest.raises(RuntimeError, match="missed"):
        bad.unwrap()
    with pytest.raises(RuntimeError):
        good.failed_as()
    with pytest.raises(ValueError):
        Outcome.failure(Code.OK)
