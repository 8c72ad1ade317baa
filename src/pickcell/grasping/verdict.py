"""What the end of a try says about the grasp: it held, it did not, or nothing."""

from __future__ import annotations

from pickcell.outcome import Code

HELD = frozenset({Code.OK})
FAILED = frozenset(
    {
        Code.MISSED, Code.SEAL_NOT_MADE, Code.SEAL_LOST, Code.SLIPPED, Code.DROPPED, Code.DOUBLE_PICK,
        Code.UNEXPECTED_CONTACT, Code.PROTECTIVE_STOP,
    }
)  # fmt: skip


def verdict(code: Code) -> bool | None:
    """Whether a try that ended with ``code`` speaks for the grasp or against it; None when it speaks of something else:
    no way there, another item than expected, a person's stop, a dead node."""
    if code in HELD:
        return True
    return False if code in FAILED else None
